"""The arithmetic of a training step, counted from the layers."""

import keras
import numpy as np


def gflop_per_image(encoder: keras.Model, rows: int) -> float:
    """Floating-point operations of a step's matrix products, 2 for a multiplication and addition.

    Three products for each of the encoder's layers (the first has no gradient at its input), two
    with the bank.

    Args:
        encoder: a built encoder of convolutions and dense layers.
        rows: of the bank.

    Returns:
        GFLOP (1e9) for one image.
    """
    total, is_first = 4 * rows * encoder.output_shape[-1], True
    for layer in encoder.layers:
        if not isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            continue
        places = np.prod(layer.output.shape[1:-1], dtype=np.int64)
        total += (2 if is_first else 3) * 2 * places * np.prod(layer.kernel.shape)
        is_first = False
    return float(total) / 1e9
