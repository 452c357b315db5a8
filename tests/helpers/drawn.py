"""What the tests share that hypothesis draws for."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)
SEEDS = st.integers(0, 2**32 - 1)
TEMPERATURES = st.sampled_from([0.05, 0.1, 1.0])


def drawn_unit_rows(rng, count, dim):
    """(count, dim) float32 rows of length 1."""
    rows = rng.normal(size=(count, dim)).astype("float32") + np.float32(1e-3)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
