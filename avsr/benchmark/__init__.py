"""Measuring: time, tokens, operations and memory of each stage, and against how others decode."""
