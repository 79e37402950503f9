"""From a prefix of embeddings to tokens: cache, step-by-step reading, and the searches."""
