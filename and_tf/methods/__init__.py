"""Ways to learn an encoder, one file or folder each."""
