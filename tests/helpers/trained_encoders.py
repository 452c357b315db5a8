"""Encoders with statistics and gammas as training leaves them, and images for them."""

import keras
import numpy as np
import tensorflow as tf

from and_tf import encoders


def smooth_pixels(count=8, height=32, width=32, seed=0):
    """Smooth colours (count, height, width, 3), so that resizing matters and JPEG stays close."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, 5, 7, 3)).astype("float32")
    smooth = tf.image.resize(coarse, (height, width)).numpy()
    return np.clip(smooth + generator.normal(0, 4, smooth.shape), 0, 255).astype("uint8")


def trained_encoder(name, side=32, **options):
    """An encoder after a few steps, with moving averages and gammas that are not 0 and 1."""
    encoder = encoders.build_encoder(
        name,
        (side, side, 3),
        embedding_dim=16,
        mean=(120, 121, 122),
        std=(60, 61, 62),
        seed=1,
        **options,
    )
    generator = np.random.default_rng(2)
    for layer in encoder.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, *_ = shapes = [weight.shape for weight in layer.get_weights()]
            values = [generator.normal(0, 0.3, shape) for shape in shapes]
            values[0] = generator.uniform(0.5, 1.5, gamma)
            values[3] = generator.uniform(0.3, 3.0, gamma)
            layer.set_weights(values)
    encoder.compile(keras.optimizers.SGD(0.01), loss="mse")
    images = smooth_pixels(height=side, width=side, seed=3)
    encoder.fit(images, generator.normal(size=(8, 16)), batch_size=4, verbose=0)
    return encoder


def colour_encoder(name, side=32):
    """An encoder trained to tell smooth images apart by their colours, 16 values each.

    Embeddings point everywhere, so that cosines tell images apart, and hardly move with the last
    bits of pixels or weights, as those of an encoder that has learned something.
    """
    encoder = encoders.build_encoder(
        name, (side, side, 3), embedding_dim=16, mean=(120, 121, 122), std=(60, 61, 62), seed=1
    )
    images = smooth_pixels(256, side, side, seed=3)
    coarse = tf.image.resize(images, (3, 3), antialias=True).numpy().reshape(256, 27) - 127
    targets = coarse @ np.random.default_rng(2).normal(size=(27, 16))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    encoder.compile(keras.optimizers.Adam(3e-3), loss="mse")
    encoder.fit(images, targets, batch_size=32, epochs=10, verbose=0)
    return encoder
