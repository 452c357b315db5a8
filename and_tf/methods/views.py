"""Several augmented views of each image of a batch, which pass through an encoder together."""

import tensorflow as tf

from and_tf.errors import Argument, UserError


def flat_views(images: tf.Tensor, views: int) -> tf.Tensor:
    """Flattens the views of a batch into a batch of images: (B, V, H, W, 3) to (B V, H, W, 3).

    The views of an image follow one another. A single view has no axis V and is returned unchanged.

    Raises:
        UserError: if the number of views differs.
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
    """Repeats a value of each image, (B, ...), for each of its views: (B V, ...)."""
    return values if views == 1 else tf.repeat(values, views, axis=0)


def mean_over_views(values: tf.Tensor, views: int) -> tf.Tensor:
    """Averages values over the views of each image: (B V, ...) to (B, ...)."""
    if views == 1:
        return values
    return tf.reduce_mean(tf.reshape(values, [-1, views, *values.shape[1:]]), axis=1)
