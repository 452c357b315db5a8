"""The pipeline: every step is a pure function of the seed and the step's number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.augmentation.augment import augment, draw
from and_tf.data.pipeline import (
    PREFETCH_BYTES,
    sample_augmented,
    steps_per_epoch,
    train_pipeline,
)
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source

N, BATCH, PER_EPOCH = 21, 8, 3
AUGMENTATION = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)


def source(count=N, side=8):
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), "uint8")
    return array_source(pixels, name="noise")


def pipeline(first_step=0, seed=5, count=N, batch_size=BATCH, augmentation=AUGMENTATION, **kwargs):
    return train_pipeline(source(count), batch_size, augmentation, seed, first_step, **kwargs)


def epochs(data, count):
    """Batches (images, indices) of the next epochs, a list each."""
    return [[(i.numpy(), j.numpy()) for i, j in data] for _ in range(count)]


def order(epoch):
    return np.concatenate([indices for _, indices in epoch]).tolist()


@pytest.mark.parametrize("count, batch_size", [(21, 8), (24, 8), (2, 2), (3, 1), (9, 4)])
def test_each_epoch_shows_every_image_once_and_ends_in_the_rest(count, batch_size):
    for epoch in epochs(pipeline(count=count, batch_size=batch_size), 2):
        assert sorted(order(epoch)) == list(range(count))
        sizes = [len(indices) for _, indices in epoch]
        assert len(sizes) == steps_per_epoch(count, batch_size)
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sizes[-1] == (count % batch_size or batch_size)
        assert all(len(images) == len(indices) for images, indices in epoch)


def test_order_differs_by_epoch_and_by_seed():
    orders = [order(epoch) for seed in (0, 1) for epoch in epochs(pipeline(seed=seed), 4)]
    assert len({tuple(one) for one in orders}) == 8
    assert list(range(N)) not in orders


def test_every_image_comes_to_every_place_equally_often():
    orders = np.array([order(epoch) for epoch in epochs(pipeline(count=6, batch_size=6), 60)])
    counts = np.array([np.bincount(places, minlength=6) for places in orders.T])
    chi_square = ((counts - 10) ** 2 / 10).sum()  # a fair shuffle has 25 on average, deviation 7
    assert 4 < chi_square < 60


def test_a_second_pipeline_gives_the_same_batches():
    for one, other in zip(*(sum(epochs(pipeline(), 2), []) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("first_step", range(PER_EPOCH + 2))
def test_a_start_at_any_step_gives_the_batches_of_an_uninterrupted_run(first_step):
    whole = sum(epochs(pipeline(), 2), [])[first_step:]
    rest = PER_EPOCH - first_step % PER_EPOCH
    begun = epochs(pipeline(first_step), 1)[0]
    assert len(begun) == rest
    for (images, indices), (again, places) in zip(whole, begun, strict=False):
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_array_equal(images, again)


def test_a_start_at_a_later_epoch_goes_on_with_the_epochs_after_it():
    whole, begun = epochs(pipeline(), 4)[2:], epochs(pipeline(2 * PER_EPOCH), 2)
    assert [order(epoch) for epoch in begun] == [order(epoch) for epoch in whole]


def test_images_are_those_of_the_source_augmented_by_the_step():
    full = AugmentationSettings(image_size=8, flip=True)
    images_of = source(side=12)
    data = train_pipeline(images_of, BATCH, full, 5, first_step=4, load_size=12)
    for step, (images, indices) in enumerate(data.as_numpy_iterator(), start=4):
        expected = augment(images_of.load(indices, 12), draw(len(indices), 5, step), full)
        np.testing.assert_allclose(images, expected, atol=1e-3)
        assert images.dtype == np.float32 and indices.dtype == np.int64


def test_whole_crops_give_the_pixels_of_each_index():
    whole = AugmentationSettings(image_size=8, crop_min_area=1.0, color_jitter=0.0, grey=0.0)
    for images, indices in epochs(pipeline(augmentation=whole), 1)[0]:
        np.testing.assert_allclose(images, source().images[indices], atol=1e-3)


def test_images_are_cut_from_squares_of_the_load_size():
    asked = []
    images_of = source(side=12)
    load = images_of.load
    images_of.load = lambda indices, size: asked.append(size) or load(indices, size)
    for images, _ in train_pipeline(images_of, BATCH, AUGMENTATION, load_size=10):
        assert images.shape[1:] == (8, 8, 3)
    for _ in train_pipeline(images_of, BATCH, AUGMENTATION):
        pass
    assert asked == [10] * PER_EPOCH + [8] * PER_EPOCH


@pytest.mark.parametrize("first_step, batches", [(0, 3), (3, 3), (21, 3), (1, 2), (2, 1), (5, 1)])
def test_the_number_of_batches_is_known(first_step, batches):
    assert pipeline(first_step).cardinality() == batches


class Still(keras.Model):
    """A model that looks at its batches and does nothing."""

    def train_step(self, data):
        return {"seen": tf.shape(data[1])[0]}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        return


@pytest.mark.parametrize("replicas", [1, 2])
def test_fit_shows_each_epoch_once_and_none_in_between(two_replicas, replicas):
    shown = []
    images_of = source()
    load = images_of.load
    images_of.load = lambda indices, size: shown.append(indices.tolist()) or load(indices, size)
    data = train_pipeline(images_of, BATCH, AUGMENTATION, seed=5)
    with (two_replicas if replicas == 2 else tf.distribute.get_strategy()).scope():
        model = Still()
        model.compile()
    model.fit(data, epochs=2, verbose=0)
    model.fit(data, epochs=1, verbose=0)
    for number, batches in enumerate(epochs(pipeline(), 3)):
        epoch = shown[number * PER_EPOCH : (number + 1) * PER_EPOCH]  # loaded side by side
        assert sorted(epoch) == sorted(indices.tolist() for _, indices in batches)


@pytest.mark.parametrize("batch_size", [N + 1, 1000, 0, -1])
def test_a_batch_that_does_not_fit_is_refused_naming_both_numbers(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size={batch_size} for {N} images from noise"):
        pipeline(batch_size=batch_size)


def test_a_broken_image_stops_the_iteration_with_its_name():
    images_of = source()

    def load(indices, size):
        raise ValueError("Image 3 of noise is broken")

    images_of.load = load
    with pytest.raises(tf.errors.OpError, match="Image 3 of noise is broken"):
        next(iter(train_pipeline(images_of, BATCH, AUGMENTATION)))


def test_a_grid_of_augmented_images_wraps_around_a_small_source():
    views = sample_augmented(source(5), AUGMENTATION, load_size=8, count=12, seed=1)
    assert views.shape == (12, 8, 8, 3) and views.dtype == np.float32
    assert views.min() >= 0 and views.max() <= 255


def test_batches_made_ahead_keep_to_a_budget():
    assert pipeline().options().autotune.ram_budget == PREFETCH_BYTES
