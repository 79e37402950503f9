"""Corpora prepared once: mouth crops, sound and a manifest, so that it is done for good."""
