"""Training: from settings and images to a finished run."""
