"""The training augmentation: random resized crop, flip, colour jitter, random grey.

A pure function of images and uniform draws, vectorised over the batch. Image j depends on draws[j]
alone: a run that is split over replicas, or resumed, sees the images of an uninterrupted one.
"""

import itertools
import math

import numpy as np
import tensorflow as tf

from and_tf.data.settings import AugmentationSettings

ATTEMPTS = 10  # crops tried before the centre crop
CROP_RATIOS = (3 / 4, 4 / 3)  # narrowest and widest crop, width over height
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R 601: sum to 1, so that grey stays grey

# Columns of the draws.
AREA = slice(0, ATTEMPTS)
RATIO = slice(ATTEMPTS, 2 * ATTEMPTS)
TOP, LEFT, FLIP, ORDER, BRIGHTNESS, CONTRAST, SATURATION, HUE, GREY = range(20, 29)
DRAWS_PER_IMAGE = 29

# The operations of the jitter and the 24 orders they come in: ORDERS[r, place] is an operation.
ADJUST_BRIGHTNESS, ADJUST_CONTRAST, ADJUST_SATURATION, SHIFT_HUE = range(4)
ORDERS = np.array(list(itertools.permutations(range(4))), "int32")  # (24, 4)


def draw(batch_size: int | tf.Tensor, seed: int | tf.Tensor, step: int | tf.Tensor) -> tf.Tensor:
    """The random numbers of one global batch.

    Args:
        batch_size: images in the global batch, an int or a scalar tensor.
        seed: the run's seed, an int or a scalar tensor.
        step: the global step, an int or a scalar tensor.

    Returns:
        (batch_size, DRAWS_PER_IMAGE) float32, uniform in [0, 1).
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(step, tf.int64)])  # (2,)
    return tf.random.stateless_uniform((batch_size, DRAWS_PER_IMAGE), seed=key, alg="philox")


def augment(
    images: tf.Tensor | np.ndarray, draws: tf.Tensor, settings: AugmentationSettings
) -> tf.Tensor:
    """Crops, flips, jitters and greys each image by its own draws.

    Args:
        images: (B, H, W, 3) uint8, or float in 0..255.
        draws: (B, DRAWS_PER_IMAGE) float32 from `draw`.
        settings: an `AugmentationSettings`.

    Returns:
        (B, S, S, 3) float32 in 0..255, not rounded; S is `settings.image_size`.
    """
    images = tf.ensure_shape(images, [None, None, None, 3])
    # Planes, (B, 3, H, W): every step below is then a batched matmul or acts on whole planes.
    planes = tf.transpose(tf.cast(images, tf.float32), [0, 3, 1, 2])
    planes = resized_crops(planes, draws, settings)  # (B, 3, S, S)
    if settings.color_jitter > 0:
        planes = jittered(planes, draws, settings.color_jitter)
    if settings.grey > 0:
        planes = greyed(planes, draws, settings.grey)
    return tf.transpose(planes, [0, 2, 3, 1])  # (B, S, S, 3)


def resized_crops(planes: tf.Tensor, draws: tf.Tensor, settings: AugmentationSettings) -> tf.Tensor:
    """Random crops (B, 3, H, W) -> (B, 3, S, S), antialiased bilinear, flipped where drawn."""
    height, width = tf.shape(planes)[2], tf.shape(planes)[3]
    size = settings.image_size
    top, left, crop_height, crop_width = tf.unstack(
        crop_boxes(draws, height, width, settings), axis=1
    )
    rows = interpolation(top, crop_height, height, size)  # (B, S, H)
    columns = interpolation(left, crop_width, width, size)  # (B, S, W)
    if settings.flip:
        mirrored = draws[:, FLIP, None, None] < 0.5
        columns = tf.where(mirrored, tf.reverse(columns, [1]), columns)
    planes = tf.matmul(rows[:, None], planes)  # (B, 3, S, W)
    planes = tf.matmul(planes, columns[:, None], transpose_b=True)  # (B, 3, S, S)
    return tf.clip_by_value(planes, 0.0, 255.0)  # the weights sum to 1 only up to rounding


def crop_boxes(
    draws: tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    settings: AugmentationSettings,
) -> tf.Tensor:
    """(B, 4) int32: top, left, height and width of each crop, in pixels of the source image.

    The first of ten (area, ratio) pairs that fits, else the largest centre crop of allowed ratio.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    smallest, (narrow, wide) = settings.crop_min_area, CROP_RATIOS
    area = height * width * (smallest + (1.0 - smallest) * draws[:, AREA])  # (B, ATTEMPTS)
    log_ratio = math.log(narrow) + (math.log(wide) - math.log(narrow)) * draws[:, RATIO]
    ratio = tf.exp(log_ratio)  # (B, ATTEMPTS)
    crop_width = tf.round(tf.sqrt(area * ratio))
    crop_height = tf.round(tf.sqrt(area / ratio))
    fits = (crop_width > 0) & (crop_width <= width) & (crop_height > 0) & (crop_height <= height)
    # reduce_min, because argmax leaves open which of equal values it returns.
    first = tf.reduce_min(tf.where(fits, tf.range(ATTEMPTS), ATTEMPTS), axis=1)  # (B,)
    fallback = tf.minimum(
        tf.stack([height, width]), tf.round(tf.stack([width / narrow, height * wide]))
    )
    tried = tf.stack([crop_height, crop_width], axis=2)  # (B, ATTEMPTS, 2)
    tried = tf.gather(tried, tf.minimum(first, ATTEMPTS - 1), batch_dims=1)  # (B, 2)
    found = (first < ATTEMPTS)[:, None]  # (B, 1)
    crop = tf.where(found, tried, fallback)  # (B, 2)
    room = tf.stack([height, width]) - crop  # (B, 2)
    corner = draws[:, TOP : LEFT + 1] * (room + 1.0)  # uniform over 0..room once rounded down
    corner = tf.floor(tf.where(found, tf.minimum(corner, room), room / 2.0))
    return tf.cast(tf.concat([corner, crop], axis=1), tf.int32)


def interpolation(
    start: tf.Tensor, length: tf.Tensor, source_size: int | tf.Tensor, size: int
) -> tf.Tensor:
    """The matrices (B, size, source_size) that resize `length` pixels from `start` to `size`.

    The triangle filter of PIL's BILINEAR: half-pixel centres, a support that grows with the scale
    when shrinking, weights that sum to 1. Pixels outside the crop have weight 0.
    """
    start = tf.cast(start, tf.float32)[:, None, None]
    length = tf.cast(length, tf.float32)[:, None, None]
    scale = length / size  # (B, 1, 1) source pixels per output pixel
    centre = start + (tf.range(size, dtype=tf.float32)[:, None] + 0.5) * scale  # (B, size, 1)
    pixel = tf.cast(tf.range(source_size), tf.float32) + 0.5  # (source_size,)
    weights = tf.nn.relu(1.0 - tf.abs(pixel - centre) / tf.maximum(scale, 1.0))
    weights = tf.where((pixel > start) & (pixel < start + length), weights, 0.0)
    return weights / tf.reduce_sum(weights, axis=2, keepdims=True)


def jittered(planes: tf.Tensor, draws: tf.Tensor, strength: float) -> tf.Tensor:
    """Brightness, contrast, saturation and hue of (B, 3, S, S), in each image's own order.

    All but hue are affine in the colour, and an affine step costs little. So each image goes
    through its affine steps before hue, hue, and its affine steps after hue; a step that is not
    the image's turn is the identity. Shapes stay static, and hue is computed once.
    """
    operations = operation_order(draws)  # (B, 4)
    factors, shift = jitter_amounts(draws, strength)  # (B, 3), (B,)
    pixels = tf.reshape(planes, [-1, 3, tf.shape(planes)[2] * tf.shape(planes)[3]])
    hue_place = tf.argmax(tf.equal(operations, SHIFT_HUE), axis=1, output_type=tf.int32)  # (B,)
    for place in range(3):
        pixels = affine_step(pixels, operations[:, place], factors, place < hue_place)
    pixels = shift_hue(pixels, shift)
    for place in range(1, 4):
        pixels = affine_step(pixels, operations[:, place], factors, place > hue_place)
    return tf.reshape(pixels, tf.shape(planes))


def operation_order(draws: tf.Tensor) -> tf.Tensor:
    """(B, 4) int32: the jitter's operations in the order in which they act on each image."""
    order = tf.cast(draws[:, ORDER] * len(ORDERS), tf.int32)
    return tf.gather(ORDERS, tf.minimum(order, len(ORDERS) - 1))


def jitter_amounts(draws: tf.Tensor, strength: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Factors (B, 3) of brightness, contrast and saturation, and hue shifts (B,) in turns."""
    smallest, largest = max(0.0, 1.0 - strength), 1.0 + strength
    factors = smallest + (largest - smallest) * draws[:, BRIGHTNESS : SATURATION + 1]
    hue = min(strength, 0.5)
    return factors, hue * (2.0 * draws[:, HUE] - 1.0)


def affine_step(
    pixels: tf.Tensor, operation: tf.Tensor, factors: tf.Tensor, active: tf.Tensor
) -> tf.Tensor:
    """factor * colour + (1 - factor) * blend, clipped; the identity where not `active`.

    Blend is 0 for brightness, the image's mean grey for contrast, the pixel's grey for saturation.

    Args:
        pixels: (B, 3, M) float32 in 0..255.
        operation: (B,) int32. factors: (B, 3). active: (B,) bool.
    """
    factor = tf.gather(factors, tf.minimum(operation, ADJUST_SATURATION), batch_dims=1)  # (B,)
    factor = tf.where(active, factor, 1.0)[:, None, None]
    rest = 1.0 - factor  # (B, 1, 1)
    saturation = (operation == ADJUST_SATURATION)[:, None, None]
    contrast = (operation == ADJUST_CONTRAST)[:, None, None]
    matrix = factor * tf.eye(3) + tf.where(saturation, rest, 0.0) * to_grey()  # (B, 3, 3)
    mean_grey = tf.matmul(to_grey(), tf.reduce_mean(pixels, axis=2, keepdims=True))  # (B, 3, 1)
    pixels = tf.matmul(matrix, pixels) + tf.where(contrast, rest, 0.0) * mean_grey
    return tf.clip_by_value(pixels, 0.0, 255.0)


def to_grey() -> tf.Tensor:
    """The matrix (3, 3) that gives all three channels the grey of a colour."""
    return tf.tile(tf.constant([GREY_WEIGHTS]), [3, 1])


def shift_hue(pixels: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Turns the HSV hue of (B, 3, M) by `shift` (B,) turns; saturation and value stay."""
    red, green, blue = tf.unstack(pixels, axis=1)  # (B, M)
    value = tf.reduce_max(pixels, axis=1)
    chroma = value - tf.reduce_min(pixels, axis=1)
    # Hue in sixths of a turn. Grey pixels get any hue: their chroma is 0.
    is_red, is_green = value == red, value == green
    sector = tf.where(is_red, 0.0, tf.where(is_green, 2.0, 4.0))
    lead = tf.where(is_red, green - blue, tf.where(is_green, blue - red, red - green))
    sixths = sector + tf.math.divide_no_nan(lead, chroma) + 6.0 * shift[:, None]  # (B, M)
    # A channel falls from the value by 0 to 1 chroma, as a trapezium over the turn.
    position = sixths[:, None] + tf.constant([[5.0], [3.0], [1.0]])  # (B, 3, M)
    position -= 6.0 * tf.floor(position / 6.0)  # floormod, at a tenth of its time
    fall = tf.clip_by_value(tf.minimum(position, 4.0 - position), 0.0, 1.0)
    return value[:, None] - chroma[:, None] * fall


def greyed(planes: tf.Tensor, draws: tf.Tensor, probability: float) -> tf.Tensor:
    """Turns (B, 3, S, S) grey where drawn."""
    red, green, blue = tf.unstack(planes, axis=1)
    grey = GREY_WEIGHTS[0] * red + GREY_WEIGHTS[1] * green + GREY_WEIGHTS[2] * blue  # (B, S, S)
    return tf.where(draws[:, GREY, None, None, None] < probability, grey[:, None], planes)
