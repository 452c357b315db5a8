"""Split-Brain: each half of an encoder predicts what the other half sees."""
