"""What is measured of and_tf: each module prints a table when it is run with `python -m`."""

import and_tf  # noqa: F401  (sets TensorFlow's start-up variables before it is imported)
