"""A run's data for TensorBoard, from the same samples as the page."""
