"""Training crops are cut from the original; evaluation sees it once resized and centre cropped."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.pictures import photo, pixels, write_photos
from PIL import Image

from and_tf.data import crops
from and_tf.data.augmentation.crop_box import crop_box
from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.cache import cached
from and_tf.data.crops import training_image
from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.opening import open_source

SIZE = 96
SHAPES = [(300, 200), (120, 410), (97, 96), (96, 96), (64, 64), (50, 130), (700, 500)]
SETTINGS = AugmentationSettings(image_size=SIZE, crop_min_area=0.1)
NOISE = augmentation_noise(len(SHAPES), 1, 0).numpy()


def centre_square(image):
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def random_crop(image, noise):
    scale = max(1.0, SIZE / min(image.size))
    if scale > 1:
        width, height = round(image.width * scale), round(image.height * scale)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    top, left, height, width = crop_box(noise, image.height, image.width, SETTINGS)
    crop = image.crop((left, top, left + width, top + height))
    return np.asarray(crop.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


@pytest.fixture(params=["png", "arrays"])
def photos_and_source(request, tmp_path):
    if request.param == "png":
        return write_photos(tmp_path, SHAPES), open_source(f"folder:{tmp_path}")
    images = pixels(len(SHAPES), side=200)
    return [Image.fromarray(image) for image in images], array_source(images)


@pytest.mark.parametrize("cache_bytes", [0, 250_000, 1 << 30])  # none, some and all fit
def test_evaluation_and_crops_are_those_of_pillow_whatever_is_cached(
    photos_and_source, cache_bytes
):
    photos, opened = photos_and_source
    source = cached(opened, SIZE, cache_bytes)
    every = np.arange(len(photos))
    np.testing.assert_array_equal(source.load(every, SIZE), [centre_square(p) for p in photos])
    np.testing.assert_array_equal(source.load(every, 32), opened.load(every, 32))
    for _ in range(2):  # the second time from what was kept
        images, rest = source.load_crops(every, NOISE, SETTINGS)
        for found, left, noise, image in zip(images, rest, NOISE, photos, strict=True):
            if image.width == image.height <= SIZE:
                np.testing.assert_array_equal(found, centre_square(image))
                np.testing.assert_array_equal(left, noise)
            else:
                np.testing.assert_array_equal(found, random_crop(image, noise))
                assert crop_box(left, SIZE, SIZE, SETTINGS) == (0, 0, SIZE, SIZE)
        np.testing.assert_array_equal(rest[:, 20:], NOISE[:, 20:])


def test_batches_of_photos_do_not_depend_on_the_cache(tmp_path):
    write_photos(tmp_path, SHAPES, "jpg", quality=90)
    source = open_source(f"folder:{tmp_path}")
    epochs = [
        list(train_pipeline(cached(source, SIZE, budget), 4, SETTINGS, seed=2).as_numpy_iterator())
        for budget in (0, 400_000, 1 << 30)
    ]
    for batches in zip(*epochs, strict=True):
        for images, indices in batches:
            np.testing.assert_array_equal(images, batches[0][0])
            np.testing.assert_array_equal(indices, batches[0][1])


def test_a_kept_original_spares_the_second_decoding(tmp_path):
    write_photos(tmp_path, [(200, 150)] * 3, "jpg")
    source = cached(open_source(f"folder:{tmp_path}"), SIZE)
    first, _ = source.load_crops([0, 1, 2], NOISE[:3], SETTINGS)
    for path in tmp_path.iterdir():
        path.unlink()
    again, _ = source.load_crops([0, 1, 2], NOISE[:3], SETTINGS)
    np.testing.assert_array_equal(first, again)


def test_a_large_jpeg_is_decoded_smaller_and_hardly_differs(tmp_path):
    image = photo(1600, 1200)
    image.save(tmp_path / "a.jpg", quality=95)
    settings = AugmentationSettings(image_size=32, crop_min_area=0.3)
    with Image.open(tmp_path / "a.jpg") as file:
        whole = file.convert("RGB")
    for noise in NOISE:
        found = training_image(str(tmp_path / "a.jpg"), noise, settings)
        assert found.is_cropped and found.original is None
        top, left, height, width = crop_box(noise, 1200, 1600, settings)
        crop = whole.crop((left, top, left + width, top + height))
        expected = np.asarray(crop.resize((32, 32), Image.Resampling.BILINEAR), int)
        assert np.abs(found.pixels - expected).max() <= 4


def test_crops_of_a_turned_photo_are_those_of_the_upright_one(tmp_path):
    upright = photo(300, 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright.save(tmp_path / "upright.png")
    turned, expected = (
        training_image(str(tmp_path / name), NOISE[0], SETTINGS).pixels
        for name in ("turned.png", "upright.png")
    )
    np.testing.assert_array_equal(turned, expected)


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_all_views_are_cut_from_an_image_that_is_decoded_once(
    photos_and_source, cache_bytes, monkeypatch
):
    photos, opened = photos_and_source
    source, every = cached(opened, SIZE, cache_bytes), np.arange(len(photos))
    noise = augmentation_noise(len(SHAPES), 1, 0, views=2).numpy()
    singles = [source.load_crops(every, noise[:, view], SETTINGS) for view in range(2)]
    source, decoded = cached(opened, SIZE, cache_bytes), []
    plain = crops.with_image
    monkeypatch.setattr(crops, "with_image", lambda *args: decoded.append(1) or plain(*args))
    images, rest = source.load_crops(every, noise, SETTINGS)
    assert len(decoded) == (len(photos) if isinstance(opened, EncodedSource) else 0)
    for view, (expected, left) in enumerate(singles):
        np.testing.assert_array_equal(images[:, view], expected)
        np.testing.assert_array_equal(rest[:, view], left)


def test_views_of_a_large_jpeg_are_cut_from_what_is_fine_enough_for_the_smallest(tmp_path):
    photo(1600, 1200).save(tmp_path / "a.jpg", quality=95)
    settings = AugmentationSettings(image_size=32, crop_min_area=0.02)
    for pair in augmentation_noise(8, 3, 0, views=2).numpy():
        path = str(tmp_path / "a.jpg")
        both = training_image(path, pair, settings).pixels.astype(int)
        singles = [training_image(path, noise, settings).pixels for noise in pair]
        boxes = [crop_box(noise, 1200, 1600, settings) for noise in pair]
        smallest = int(np.argmin([min(box.height, box.width) for box in boxes]))
        np.testing.assert_array_equal(both[smallest], singles[smallest])
        assert np.abs(both - singles).max() <= 4


@pytest.mark.parametrize("cache_bytes", [0, 1 << 30])
def test_a_centre_crop_of_evaluation_is_resize_and_crop_and_leaves_training_alone(
    photos_and_source, cache_bytes
):
    photos, opened = photos_and_source
    every, larger = np.arange(len(photos)), 110
    source = cached(replace(opened, eval_crop=SIZE / larger), SIZE, cache_bytes)
    expected = opened.load(every, larger)[:, 7 : 7 + SIZE, 7 : 7 + SIZE]
    np.testing.assert_array_equal(source.load(every, SIZE), expected)
    assert source.fingerprint == opened.fingerprint
    for found, plain in zip(
        source.load_crops(every, NOISE, SETTINGS),
        opened.load_crops(every, NOISE, SETTINGS),
        strict=True,
    ):
        np.testing.assert_array_equal(found, plain)


def test_small_images_are_whole_in_training_whatever_evaluation_crops():
    opened = array_source(pixels(6, side=SIZE))
    source = cached(replace(opened, eval_crop=0.875), SIZE)
    assert source.load([0], SIZE).shape == (1, SIZE, SIZE, 3)
    rows, noise = np.arange(6), NOISE[:6]
    for found, plain in zip(
        source.load_crops(rows, noise, SETTINGS),
        opened.load_crops(rows, noise, SETTINGS),
        strict=True,
    ):
        np.testing.assert_array_equal(found, plain)
