"""From clips to words: where speech is, whose lips, at which rates, and what is believed."""
