"""From settings and images to a trained run."""
