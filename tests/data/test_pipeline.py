"""The pipeline: every step is a pure function of the seed and the step's number."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.augmentation import on_device
from and_tf.data.augmentation.augment import augment
from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.pipeline import (
    PREFETCH_BYTES,
    batch_indices,
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


def pipeline(step=0, seed=5, count=N, batch_size=BATCH, augmentation=AUGMENTATION, **kwargs):
    return train_pipeline(source(count), batch_size, augmentation, seed, step, **kwargs)


def batches_of(data):
    """Batches (images, indices) of one iteration."""
    return [(images.numpy(), indices.numpy()) for images, indices in data]


def epochs(numbers, count=N, batch_size=BATCH, **kwargs):
    """Batches of the epochs of these numbers, a list each."""
    starts = [number * steps_per_epoch(count, batch_size) for number in numbers]
    return [
        batches_of(pipeline(start, count=count, batch_size=batch_size, **kwargs))
        for start in starts
    ]


def assert_same(batches, others):
    for (images, indices), (again, places) in zip(batches, others, strict=True):
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_array_equal(images, again)


def order(epoch):
    return np.concatenate([indices for _, indices in epoch]).tolist()


@pytest.mark.parametrize("count, batch_size", [(21, 8), (24, 8), (2, 2), (3, 1), (9, 4)])
def test_each_epoch_shows_every_image_once_and_ends_in_the_rest(count, batch_size):
    for epoch in epochs(range(2), count, batch_size):
        assert sorted(order(epoch)) == list(range(count))
        sizes = [len(indices) for _, indices in epoch]
        assert len(sizes) == steps_per_epoch(count, batch_size)
        assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
        assert sizes[-1] == (count % batch_size or batch_size)
        assert all(len(images) == len(indices) for images, indices in epoch)


def test_order_differs_by_epoch_and_by_seed():
    orders = [order(epoch) for seed in (0, 1) for epoch in epochs(range(4), seed=seed)]
    assert len({tuple(one) for one in orders}) == 8
    assert list(range(N)) not in orders


def test_every_image_comes_to_every_place_equally_often():
    orders = np.array([batch_indices(6, 6, 5, number) for number in range(60)])
    data = train_pipeline(source(6), 6, AUGMENTATION, 5, step := keras.Variable(0, dtype="int64"))
    for number in (0, 7, 59):
        step.assign(number)
        assert order(batches_of(data)) == orders[number].tolist()
    counts = np.array([np.bincount(places, minlength=6) for places in orders.T])
    chi_square = ((counts - 10) ** 2 / 10).sum()  # a fair shuffle has 25 on average, std 7
    assert 4 < chi_square < 60


@pytest.mark.parametrize("first_step", range(PER_EPOCH + 2))
def test_a_start_at_any_step_gives_the_batches_of_an_uninterrupted_run(first_step):
    whole = sum(epochs(range(2)), [])[first_step:]
    begun = batches_of(pipeline(first_step))
    assert len(begun) == PER_EPOCH - first_step % PER_EPOCH
    assert_same(whole[: len(begun)], begun)


def test_a_method_may_order_the_images_of_an_epoch():
    of_epoch = {0: np.arange(N) // 2, 1: np.arange(N)[::-1]}  # images may come twice
    for number, expected in of_epoch.items():
        (batches,) = epochs([number], order=of_epoch.get)
        np.testing.assert_array_equal(order(batches), expected)
        assert [len(indices) for _, indices in batches] == [8, 8, 5]
    begun = batches_of(pipeline(PER_EPOCH + 1, order=of_epoch.get))
    assert_same(batches, [batches[0], *begun])


def test_an_order_is_asked_for_when_an_iteration_begins():
    shift = [0]
    data = pipeline(order=lambda epoch: (np.arange(N) + shift[0]) % N)
    whole = iter(data)
    assert next(whole)[1][0] == 0
    shift[0] = 3  # a method assigns anew
    assert next(iter(data))[1][0] == 3
    assert next(whole)[1][0] == BATCH


def test_iterating_and_peeking_change_nothing():
    data, expected = pipeline(), batches_of(pipeline())
    next(iter(data))  # a peek
    half_done = iter(data)
    next(half_done)
    assert_same(batches_of(data), expected)
    assert_same([(i.numpy(), j.numpy()) for i, j in half_done], expected[1:])
    assert_same(batches_of(data.take(2)), expected[:2])


@pytest.mark.parametrize("variable", [tf.Variable, keras.Variable])
def test_the_epoch_is_that_of_the_step_at_which_an_iteration_begins(variable):
    step = variable(0, dtype="int64")
    data = pipeline(step)
    for number, expected in enumerate(epochs(range(3))):
        step.assign(number * PER_EPOCH)
        next(iter(data))
        iteration = iter(data)
        begun = [next(iteration)]
        step.assign_add(1)  # as training does meanwhile
        begun += list(iteration)
        assert_same([(i.numpy(), j.numpy()) for i, j in begun], expected)


def test_a_pipeline_is_not_begun_at_a_step_that_leaves_another_number():
    step = keras.Variable(0, dtype="int64")
    data = pipeline(step)
    step.assign(1)
    with pytest.raises(tf.errors.OpError, match="make another one"):
        next(iter(data))


@pytest.mark.parametrize("side", [5, 8])
def test_small_images_are_enlarged_and_then_augmented_by_the_step(side):
    images_of = source(side=side)
    full = AugmentationSettings(image_size=8, flip=True)
    data = train_pipeline(images_of, BATCH, full, 5, step=4)
    for step, (images, indices) in enumerate(data.as_numpy_iterator(), start=4):
        noise = augmentation_noise(len(indices), 5, step)
        expected = augment(images_of.load(indices, 8), noise, full)
        np.testing.assert_allclose(images, expected, atol=1e-3)
        assert images.dtype == np.float32 and indices.dtype == np.int64


def test_whole_crops_give_the_pixels_of_each_index():
    whole = AugmentationSettings(image_size=8, crop_min_area=1.0, color_jitter=0.0, grey=0.0)
    for images, indices in epochs([0], augmentation=whole)[0]:
        np.testing.assert_allclose(images, source().images[indices], atol=1e-3)


@pytest.mark.parametrize("first_step, batches", [(0, 3), (3, 3), (21, 3), (1, 2), (2, 1), (5, 1)])
def test_the_number_of_batches_is_known(first_step, batches):
    assert pipeline(first_step).cardinality() == batches


class Seen(keras.Model):
    """A model that keeps which images it is shown, in the order of steps."""

    def __init__(self):
        super().__init__()
        self.shown = self.add_weight(shape=(4 * N,), initializer="zeros", dtype="int64")
        self.count = self.add_weight(shape=(), initializer="zeros", dtype="int64")
        self.built = True

    def train_step(self, data):
        _, indices = data
        with tf.control_dependencies([indices]):  # a step is not counted before it has its batch
            self.optimizer.iterations.assign_add(1)
        places = self.count + tf.range(tf.shape(indices, out_type="int64")[0])
        self.shown.assign(tf.tensor_scatter_nd_update(self.shown, places[:, None], indices))
        self.count.assign_add(tf.shape(indices, out_type="int64")[0])
        return {"seen": self.count}


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_fit_shows_another_order_in_each_epoch_and_continues_within_one(steps_per_execution):
    model = Seen()
    model.compile("sgd", steps_per_execution=steps_per_execution, jit_compile=False)
    iterations = model.optimizer.iterations
    data = pipeline(iterations)
    model.fit(data, epochs=2, verbose=0, shuffle=False)
    assert int(iterations) == 2 * PER_EPOCH
    model.fit(data.take(1), verbose=0, shuffle=False)  # broken off
    model.fit(pipeline(iterations), verbose=0, shuffle=False)  # the rest of that epoch
    model.fit(data, verbose=0, shuffle=False)
    shown = model.shown.numpy()[: int(model.count)].tolist()
    assert shown == sum((order(epoch) for epoch in epochs(range(4))), [])


class Still(keras.Model):
    """A model that counts its steps and does nothing else."""

    def train_step(self, data):
        with tf.control_dependencies([data[1]]):
            self.optimizer.iterations.assign_add(1)
        return {"seen": tf.shape(data[1])[0]}

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        return


@pytest.mark.parametrize("replicas", [1, 2])
def test_fit_on_replicas_loads_each_epoch_once_and_none_in_between(two_replicas, replicas):
    shown = []
    images_of = source()
    load = images_of.load_crops
    images_of.load_crops = lambda indices, *rest: (
        shown.append(indices.tolist()) or load(indices, *rest)
    )
    with (two_replicas if replicas == 2 else tf.distribute.get_strategy()).scope():
        model = Still()
        model.compile("sgd")
    data = train_pipeline(images_of, BATCH, AUGMENTATION, seed=5, step=model.optimizer.iterations)
    model.fit(data, epochs=2, verbose=0)
    model.fit(data, epochs=1, verbose=0)
    for number, batches in enumerate(epochs(range(3))):
        epoch = shown[number * PER_EPOCH : (number + 1) * PER_EPOCH]  # loaded side by side
        assert sorted(epoch) == sorted(indices.tolist() for _, indices in batches)


@pytest.mark.parametrize("batch_size", [N + 1, 1000, 0, -1])
def test_a_batch_that_does_not_fit_is_refused_naming_both_numbers(batch_size):
    with pytest.raises(ValueError, match=rf"batch_size={batch_size} .* images, {N} from noise"):
        pipeline(batch_size=batch_size)


def test_a_broken_image_stops_the_iteration_with_its_name():
    images_of = source()

    def load_crops(indices, noise, augmentation):
        raise ValueError("Image 3 of noise is broken")

    images_of.load_crops = load_crops
    with pytest.raises(tf.errors.OpError, match="Image 3 of noise is broken"):
        next(iter(train_pipeline(images_of, BATCH, AUGMENTATION)))


def test_a_grid_of_augmented_images_wraps_around_a_small_source():
    images = sample_augmented(source(5), AUGMENTATION, count=12, seed=1)
    assert images.shape == (12, 8, 8, 3) and images.dtype == np.float32
    assert images.min() >= 0 and images.max() <= 255


FULL = AugmentationSettings(image_size=8, flip=True)


@pytest.mark.parametrize("yields", ["augmented", "images", "noise"])
@pytest.mark.parametrize("side", [5, 8, 20])  # the last: crops of larger images
def test_the_first_of_two_views_is_the_only_one_and_the_second_is_another(yields, side):
    one, two = (
        train_pipeline(source(side=side), BATCH, FULL, 5, step=1, yields=yields, views=views)
        for views in (1, 2)
    )
    for (alone, places), (both, indices) in zip(
        one.as_numpy_iterator(), two.as_numpy_iterator(), strict=True
    ):
        np.testing.assert_array_equal(indices, places)
        parts = zip(alone, both, strict=True) if yields == "images" else [(alone, both)]
        for single, pair in parts:
            assert pair.shape == (len(indices), 2, *single.shape[1:])
            if yields == "noise":
                np.testing.assert_array_equal(pair[:, 0], single)
            # Up to rounding, which depends on how TensorFlow's threads divide a batch.
            np.testing.assert_allclose(pair[:, 0], single, rtol=1e-5, atol=1e-4)
        assert (pair[:, 1] != pair[:, 0]).any(axis=tuple(range(1, single.ndim))).all()


def test_two_views_that_a_device_makes_are_those_of_the_host():
    images_of = source(2 * BATCH)  # batches of one size: each function is compiled once
    augmented = train_pipeline(images_of, BATCH, FULL, 5, views=2)
    for yields, make in (
        ("images", on_device.from_images(FULL)),
        ("noise", on_device.from_noise(images_of.images, FULL)),
    ):
        of_device = train_pipeline(images_of, BATCH, FULL, 5, views=2, yields=yields)
        ways = [tf.function(make, jit_compile=is_compiled) for is_compiled in (False, True)]
        for (expected, _), (inputs, indices) in zip(augmented, of_device, strict=True):
            for make_images in ways:
                np.testing.assert_allclose(make_images(inputs, indices), expected, atol=2e-3)


@pytest.mark.parametrize("first_step", [0, 1, 2, 4])
def test_a_start_at_any_step_gives_the_views_of_an_uninterrupted_run(first_step):
    whole = sum(epochs(range(2), views=2), [])[first_step:]
    begun = batches_of(pipeline(first_step, views=2))
    assert_same(whole[: len(begun)], begun)


def test_batches_made_ahead_keep_to_a_budget():
    assert pipeline().options().autotune.ram_budget == PREFETCH_BYTES


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("options", [{}, {"views": 2}, {"yields": "images"}])
def test_the_parts_of_processes_are_the_batch(size, options):
    parts = [list(pipeline(part=(number, size), **options)) for number in range(size)]
    for step, (inputs, indices) in enumerate(pipeline(**options)):
        own = [part[step] for part in parts]
        np.testing.assert_array_equal(np.concatenate([part[1] for part in own]), indices)
        sizes = [len(part[1]) for part in own]
        assert min(sizes) > 0 and max(sizes) - min(sizes) <= 1
        assert all((part[2].numpy() == 1).all() for part in own)
        for name, whole in enumerate(tf.nest.flatten(inputs)):
            found = [tf.nest.flatten(part[0])[name] for part in own]
            np.testing.assert_array_equal(np.concatenate(found), whole)


# TensorFlow gives two of four devices 2 of 5 images each, the third one, and the last none.
@pytest.mark.parametrize(("count", "replicas"), [(21, 4), (17, 2)])
@pytest.mark.parametrize("options", [{}, {"yields": "images"}])
def test_a_batch_that_leaves_a_device_without_images_goes_to_all_and_counts_once(
    count, replicas, options
):
    *whole, (last, last_indices) = pipeline(count=count, **options)
    *others, (inputs, indices, weights) = pipeline(count=count, replicas=replicas, **options)
    for (images, own), (expected, expected_indices) in zip(
        [batch[:2] for batch in others], whole, strict=True
    ):
        np.testing.assert_array_equal(own, expected_indices)
        for found, of_one in zip(*map(tf.nest.flatten, (images, expected)), strict=True):
            np.testing.assert_array_equal(found, of_one)
    assert all((batch[2].numpy() == 1).all() for batch in others)
    parts = zip(*map(tf.nest.flatten, (inputs, last)), strict=True)
    for found, expected in [(indices, last_indices), *parts]:
        np.testing.assert_array_equal(found, np.concatenate([expected] * replicas))
    np.testing.assert_array_equal(weights, np.full(replicas * (count % BATCH), 1 / replicas))


def test_other_batches_for_devices_stay_as_they_are():
    assert len(next(iter(pipeline(count=23, replicas=4)))) == 2


def test_a_batch_of_fewer_images_than_processes_goes_to_all_and_counts_once():
    parts = [list(pipeline(count=10, part=(number, 4)))[-1] for number in range(4)]
    images, indices = list(pipeline(count=10))[-1]
    for own_images, own_indices, weights in parts:
        np.testing.assert_array_equal(own_indices, indices)
        np.testing.assert_array_equal(own_images, images)
        np.testing.assert_array_equal(weights, [0.25, 0.25])
