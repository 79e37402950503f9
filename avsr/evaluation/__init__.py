"""Word error rates of a model over a manifest, under every combination of what it is given."""
