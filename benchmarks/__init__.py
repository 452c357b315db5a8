"""Benchmarks of and_tf: each program prints a table when it is run with `python -m`."""

import and_tf  # noqa: F401  (sets TensorFlow's start-up variables before it is imported)
