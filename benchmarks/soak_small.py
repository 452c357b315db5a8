"""A network of one convolution in place of a deep one, for tests of everything around it."""

from typing import Any

import keras


def small_encoder(
    name: str, input_shape: tuple[int, int, int], embedding_dim: int, *others: Any, **more: Any
) -> keras.Model:
    """Replaces `build_encoder`: one convolution, under any precision policy."""
    x = images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 128, offset=-1)(x)
    x = keras.layers.Conv2D(4, 3, strides=2, name="conv")(x)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x))
    x = keras.layers.Dense(embedding_dim, name="fc", dtype="float32")(keras.layers.Flatten()(x))
    return keras.Model(images, keras.layers.UnitNormalization(dtype="float32")(x))


def make_programs_small() -> None:
    """Makes the programs of this process use the small network and export only a .keras file."""
    from and_tf.export import run as exporting
    from and_tf.runs import restore
    from and_tf.training import encoder

    for module in (encoder, restore):
        module.build_encoder = small_encoder  # type: ignore[attr-defined]
    exporting.FORMATS_AT_END = ("keras",)
