"""Runs of train.py without what takes long: for tests of what goes on around the encoder."""

import keras

from and_tf.training import encoder


def small_encoder(name, input_shape, embedding_dim, *others, **more):
    """In place of `build_encoder`: one convolution, under any policy of precision."""
    x = images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 128, offset=-1)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.Dense(embedding_dim, name="fc", dtype="float32")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization(dtype="float32")(x))


def make_runs_small(patch):
    """A small encoder in place of a deep one, and no exports at the end."""
    patch.setattr(encoder, "build_encoder", small_encoder)
    skip_exports(patch)


def skip_exports(patch):
    patch.setattr("and_tf.export.run.export_finished_run", lambda *others: None)
