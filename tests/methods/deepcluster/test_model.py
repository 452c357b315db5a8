"""The model: images drawn uniformly over clusters, a fresh top with each assignment."""

import keras
import numpy as np
import pytest

from and_tf.methods.deepcluster.model import DeepClusterModel, uniform_over_clusters
from and_tf.training.optimizers import TorchSGD

N, D, K, BATCH = 21, 4, 3, 8


def encoder():
    keras.utils.set_random_seed(0)
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(D)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(x)))
    return keras.Model(images, keras.layers.UnitNormalization()(x))


def fresh_model(optimizer=None):
    model = DeepClusterModel(encoder(), N, K, seed=2)
    model.compile(optimizer or TorchSGD(0.1, momentum=0.9, nesterov=True))
    return model


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3)).astype("float32")


def draw(clusters, seed=0):
    return uniform_over_clusters(np.asarray(clusters), np.random.default_rng(seed))


def test_clusters_are_drawn_equally_often_whatever_their_size():
    clusters = np.repeat([0, 1, 2], [80, 15, 5])
    order = draw(clusters)
    assert order.shape == (100,) and order.dtype == np.int64
    counts = np.bincount(clusters[order])
    assert counts.sum() == 100 and set(counts) == {33, 34}
    of_large = order[clusters[order] == 0]
    assert len(np.unique(of_large)) == len(of_large)  # enough images: none twice
    small = np.bincount(order, minlength=100)[95:]
    assert small.max() - small.min() <= 1 and small.min() >= 6


def test_clusters_without_images_are_passed_over():
    counts = np.bincount(np.array([4, 4, 4, 9, 9])[draw([4, 4, 4, 9, 9])], minlength=10)
    assert sorted(counts[[4, 9]]) == [2, 3] and counts.sum() == 5


def test_over_many_epochs_each_image_of_a_cluster_is_drawn_equally_often():
    clusters = np.repeat([0, 1], [18, 3])
    counts = sum(np.bincount(draw(clusters, seed), minlength=21) for seed in range(400))
    expected = np.where(clusters == 0, 400 * 10.5 / 18, 400 * 10.5 / 3)
    assert np.abs(counts / expected - 1).max() < 0.15


def test_the_order_within_an_epoch_is_random():
    clusters = np.repeat([0, 1], [50, 50])
    first_half = clusters[draw(clusters)[:50]]
    assert 10 < first_half.sum() < 40


def test_the_order_is_a_function_of_seed_epoch_and_clusters():
    model, same = fresh_model(), fresh_model()
    for one in (model, same):
        one.begin_epoch(5, np.arange(N) % K)
    np.testing.assert_array_equal(model.order(5), same.order(5))
    np.testing.assert_array_equal(model.order(5), model.order(5))
    assert (model.order(5) != model.order(6)).any()
    same.begin_epoch(5, np.arange(N) // 7)
    assert (model.order(5) != same.order(5)).any()


def test_a_batch_may_hold_an_image_twice_but_none_that_does_not_exist():
    model = fresh_model()
    model.fit(images()[[3, 3, 5]], np.array([3, 3, 5]), verbose=0)
    with pytest.raises(ValueError, match="Index 21"):
        model.fit(images()[:2], np.array([3, N]), verbose=0)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_new_assignment_brings_a_fresh_top_and_a_fresh_momentum_of_it_alone(jit_compile):
    model = fresh_model()
    model.compile(TorchSGD(0.1, momentum=0.9), jit_compile=jit_compile)
    model.begin_epoch(0, np.arange(N) % K)
    first = model.top.kernel.numpy()
    model.fit(images(), np.arange(N), batch_size=BATCH, verbose=0, shuffle=False)
    of_encoder, kernel, bias = [v.numpy() for v in model.optimizer.buffers[-3:]]
    assert of_encoder.any() and kernel.any() and bias.any()
    model.begin_epoch(1, np.arange(N)[::-1] % K)
    again, kernel, bias = [v.numpy() for v in model.optimizer.buffers[-3:]]
    np.testing.assert_array_equal(again, of_encoder)
    assert not kernel.any() and not bias.any()
    fresh = model.top.kernel.numpy()
    assert (fresh != first).all() and np.abs(fresh).max() < 0.1
    assert int(model.assigned_epoch.numpy()) == 1
    np.testing.assert_array_equal(model.classes, np.arange(N)[::-1] % K)


def test_an_optimizer_of_keras_trains_it_too_and_is_warned_of_once(caplog):
    model = fresh_model(keras.optimizers.Adam(0.01))
    model.begin_epoch(0, np.arange(N) % K)
    model.begin_epoch(1, np.arange(N) % K)
    assert caplog.text.count("Adam keeps the previous top layer's momentum") == 1
    fresh_model().begin_epoch(0, np.arange(N) % K)
    assert len(caplog.records) == 1
    history = model.fit(images(), np.arange(N), batch_size=BATCH, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_its_state_is_clusters_their_epoch_and_the_top():
    state = fresh_model().state()
    assert set(state) == {"top/kernel", "top/bias", "clusters", "assigned_epoch"}
    assert int(state["assigned_epoch"].numpy()) == -1
    model = fresh_model()
    assert DeepClusterModel.from_config(model.get_config()).get_config() == model.get_config()
