"""Several augmented views of each image of a batch, which go through an encoder together."""

import tensorflow as tf

from and_tf.errors import Argument, UserError


def flat_views(images: tf.Tensor, views: int) -> tf.Tensor:
    """The views of a batch as a batch of images: (B, V, H, W, 3) to (B V, H, W, 3).

    The views of an image follow one another. A single view comes without the axis V, and is given
    back as it is.

    Raises:
        UserError: if there is another number of views.
    """
    if views == 1:
        return images
    shape = images.shape
    if shape.rank != 5 or shape[1] not in (None, views):
        raise UserError(
            Argument("views", views), f" takes batches of images (B, {views}, H, W, 3), as "
            f"train_pipeline(views={views}) yields them. Received shape {shape}.",
        )  # fmt: skip
    sizes = [tf.shape(images)[axis] if shape[axis] is None else shape[axis] for axis in (2, 3, 4)]
    return tf.reshape(images, [-1, *sizes])


def of_each_view(values: tf.Tensor, views: int) -> tf.Tensor:
    """What images have, (B, ...), for each of their views: (B V, ...)."""
    return values if views == 1 else tf.repeat(values, views, axis=0)


def mean_over_views(values: tf.Tensor, views: int) -> tf.Tensor:
    """The mean of what the views of each image have: (B V, ...) to (B, ...)."""
    if views == 1:
        return values
    return tf.reduce_mean(tf.reshape(values, [-1, views, *values.shape[1:]]), axis=1)
