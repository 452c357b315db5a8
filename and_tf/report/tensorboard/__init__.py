"""A run's data for TensorBoard, from the samples that the page is made of."""
