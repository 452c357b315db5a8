"""Resizes images of any size for an encoder, in TensorFlow."""

import tensorflow as tf


def resize_and_crop(images: tf.Tensor, side: int) -> tf.Tensor:
    """The centre square, resized to `side` with antialiasing in one resampling, as uint8.

    This is what `and_tf` does with images when it evaluates and embeds (`data.decode.square`, with
    Pillow), within 1 of 255. Images that already have this size are unchanged.

    Args:
        images: (..., H, W, 3) uint8 tensor, three or four dimensions.
        side: int, pixels.

    Returns:
        (..., side, side, 3) uint8 tensor.
    """
    size = tf.shape(images)[-3:-1]  # (2,)
    height_and_width = tf.cast(size, tf.float32)
    shorter = tf.reduce_min(height_and_width)
    scale = side / shorter
    corner = (height_and_width - shorter) / 2  # of the square, pixels of the original
    batch = images if images.shape.rank == 4 else images[None]
    # Not tf.image.resize and a crop, which would round the longer side and the corner to pixels.
    resized = tf.raw_ops.ScaleAndTranslate(
        images=batch,
        size=[side, side],
        scale=tf.stack([scale, scale]),
        translation=-corner * scale,
        kernel_type="triangle",
        antialias=True,
    )
    resized = resized if images.shape.rank == 4 else resized[0]
    resized = tf.ensure_shape(resized, (*images.shape[:-3], side, side, images.shape[-1]))
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
