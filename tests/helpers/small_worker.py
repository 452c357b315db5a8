"""train.py with a small encoder and without exports, as a program for processes of a test."""

import sys

from and_tf.training import encoder  # isort: skip  (sets what TensorFlow reads)
import keras
import pytest
from helpers import programs
from helpers.small_runs import skip_exports


def small_encoder(name, input_shape, embedding_dim, synchronized_batch_norm, seed, **others):
    """In place of `build_encoder`: one convolution and a BatchNorm over all processes."""
    keras.utils.set_random_seed(seed)
    x = images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(synchronized=synchronized_batch_norm, name="norm")(x)
    x = keras.layers.Dense(embedding_dim, name="fc")(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "build_encoder", small_encoder)
        skip_exports(patch)
        sys.exit(programs.train(sys.argv[1:]))
