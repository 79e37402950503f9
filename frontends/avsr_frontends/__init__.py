"""Frontends of audio-visual speech recognition: from media files to encoder features."""
