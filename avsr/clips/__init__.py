"""Clips as arrays: read from media files in bounded memory, kept, cached and cut."""
