"""What the model is made of, from the streams of a batch to generated tokens."""
