"""Models on disk: downloaded, loaded and written; their tokenizers and base models."""
