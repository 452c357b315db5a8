"""train.py with a small encoder and without exports, as a program for processes of a test.

Where HELD_IN_DISCOVERY names a file, all but the first process stay in discovery once they are
there, and write it; where HELD_IN_START does, before TensorFlow connects them with the others.
"""

import os
import pathlib
import sys
import time

from and_tf.cli.quick_import import quick_import

with quick_import():
    import keras

import pytest
from helpers import programs
from helpers.small_runs import skip_exports

from and_tf.encoders.layers import TorchLayers
from and_tf.encoders.split import SplitLayers, split_input
from and_tf.methods.anchor_neighbourhoods import curriculum
from and_tf.training import encoder, workers


def small_encoder(name, input_shape, embedding_dim, synchronized_batch_norm, seed, **others):
    """In place of `build_encoder`: one convolution and a BatchNorm over all processes."""
    if others.get("split"):
        return split_encoder(input_shape[0], embedding_dim, synchronized_batch_norm, seed)
    keras.utils.set_random_seed(seed)
    x = images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 64, offset=-2)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.BatchNormalization(synchronized=synchronized_batch_norm, name="norm")(x)
    x = keras.layers.Dense(embedding_dim, name="fc")(keras.layers.Flatten()(keras.layers.ReLU()(x)))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def split_encoder(side, embedding_dim, synchronized_batch_norm, seed):
    """Of two halves, with a BatchNorm in each."""
    images, halves = split_input(side)
    layers = SplitLayers(TorchLayers(seed, synchronized_batch_norm=synchronized_batch_norm))
    x = layers.convolution(halves, 8, 3, 4, name="conv")
    x = layers.relu(layers.batch_norm(x, name="norm"), name="relu")
    return keras.Model(images, layers.embedding(x, embedding_dim))


def hold_in_discovery(patch, path):
    discover = curriculum.discover

    def held(*others, sharing, **more):
        if sharing.number > 0:
            pathlib.Path(path).touch()
            time.sleep(600)  # longer than a test waits
        return discover(*others, sharing=sharing, **more)

    patch.setattr(curriculum, "discover", held)


def hold_in_start(patch, path):
    choose = workers.choose_strategy

    def held(name, cluster):
        if cluster.number > 0:
            pathlib.Path(path).touch()
            time.sleep(600)
        return choose(name, cluster)

    patch.setattr(workers, "choose_strategy", held)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "build_encoder", small_encoder)
        skip_exports(patch)
        if path := os.environ.get("HELD_IN_DISCOVERY"):
            hold_in_discovery(patch, path)
        if path := os.environ.get("HELD_IN_START"):
            hold_in_start(patch, path)
        sys.exit(programs.train(sys.argv[1:]))
