"""A border of pixels that an encoder crops first, so that its callers only have to resize.

Evaluation may resize an image to 256 pixels and keep the central 224. Elsewhere, as in `embed`, in
every export format and in other programs, an encoder takes the 256 pixels and crops them itself.
"""

import keras

from and_tf.data.decode import centre_start, resized_side

BORDER = "border"  # name of the layer


def with_border(encoder: keras.Model, eval_crop: float) -> keras.Model:
    """An encoder that takes larger images and crops their centre first.

    Args:
        encoder: functional, of images (B, S, S, 3).
        eval_crop: fraction of the side of the larger images that the centre covers.

    Returns:
        A copy with the same layers and weights after a layer that crops; the encoder itself if
        `eval_crop` is 1.
    """
    size = encoder.input_shape[1]
    side = resized_side(size, eval_crop)
    if side == size:
        return encoder
    start = centre_start(side, size)
    margins = (start, side - size - start)
    images = keras.Input((side, side, 3), name="images")
    cropped = keras.layers.Cropping2D((margins, margins), name=BORDER)(images)
    return _copied(images, encoder.call(cropped), encoder)


def without_border(encoder: keras.Model) -> keras.Model:
    """An encoder of cropped images: without the layer that crops, if it has one."""
    border = next((layer for layer in encoder.layers if layer.name == BORDER), None)
    if border is None:
        return encoder
    inner = keras.Model(border.output, encoder.output)
    images = keras.Input(border.output.shape[1:], name="images")
    return _copied(images, inner.call(images), encoder)


def _copied(images: keras.KerasTensor, output: keras.KerasTensor, of: keras.Model) -> keras.Model:
    """A model of fresh layers: a layer that is called twice has no single output to look up."""
    copy = keras.models.clone_model(keras.Model(images, output, name=of.name))
    copy.set_weights(of.get_weights())
    return copy
