"""Split-Brain: each half of an encoder predicts the input of the other half."""
