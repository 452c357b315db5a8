"""The arithmetic of a training step, counted from the layers."""

import keras
import numpy as np


def gflop_per_image(encoder: keras.Model, rows: int) -> float:
    """Floating-point operations of a step's matrix products; a multiplication and addition are 2.

    There are three products for each layer of the encoder (two for the first, which needs no
    gradient with respect to its input) and two with the bank.

    Args:
        encoder: a built encoder of convolutions and dense layers.
        rows: number of rows of the bank.

    Returns:
        GFLOP (1e9) per image.
    """
    total, is_first = 4 * rows * encoder.output_shape[-1], True
    for layer in encoder.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            continue
        places = np.prod(layer.output.shape[1:-1], dtype=np.int64)
        total += (2 if is_first else 3) * 2 * places * np.prod(layer.kernel.shape)
        is_first = False
    return float(total) / 1e9
