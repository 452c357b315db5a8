"""The callback: new clusters at the start of each epoch, once, however `fit` is cut."""

import contextlib
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import normalized_mutual_info_score

from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.errors import Stopped, UserError
from and_tf.methods.deepcluster import reassignment
from and_tf.methods.deepcluster.clustering import cluster
from and_tf.methods.deepcluster.method import DeepCluster
from and_tf.methods.deepcluster.metrics import METRIC_TITLES
from and_tf.methods.deepcluster.model import DeepClusterModel
from and_tf.methods.deepcluster.reassignment import ClusterReassignment
from and_tf.methods.method import KeepsMetadata
from and_tf.runs import checkpoint
from and_tf.settings import SettingError
from and_tf.training.optimizers import TorchSGD

N, D, K, BATCH, STEPS, EPOCHS = 21, 4, 3, 8, 3, 4
LABELS = np.arange(N) % 3


def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), "uint8")


def source(labels=LABELS, count=N):
    return array_source(pixels()[np.arange(count) % N], labels=labels, name="noise")


def fresh_model():
    keras.utils.set_random_seed(0)
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(D, name="fc")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(x)))
    model = DeepClusterModel(keras.Model(images, keras.layers.UnitNormalization()(x)), N, K, seed=2)
    model.compile(TorchSGD(0.1, momentum=0.9, nesterov=True))
    return model


class Features:
    """Clean features by the model that is asked for, and when they were asked for."""

    def __init__(self):
        self.steps = []
        self.step = None

    def __call__(self, model):
        self.steps.append(int(self.step.numpy()))
        return model.predict(pixels().astype("float32"), verbose=0)


def fit(model, epochs=EPOCHS, stop_at=None, **settings):
    """The callback, whose features tell when they were asked for, and the history."""
    features = Features()
    features.step = model.optimizer.iterations
    callback = ClusterReassignment(features, STEPS, **settings)
    cheap = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    step = model.optimizer.iterations
    data = train_pipeline(source(), BATCH, cheap, seed=1, step=step, order=model.order)
    others = [] if stop_at is None else [StopAt(stop_at)]
    first = int(step.numpy()) // STEPS
    history = model.fit(
        data, initial_epoch=first, epochs=epochs, callbacks=[callback, *others], verbose=0,
        shuffle=False,
    )  # fmt: skip
    return callback, history.history


class StopAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == self.step:
            raise Stopped


def test_each_epoch_learns_the_clusters_of_the_features_at_its_start():
    model, seen = fresh_model(), []

    def keep(network):
        seen.append(network.predict(pixels().astype("float32"), verbose=0))
        return seen[-1]

    callback = ClusterReassignment(keep, STEPS)
    callback.set_model(model)
    callback.on_epoch_begin(0)
    seed = int(np.random.default_rng([2, 0, 2]).integers(2**31))
    expected, _ = cluster(seen[0], K, seed)
    np.testing.assert_array_equal(model.classes, expected)
    assert seen[0].shape == (N, D)
    assert not np.allclose(np.linalg.norm(seen[0], axis=1), 1)  # before the unit length


def test_features_are_clustered_once_at_each_start_of_an_epoch():
    callback, history = fit(fresh_model())
    assert callback.features.steps == [0, 3, 6, 9]
    assert len(history["loss"]) == EPOCHS


@pytest.mark.parametrize("every, expected", [(2, [0, 6]), (3, [0, 9]), (4, [0])])
def test_clusters_may_stay_for_several_epochs(every, expected):
    callback, _ = fit(fresh_model(), every=every)
    assert callback.features.steps == expected


def test_the_steps_of_an_epoch_see_the_images_that_its_clusters_ask_for():
    model, seen = fresh_model(), []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append(model.order(epoch))

    plain = DeepClusterModel.class_losses

    def count(self, features, indices):
        model.counts.scatter_nd_add(indices[:, None], keras.ops.ones_like(indices))
        return plain(self, features, indices)

    model.counts = tf.Variable(np.zeros(N, "int64"), trainable=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DeepClusterModel, "class_losses", count)
        cheap = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
        step = model.optimizer.iterations
        data = train_pipeline(source(), BATCH, cheap, seed=1, step=step, order=model.order)
        features = lambda network: network.predict(pixels().astype("float32"), verbose=0)  # noqa: E731
        callbacks = [ClusterReassignment(features, STEPS), Watch()]
        model.fit(data, epochs=3, callbacks=callbacks, verbose=0, shuffle=False)
    assert len(seen) == 3
    np.testing.assert_array_equal(model.counts, np.bincount(np.concatenate(seen), minlength=N))


@pytest.mark.parametrize("stop_at", [3, 4])
def test_a_continued_run_has_the_clusters_and_weights_of_an_uninterrupted_one(stop_at):
    whole, stopped, resumed = fresh_model(), fresh_model(), fresh_model()
    expected, _ = fit(whole, labels=LABELS)
    with pytest.raises(Stopped):
        fit(stopped, stop_at=stop_at)
    kept = checkpoint.values(checkpoint.training_state(stopped))
    for name, variable in checkpoint.training_state(resumed).items():
        variable.assign(kept[name])
    if stop_at % STEPS:  # the rest of the broken epoch on its own
        callback, _ = fit(resumed, epochs=stop_at // STEPS + 1)
        assert callback.features.steps == []
    callback, _ = fit(resumed, labels=LABELS)
    assert callback.features.steps == list(range(-(-stop_at // STEPS) * STEPS, 12, STEPS))
    ours, theirs = checkpoint.training_state(resumed), checkpoint.training_state(whole)
    for name, variable in theirs.items():
        if not name.startswith("loss/"):
            np.testing.assert_array_equal(ours[name].numpy(), variable.numpy(), err_msg=name)
    assert callback.metrics == expected.metrics


def test_the_metrics_compare_with_labels_and_with_the_clusters_before():
    model = fresh_model()
    callback, history = fit(model, epochs=1, labels=LABELS)
    assert "nmi_previous" not in callback.metrics
    before = model.classes.numpy()
    callback, history = fit(model, epochs=2, labels=LABELS)
    after, metrics = model.classes.numpy(), callback.metrics
    assert set(metrics) == set(METRIC_TITLES)
    assert metrics["nmi_previous"] == pytest.approx(normalized_mutual_info_score(before, after))
    assert metrics["nmi_labels"] == pytest.approx(normalized_mutual_info_score(LABELS, after))
    sizes = np.bincount(after)
    assert (metrics["largest_cluster"], metrics["smallest_cluster"]) == (sizes.max(), sizes.min())
    assert {name: values[-1] for name, values in history.items() if name != "loss"} == metrics


def test_images_without_labels_are_left_out_of_the_metric():
    labels = np.where(np.arange(N) < 5, -1, LABELS)
    model = fresh_model()
    callback, _ = fit(model, epochs=1, labels=labels)
    expected = normalized_mutual_info_score(LABELS[5:], model.classes.numpy()[5:])
    assert callback.metrics["nmi_labels"] == pytest.approx(expected)
    callback, _ = fit(fresh_model(), epochs=1, labels=np.full(N, -1))
    assert "nmi_labels" not in callback.metrics


def test_a_stop_within_clustering_leaves_the_clusters_before():
    model = fresh_model()
    fit(model, epochs=1)
    kept = checkpoint.values(checkpoint.training_state(model))

    @contextlib.contextmanager
    def interrupted():
        yield
        raise Stopped

    with pytest.raises(Stopped):
        fit(model, epochs=2, interruptible=interrupted)
    for name, variable in checkpoint.training_state(model).items():
        if not name.startswith("loss/"):
            np.testing.assert_array_equal(variable.numpy(), kept[name], err_msg=name)


def test_the_metrics_are_kept_in_checkpoints():
    callback, _ = fit(fresh_model(), epochs=2)
    assert isinstance(callback, KeepsMetadata)
    other = ClusterReassignment(Features(), STEPS)
    other.restore(callback.metadata())
    assert other.metrics == callback.metrics


def test_a_run_that_goes_on_with_another_library_is_warned_of(caplog):
    library = reassignment.kmeans_library()
    callback = ClusterReassignment(Features(), STEPS)
    assert callback.metadata() == {"clusters": {"kmeans": library}}
    callback.restore(callback.metadata())
    assert not caplog.records and callback.metrics == {}
    callback.restore({"clusters": {"kmeans": "another"}})
    assert f"of another; from now on {library} is used" in caplog.text


def test_a_checkpoint_that_names_no_library_is_continued_in_silence(caplog):
    callback = ClusterReassignment(Features(), STEPS)
    kept = {"clusters": {"nmi_previous": 0.5}}
    assert callback.metadata().keys() == kept.keys()  # a checkpoint that lacks one is refused
    callback.restore(kept)
    assert callback.metrics == {"nmi_previous": 0.5} and not caplog.records


@pytest.mark.parametrize("every, when", [(1, "every epoch"), (2, "every 2 epochs")])
def test_the_assignment_is_logged_once(caplog, every, when):
    model = fresh_model()
    with caplog.at_level(logging.INFO, logger="and_tf.methods"):
        fit(model, epochs=1, every=every)
        fit(model, epochs=2, every=every)
    (record,) = caplog.records
    expected = f"reassigned to 3 clusters {when}, by k-means of "
    assert expected in record.getMessage()


@pytest.mark.parametrize(
    "settings, labels, count, expected",
    [
        ({}, np.arange(60) % 3, 60, 30),  # ten for a class
        ({}, np.arange(21) % 3, 21, 21),  # at most one for an image
        ({}, None, 420, 4),  # one for 100 images
        ({}, np.full(420, -1), 420, 4),
        ({}, None, 21, 2),
        ({"num_clusters": 7}, LABELS, N, 7),
    ],
)
def test_the_number_of_clusters_follows_from_classes_or_images(settings, labels, count, expected):
    encoder = fresh_model().encoder
    model = DeepCluster(**settings).build_model(encoder, source(labels, count), seed=0)
    assert model.num_classes == expected


@pytest.mark.parametrize(("count", "is_warned"), [(149, True), (150, False)])
def test_clusters_of_few_images_are_warned_of(count, is_warned, caplog):
    encoder = fresh_model().encoder
    DeepCluster().build_model(encoder, source(np.arange(count) % 3, count), seed=0)
    assert (f"30 clusters of {count} images are small" in caplog.text) is is_warned


def test_wrong_numbers_of_clusters_are_refused():
    with pytest.raises(SettingError, match="num_clusters=1 leaves nothing to tell apart"):
        DeepCluster(num_clusters=1)
    with pytest.raises(UserError, match="num_clusters=22 exceeds the number of images, 21"):
        DeepCluster(num_clusters=22).build_model(fresh_model().encoder, source(), seed=0)
