"""The augmentation against a loop over images and pixels that follows torchvision's definition."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from and_tf.data.augmentation import color, columns
from and_tf.data.augmentation.augment import augment
from and_tf.data.augmentation.crop import crop_boxes
from and_tf.data.augmentation.crop_box import crop_box, with_whole_crop
from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.settings import AugmentationSettings

CROP_ONLY = {"color_jitter": 0.0, "grey": 0.0}
GREY_OF_PIL = np.array([0.299, 0.587, 0.114])


def photos(count, height=32, width=32, seed=0):
    """Smooth colour patches with noise on top and some saturated pixels, uint8."""
    rng = np.random.default_rng(seed)
    images = []
    for coarse in rng.integers(0, 256, (count, 5, 5, 3), "uint8"):
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))
        images.append(np.clip(1.3 * smooth - 30 + rng.normal(0, 12, smooth.shape), 0, 255))
    return np.array(images).astype("uint8").reshape(count, height, width, 3)


def noise_of(count, seed=0):
    return augmentation_noise(count, seed, step=0).numpy()


# The naive loop.


def naive_box(noise, height, width, settings):
    """RandomResizedCrop.get_params."""
    for attempt in range(10):
        fraction = settings.crop_min_area + (1 - settings.crop_min_area) * float(noise[attempt])
        log_ratio = math.log(3 / 4) + (math.log(4 / 3) - math.log(3 / 4)) * float(
            noise[10 + attempt]
        )
        area, ratio = fraction * height * width, math.exp(log_ratio)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = math.floor(float(noise[20]) * (height - h + 1))
            left = math.floor(float(noise[21]) * (width - w + 1))
            return top, left, h, w
    return naive_centre_box(height, width)


def naive_centre_box(height, width):
    w, h = width, height
    if width / height < 3 / 4:
        h = round(width / (3 / 4))
    elif width / height > 4 / 3:
        w = round(height * (4 / 3))
    return (height - h) // 2, (width - w) // 2, h, w


def naive_resize(image, size):
    """PIL's own filter, on float planes so that nothing is rounded."""
    planes = [Image.fromarray(plane.astype("float32")) for plane in np.moveaxis(image, -1, 0)]
    return np.stack([plane.resize((size, size), Image.BILINEAR) for plane in planes], axis=-1)


def naive_blend(image, other, factor):
    return np.clip(factor * image + (1 - factor) * other, 0, 1)


def naive_hue(image, shift):
    out = np.empty_like(image)
    for row, column in np.ndindex(image.shape[:2]):
        hue, saturation, value = colorsys.rgb_to_hsv(*image[row, column])
        out[row, column] = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
    return out


def naive_grey(image):
    return np.repeat((image @ GREY_OF_PIL)[..., None], 3, axis=-1)


def naive_augment(image, noise, settings):
    top, left, h, w = naive_box(noise, *image.shape[:2], settings)
    image = naive_resize(image[top : top + h, left : left + w], settings.image_size) / 255.0
    if settings.flip and noise[22] < 0.5:
        image = image[:, ::-1]
    strength = settings.color_jitter
    low, high = max(0.0, 1 - strength), 1 + strength
    brightness, contrast, saturation = (low + (high - low) * float(u) for u in noise[24:27])
    shift = min(strength, 0.5) * (2 * float(noise[27]) - 1)
    order = list(itertools.permutations(range(4)))[int(24 * float(noise[23]))]
    for operation in order if strength else ():
        if operation == 0:
            image = naive_blend(image, 0.0, brightness)
        elif operation == 1:
            image = naive_blend(image, naive_grey(image).mean(), contrast)
        elif operation == 2:
            image = naive_blend(image, naive_grey(image), saturation)
        else:
            image = naive_hue(image, shift)
    if noise[28] < settings.grey:
        image = naive_grey(image)
    return 255.0 * image


# The images.


@pytest.mark.parametrize(
    "settings",
    [
        AugmentationSettings(image_size=16),
        AugmentationSettings(
            image_size=16, crop_min_area=0.08, color_jitter=1.0, grey=0.5, flip=True
        ),
        AugmentationSettings(image_size=20, color_jitter=0.0),
        AugmentationSettings(image_size=12, crop_min_area=1.0, grey=0.0),
        AugmentationSettings(image_size=12, color_jitter=0.0, grey=1.0, flip=True),
    ],
    ids=str,
)
@pytest.mark.parametrize(("height", "width"), [(16, 16), (21, 34)])
def test_images_equal_those_of_the_naive_loop(settings, height, width):
    images, noise = photos(24, height, width), noise_of(24, seed=3)
    noise[:, columns.ORDER] = (np.arange(24) + 0.5) / 24  # each order once
    expected = [naive_augment(*pair, settings) for pair in zip(images, noise, strict=True)]
    found = augment(images, noise, settings)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (50, 75), (100, 40), (200, 200)])
@pytest.mark.parametrize("size", [24, 64])
def test_crops_are_within_a_grey_level_of_pil(height, width, size):
    images, noise = photos(8, height, width), noise_of(8)
    settings = AugmentationSettings(image_size=size, crop_min_area=0.1, **CROP_ONLY)
    found = augment(images, noise, settings).numpy()
    boxes = crop_boxes(noise, height, width, settings).numpy()
    for image, crop, (top, left, h, w) in zip(images, found, boxes, strict=True):
        pil = Image.fromarray(image).crop((left, top, left + w, top + h))
        pil = np.asarray(pil.resize((size, size), Image.BILINEAR), "float32")
        assert np.abs(crop - pil).max() < 1.0 + 1e-3


def test_pixels_outside_the_crop_do_not_count():
    images, noise = photos(16), noise_of(16)
    settings = AugmentationSettings(image_size=8, **CROP_ONLY)
    outside = np.ones(images.shape, bool)
    boxes = crop_boxes(noise, 32, 32, settings).numpy().astype(int)
    for mask, (top, left, h, w) in zip(outside, boxes, strict=True):
        mask[top : top + h, left : left + w] = False
    changed = np.where(outside, 255 - images, images)
    np.testing.assert_array_equal(
        augment(images, noise, settings), augment(changed, noise, settings)
    )


def test_without_crop_jitter_and_grey_an_image_stays_as_it_is():
    images = photos(8)
    settings = AugmentationSettings(crop_min_area=1.0, color_jitter=0.0, grey=0.0)
    np.testing.assert_allclose(augment(images, noise_of(8), settings), images, atol=1e-3)


def test_a_flip_mirrors_the_images_drawn_and_only_those():
    images, noise = photos(32), noise_of(32)
    plain = augment(images, noise, AugmentationSettings(flip=False)).numpy()
    flipped = augment(images, noise, AugmentationSettings(flip=True)).numpy()
    mirrored = noise[:, columns.FLIP] < 0.5
    assert 0 < mirrored.sum() < 32
    np.testing.assert_allclose(flipped[mirrored], plain[mirrored][:, :, ::-1], atol=1e-3)
    np.testing.assert_array_equal(flipped[~mirrored], plain[~mirrored])


def test_values_stay_within_0_and_255():
    images = np.random.default_rng(0).choice([0, 255], (64, 32, 32, 3)).astype("uint8")
    found = augment(images, noise_of(64), AugmentationSettings(color_jitter=1.0, flip=True)).numpy()
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert found.min() >= -1e-3 and found.max() <= 255.001


@pytest.mark.parametrize("shift", [-0.5, -0.3, 0.0, 0.1, 0.5])
def test_the_hue_shift_is_that_of_colorsys(shift):
    levels = np.array(list(itertools.product([0, 51, 128, 255], repeat=3))) / 255.0  # (64, 3)
    found = color.shift_hue(tf.constant(255.0 * levels.T[None], tf.float32), tf.constant([shift]))
    expected = naive_hue(levels[None], shift)[0]
    np.testing.assert_allclose(found[0].numpy().T, 255.0 * expected, atol=1e-2)


def test_uint8_and_float_images_give_the_same():
    images, noise = photos(4), noise_of(4)
    as_float = augment(images.astype("float32"), noise, AugmentationSettings())
    np.testing.assert_array_equal(augment(images, noise, AugmentationSettings()), as_float)


# The distributions.


def torchvision_boxes(count, height, width, smallest, seed):
    """RandomResizedCrop.get_params with numbers of its own."""
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(count):
        for _ in range(10):
            area = height * width * rng.uniform(smallest, 1)
            ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                boxes.append(
                    (rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w)
                )
                break
        else:
            boxes.append(naive_centre_box(height, width))
    return np.array(boxes)


def largest_gap(sample, other):
    """The Kolmogorov-Smirnov distance of two samples."""
    points = np.concatenate([sample, other])
    below = [np.searchsorted(np.sort(s), points, side="right") / len(s) for s in (sample, other)]
    return np.abs(below[0] - below[1]).max()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 60), (90, 30)])
@pytest.mark.parametrize("smallest", [0.08, 0.2])
def test_crops_are_distributed_as_torchvisions(height, width, smallest):
    count = 10_000
    settings = AugmentationSettings(crop_min_area=smallest)
    found = crop_boxes(noise_of(count, seed=11), height, width, settings).numpy()
    expected = torchvision_boxes(count, height, width, smallest, seed=5)
    for quantity in (
        lambda top, left, h, w: h * w,
        lambda top, left, h, w: w / h,
        lambda top, left, h, w: top,
        lambda top, left, h, w: left,
        lambda top, left, h, w: top + h,
        lambda top, left, h, w: left + w,
    ):
        # Equal distributions exceed 0.0276 once in a thousand.
        assert largest_gap(quantity(*found.T), quantity(*expected.T)) < 0.0276


@pytest.mark.parametrize(("height", "width"), [(32, 32), (37, 60), (90, 30), (480, 640), (9, 900)])
@pytest.mark.parametrize("smallest", [0.08, 1.0])
def test_the_box_of_one_image_is_that_of_a_batch(height, width, smallest):
    settings, noise = AugmentationSettings(crop_min_area=smallest), noise_of(500, seed=3)
    expected = crop_boxes(noise, height, width, settings).numpy()
    found = [crop_box(row, height, width, settings) for row in noise]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("size", [8, 31, 32, 96, 224, 513])
@pytest.mark.parametrize("smallest", [0.08, 0.2, 0.333])
def test_without_a_crop_the_whole_square_stays_bit_for_bit(size, smallest):
    settings = AugmentationSettings(image_size=size, crop_min_area=smallest, **CROP_ONLY)
    noise, images = with_whole_crop(noise_of(2)), photos(2, size, size)
    assert (crop_boxes(noise, size, size, settings).numpy() == [0, 0, size, size]).all()
    np.testing.assert_array_equal(augment(images, noise, settings), images)
    assert not np.array_equal(noise, noise_of(2)) and noise.dtype == np.float32


def test_crop_corners_are_uniform_over_the_room_left():
    settings = AugmentationSettings(crop_min_area=0.2)
    boxes = crop_boxes(noise_of(40_000), 32, 32, settings).numpy().astype(int)
    for start, length in [(0, 2), (1, 3)]:
        corners = boxes[boxes[:, length] == 24][:, start]
        fractions = np.bincount(corners, minlength=9) / len(corners)
        assert len(fractions) == 9  # 0..8
        np.testing.assert_allclose(fractions, 1 / 9, atol=5 * math.sqrt(0.1 / len(corners)))


@pytest.mark.parametrize("value", [0.0, np.nextafter(np.float32(1), np.float32(0))])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (500, 333), (1, 1), (2, 9)])
def test_the_outermost_draws_stay_inside_the_image(value, height, width):
    noise = np.full((1, columns.VALUES_PER_IMAGE), value, "float32")
    (top, left, h, w), *_ = crop_boxes(noise, height, width, AugmentationSettings()).numpy()
    assert 0 <= top <= top + h <= height and 0 <= left <= left + w <= width and h > 0 and w > 0
    assert np.isfinite(
        augment(photos(1, height, width), noise, AugmentationSettings(flip=True))
    ).all()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (40, 24), (30, 40), (10, 100)])
def test_the_fallback_is_the_centre_crop_of_torchvision(height, width):
    settings = AugmentationSettings(crop_min_area=1.0)
    noise = noise_of(200)
    noise[:, columns.RATIO] = 0.0 if width > height else 0.9999  # no attempt fits
    boxes = crop_boxes(noise, height, width, settings).numpy()
    assert (boxes == naive_centre_box(height, width)).all()


@pytest.mark.parametrize(
    ("strength", "low", "high", "turn"), [(0.4, 0.6, 1.4, 0.4), (1.5, 0.0, 2.5, 0.5)]
)
def test_jitter_amounts_fill_their_ranges_evenly(strength, low, high, turn):
    factors, shift = map(np.asarray, color.jitter_amounts(noise_of(20_000), strength))
    assert factors.shape == (20_000, 3)
    even = np.linspace(0, 1, 20_000)
    for column in factors.T:
        assert largest_gap(column, low + (high - low) * even) < 0.02
        assert column.min() >= low - 1e-6 and column.max() <= high + 1e-6
    assert largest_gap(shift, turn * (2 * even - 1)) < 0.02
    assert np.abs(shift).max() <= turn + 1e-6


def test_each_of_the_24_orders_comes_equally_often():
    orders = color.operation_order(noise_of(48_000)).numpy()
    seen, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(seen) == 24 and (np.sort(seen, axis=1) == np.arange(4)).all()
    np.testing.assert_allclose(counts, 2000, atol=5 * math.sqrt(2000))


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_the_fraction_of_grey_images_is_the_probability(probability):
    pixel = np.full((20_000, 1, 1, 3), [200, 100, 50], "uint8")
    settings = AugmentationSettings(image_size=8, color_jitter=0.0, grey=probability)
    found = augment(pixel, noise_of(20_000), settings).numpy()
    is_grey = np.ptp(found, axis=-1) < 1e-3
    assert is_grey.mean() == pytest.approx(probability, abs=0.012)


def test_the_draws_of_an_image_are_not_correlated():
    correlation = np.corrcoef(noise_of(20_000).T)
    assert np.abs(correlation - np.eye(columns.VALUES_PER_IMAGE)).max() < 5 / math.sqrt(20_000)


# What the noise depend on, and what the images depend on.


def test_draws_are_uniform_and_repeat_for_the_same_seed_and_step():
    first = augmentation_noise(500, seed=1, step=2).numpy()
    assert first.dtype == np.float32 and first.shape == (500, columns.VALUES_PER_IMAGE)
    assert first.min() >= 0 and first.max() < 1
    np.testing.assert_array_equal(first, augmentation_noise(500, seed=1, step=2))
    as_tensors = augmentation_noise(tf.constant(500), tf.constant(1), tf.constant(2, tf.int64))
    np.testing.assert_array_equal(first, as_tensors)


def test_other_seeds_and_steps_give_other_draws():
    pairs = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2**40, 1), (0, 2**40)]
    batches = [augmentation_noise(3, seed, step).numpy() for seed, step in pairs]
    for one, other in itertools.combinations(batches, 2):
        assert not np.isclose(one, other).any(axis=1).all()


def assert_same_images(found, expected):
    """Up to rounding: TensorFlow's threads divide each batch, and where vector instructions end and
    scalar ones take over, the last bit may differ."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_an_image_depends_on_its_own_noise_only():
    settings = AugmentationSettings(flip=True)
    images, noise = photos(5), noise_of(5)
    whole = augment(images, noise, settings).numpy()
    parts = [augment(images[a:b], noise[a:b], settings) for a, b in [(0, 3), (3, 5)]]
    assert_same_images(whole, np.concatenate(parts))
    alone = [augment(images[j : j + 1], noise[j : j + 1], settings)[0] for j in range(5)]
    assert_same_images(whole, alone)


@pytest.mark.parametrize("batch_size", [4, 3])
def test_eager_function_and_pipeline_give_the_same(batch_size):
    settings = AugmentationSettings(image_size=24, flip=True)
    images = photos(10, 20, 36)
    starts = range(0, 10, batch_size)  # the last batch is a partial one

    def view(step, batch):
        return augment(batch, augmentation_noise(tf.shape(batch)[0], 7, step), settings)

    eager = [view(s, images[a : a + batch_size]) for s, a in enumerate(starts)]
    graph = tf.function(view, input_signature=[tf.TensorSpec([]), tf.TensorSpec([None] * 4)])
    traced = [graph(float(s), np.float32(images[a : a + batch_size])) for s, a in enumerate(starts)]
    pipeline = tf.data.Dataset.from_tensor_slices(images).batch(batch_size).enumerate().map(view)
    assert pipeline.element_spec.shape.as_list() == [None, 24, 24, 3]
    for one, two, three in zip(eager, traced, pipeline, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-2)
        np.testing.assert_allclose(one, three, atol=1e-2)


@pytest.mark.parametrize("batch_size", [0, 1])
def test_empty_and_single_batches_pass(batch_size):
    images = photos(max(batch_size, 1))[:batch_size]
    noise = augmentation_noise(batch_size, 0, 0)
    for call in (augment, tf.function(augment)):
        assert call(images, noise, AugmentationSettings(flip=True)).shape == (batch_size, 32, 32, 3)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("image_size", 7),
        ("crop_min_area", 0.0),
        ("crop_min_area", 1.1),
        ("color_jitter", -0.1),
        ("color_jitter", math.nan),
        ("grey", -0.1),
        ("grey", 1.5),
    ],
)
def test_a_setting_out_of_range_names_its_flag_and_value(flag, value):
    with pytest.raises(ValueError, match=f"{flag}={value}"):
        AugmentationSettings(**{flag: value})


@pytest.mark.parametrize("count", [1, 3, 128])
def test_the_numbers_of_a_second_view_follow_those_of_the_first(count):
    one, two = (augmentation_noise(count, 5, 9, views).numpy() for views in (1, 2))
    assert one.shape == (count, columns.VALUES_PER_IMAGE)
    np.testing.assert_array_equal(two[:, 0], one)
    np.testing.assert_array_equal(two[:, 1], augmentation_noise(2 * count, 5, 9)[count:])


def test_views_are_augmented_as_images_of_their_own():
    images = photos(6).reshape(3, 2, 32, 32, 3)
    settings, noise = AugmentationSettings(image_size=20, flip=True), noise_of(6).reshape(3, 2, -1)
    found = augment(images, noise, settings).numpy()
    for view in range(2):
        assert_same_images(found[:, view], augment(images[:, view], noise[:, view], settings))
