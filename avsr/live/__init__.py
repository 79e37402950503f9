"""Captions while somebody speaks: sound and pictures in as they come, words out."""
