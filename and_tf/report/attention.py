"""Where the network looks: Grad-CAM of similarity, which needs no labels."""

import keras
import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from and_tf import encoders
from and_tf.errors import UserError

MIN_POSITIONS = 7  # per side; a ResNet's last maps at 32 pixels have 4, too few to locate anything
BATCH = 16  # the gradient keeps every layer's maps
COLOURS = "inferno"


def attention_layer(encoder: keras.Model) -> str:
    """The deepest convolutional layer whose maps still have at least 7 x 7 positions.

    Grad-CAM's authors use the last convolutional layer, the most semantic one, whose maps have 7
    or 14 positions per side at 224 pixels. At 32 pixels a ResNet's last stage has 4, so the stage
    before it is used; for even smaller images, the deepest layer with the finest maps.
    """
    names = [name for name in encoders.layer_names(encoder) if name != "fc"]
    sides = {name: min(encoders.layer_output(encoder, name).shape[1:3]) for name in names}
    enough = min(MIN_POSITIONS, max(sides.values()))
    return [name for name in names if sides[name] >= enough][-1]


def similarity_attention(
    encoder: keras.Model, layer: str, images: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Which parts of an image make it similar to another one.

    Grad-CAM with the cosine similarity of the image's embedding to a target in place of a class's
    score: the sum of the layer's maps, each weighted by the mean gradient of the similarity over
    its positions, with negative values set to 0. The embedding's length before normalisation is
    treated as a constant: otherwise the gradient vanishes, and its direction becomes meaningless,
    as an image approaches its target.

    Args:
        encoder: from images (B, H, W, 3) in 0..255 to embeddings (B, D).
        layer: a convolutional layer, such as `attention_layer(encoder)`.
        images: (n, H, W, 3) uint8.
        targets: (n, D) float, embedding of each image's counterpart, such as its nearest neighbour.

    Returns:
        (n, h, w) float32 at the layer's resolution, each map with a maximum of 1; all 0 if nothing
        contributes to the similarity.

    Raises:
        UserError: if images and targets differ in number.

    Reference: Selvaraju et al., Grad-CAM, ICCV 2017, eq. 1 and 2; for embeddings Chen et al.,
    Adapting Grad-CAM for Embedding Networks, WACV 2020.
    """
    if len(images) != len(targets):
        raise UserError(
            f"Each image needs one target. Received {len(images)} images, {len(targets)} targets."
        )
    output, vectors = encoders.layer_output(encoder, layer), encoders.before_normalisation(encoder)
    model = keras.Model(encoder.input, [output, vectors])
    starts = range(0, len(images), BATCH)
    maps = [_grad_cam(model, images[i : i + BATCH], targets[i : i + BATCH]) for i in starts]
    return np.concatenate(maps) if maps else np.empty((0, *output.shape[1:3]), np.float32)


def _grad_cam(model: keras.Model, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    targets = tf.math.l2_normalize(tf.cast(targets, tf.float32), axis=1)  # (B, D)
    with tf.GradientTape() as tape:
        maps, rows = model(tf.cast(images, tf.float32), training=False)  # (B, h, w, c), (B, D)
        products = tf.reduce_sum(tf.cast(rows, tf.float32) * targets, axis=1)  # (B,)
    gradients = tf.cast(tape.gradient(products, maps), tf.float32)  # (B, h, w, c)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)  # (B, 1, 1, c)
    attention = tf.nn.relu(tf.reduce_sum(weights * tf.cast(maps, tf.float32), axis=-1))
    largest = tf.reduce_max(attention, axis=(1, 2), keepdims=True)  # (B, 1, 1)
    return tf.math.divide_no_nan(attention, largest).numpy()  # (B, h, w)


def overlay(images: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Images in grey under their maps in colour, dark where the map is 0 and yellow where it is 1.

    Args:
        images: (n, H, W, 3) uint8.
        maps: (n, h, w) float in 0..1, enlarged smoothly to (n, H, W).

    Returns:
        (n, H, W, 3) uint8.
    """
    height, width = images.shape[1:3]
    shown = np.empty(images.shape, np.uint8)
    for number, (image, values) in enumerate(zip(images, maps, strict=True)):
        enlarged = Image.fromarray(np.float32(values)).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        heat = matplotlib.colormaps[COLOURS](np.clip(np.asarray(enlarged), 0, 1))[
            ..., :3
        ]  # (H, W, 3) in 0..1
        grey = image.mean(axis=-1, keepdims=True)  # (H, W, 1) in 0..255
        shown[number] = np.rint(0.45 * grey + 0.55 * 255 * heat)
    return shown
