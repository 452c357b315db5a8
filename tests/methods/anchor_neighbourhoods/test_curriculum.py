"""The curriculum: what is discovered, when, and from what, however `fit` is cut."""

import contextlib
import logging
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import array_source
from and_tf.errors import Stopped
from and_tf.methods.anchor_neighbourhoods import curriculum as module
from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.methods.anchor_neighbourhoods.selection import RULES
from and_tf.methods.method import KeepsMetadata
from and_tf.search.neighbourhoods import discover
from and_tf.training.optimizers import TorchSGD

N, D, BATCH, STEPS = 21, 4, 8, 3
ROUNDS, EPOCHS = 3, 2  # epochs 0, 1 are round 0; rounds 1, 2, 3 begin at epochs 2, 4, 6
TOTAL = (ROUNDS + 1) * EPOCHS
LABELS = np.arange(N) % 3


def source():
    pixels = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), "uint8")
    return array_source(pixels, name="noise")


def pipeline(step=0):
    cheap = AugmentationSettings(image_size=8, crop_min_area=0.5, color_jitter=0.0, grey=0.0)
    return train_pipeline(source(), BATCH, cheap, seed=1, step=step)


class Counting(AND):
    """Counts its steps and learns nothing, where only the rounds matter: it is soon traced."""

    def train_step(self, data):
        with tf.control_dependencies([data[1]]):  # not counted before it has its batch
            self.optimizer.iterations.assign_add(1)
        return {"loss": self.loss_tracker.result()}


def fresh_model(k=2, cls=AND, **options):
    keras.utils.set_random_seed(0)
    x = images = keras.Input((8, 8, 3))
    x = keras.layers.Dense(D)(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(x)))
    encoder = keras.Model(images, keras.layers.UnitNormalization()(x))
    model = cls(encoder, N, neighbourhood_size=k, seed=0, **options)
    model.compile(TorchSGD(0.1, momentum=0.9, nesterov=True))
    return model


def callback(**settings):
    return NeighbourhoodCurriculum(**({"rounds": ROUNDS, "epochs_per_round": EPOCHS} | settings))


def fit(model, *callbacks, data=None, **settings):
    settings = {"epochs": TOTAL, "verbose": 0, "callbacks": list(callbacks)} | settings
    return model.fit(data or pipeline(model.optimizer.iterations), **settings).history


def train_in_one_fit(model, **settings):
    fit(model, callback(**settings))


def train_epoch_by_epoch_and_keras_counts_from_zero(model, **settings):
    data, callbacks = pipeline(model.optimizer.iterations), callback(**settings)
    for _ in range(TOTAL):
        fit(model, callbacks, data=data, epochs=1)


def train_with_a_new_callback_and_pipeline_for_each_epoch(model, **settings):
    for epoch in range(TOTAL):
        data = pipeline(epoch * STEPS)
        fit(model, callback(**settings), data=data, initial_epoch=epoch, epochs=epoch + 1)


def train_with_a_break_in_the_middle_of_a_round_and_of_an_epoch(model, **settings):
    fit(model, callback(**settings), epochs=4)
    part = pipeline(4 * STEPS).take(1)
    fit(model, callback(steps_per_epoch=STEPS, **settings), data=part, initial_epoch=4, epochs=5)
    rest = pipeline(4 * STEPS + 1)
    fit(model, callback(steps_per_epoch=STEPS, **settings), data=rest, initial_epoch=4, epochs=5)
    fit(model, callback(**settings), initial_epoch=5)


WAYS = [
    train_in_one_fit,
    train_epoch_by_epoch_and_keras_counts_from_zero,
    train_with_a_new_callback_and_pipeline_for_each_epoch,
    train_with_a_break_in_the_middle_of_a_round_and_of_an_epoch,
]


@pytest.fixture
def discoveries(monkeypatch):
    """Arguments of every call of `discover` during the test."""
    calls = []

    def recorded(rows, *others, **settings):
        calls.append((np.array(rows), *others))
        return discover(rows, *others, **settings)

    monkeypatch.setattr(module, "discover", recorded)
    return calls


class Recorder(keras.callbacks.Callback):
    """State of the curriculum in each epoch; comes after the curriculum in the callbacks."""

    def __init__(self):
        super().__init__()
        self.rounds, self.anchors, self.neighbours, self.rows = [], [], [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.rounds.append(int(self.model.round.numpy()))
        self.anchors.append(self.model.is_anchor.numpy())
        self.neighbours.append(self.model.neighbours.numpy())
        self.rows.append(self.model.bank.rows.numpy())


@pytest.mark.system
def test_every_way_to_cut_the_run_trains_the_same_and_discovers_once_a_round(monkeypatch):
    models, steps = [], []

    def recorded(*arguments, **settings):
        steps.append(int(models[-1].optimizer.iterations.numpy()))
        return discover(*arguments, **settings)

    monkeypatch.setattr(module, "discover", recorded)
    for train in WAYS:
        models.append(fresh_model())
        train(models[-1])
        assert steps == [2 * STEPS, 4 * STEPS, 6 * STEPS], train.__name__
        assert int(models[-1].round.numpy()) == ROUNDS
        assert int(models[-1].optimizer.iterations.numpy()) == TOTAL * STEPS
        for one, other in zip(models[0].get_weights(), models[-1].get_weights(), strict=True):
            np.testing.assert_array_equal(one, other, err_msg=train.__name__)
        steps.clear()


def test_neighbours_are_those_of_the_bank_at_that_moment(discoveries):
    model, recorder = fresh_model(k=3), Recorder()
    fit(model, callback(), recorder)
    assert recorder.rounds == [0, 0, 1, 1, 2, 2, 3, 3]
    for epoch, (rows, k, temperature) in zip((2, 4, 6), discoveries, strict=True):
        assert (k, temperature) == (3, 0.1)
        np.testing.assert_array_equal(rows, recorder.rows[epoch])
        expected = discover(recorder.rows[epoch], 3, 0.1)
        for later in (epoch, epoch + 1):
            np.testing.assert_array_equal(recorder.neighbours[later], expected.neighbours)
        lowest = np.sort(expected.entropy)[: recorder.anchors[epoch].sum()]
        np.testing.assert_array_equal(np.sort(expected.entropy[recorder.anchors[epoch]]), lowest)
    np.testing.assert_array_equal(model.entropy.numpy(), expected.entropy)


def test_discovery_takes_the_given_features(discoveries):
    features = np.random.default_rng(0).normal(size=(N, 7)).astype("float32")
    model = fresh_model(cls=Counting)
    fit(model, callback(features=lambda: features), epochs=3)
    ((rows, *_),) = discoveries
    np.testing.assert_array_equal(rows, features)
    np.testing.assert_array_equal(model.neighbours.numpy(), discover(features, 2).neighbours)


def test_the_curriculum_searches_by_faiss_where_asked():
    pytest.importorskip("faiss")
    exact, by_index = fresh_model(cls=Counting), fresh_model(cls=Counting)
    fit(exact, callback(), epochs=3)
    fit(by_index, callback(search="faiss"), epochs=3)
    np.testing.assert_array_equal(by_index.neighbours.numpy(), exact.neighbours.numpy())
    np.testing.assert_allclose(by_index.entropy.numpy(), exact.entropy.numpy(), atol=1e-5)


def test_a_missing_faiss_is_told_before_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install -r requirements-faiss\.txt"):
        callback(search="faiss")


def test_the_agreement_of_half_precision_is_logged(caplog):
    caplog.set_level(logging.INFO)
    fit(fresh_model(cls=Counting), callback(precision="bfloat16", progress=True), epochs=3)
    assert "Discovery in bfloat16" in caplog.text


def test_a_rule_is_a_function_and_a_line(monkeypatch):
    def last_images(entropy, num_anchors, seed):
        return np.arange(len(entropy)) >= len(entropy) - num_anchors

    monkeypatch.setitem(RULES, "last", last_images)
    model = fresh_model(cls=Counting)
    fit(model, callback(anchors="last"), epochs=3)
    np.testing.assert_array_equal(np.flatnonzero(model.is_anchor), np.arange(14, 21))


def test_an_interrupted_discovery_changes_nothing_and_is_repeated():
    @contextlib.contextmanager
    def interrupted():
        yield
        raise Stopped

    whole, cut = fresh_model(), fresh_model()
    fit(whole, callback(), epochs=3)
    with pytest.raises(Stopped):
        fit(cut, callback(interruptible=interrupted), epochs=3)
    assert int(cut.round.numpy()) == 0 and not cut.neighbours.numpy().any()
    fit(cut, callback(), data=pipeline(2 * STEPS), initial_epoch=2, epochs=3)
    for one, other in zip(whole.get_weights(), cut.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_metrics_that_cannot_be_measured_again_come_from_the_metadata():
    model, first = fresh_model(), callback(labels=LABELS)
    assert isinstance(first, KeepsMetadata)
    before = fit(model, first, epochs=5)
    resumed = callback(labels=LABELS)
    resumed.restore({"step": 5 * STEPS, **first.metadata()})
    after = fit(model, resumed, data=pipeline(5 * STEPS), initial_epoch=5, epochs=6)
    assert after["stability"] == before["stability"][-1:]


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [0, 0, 7, 7, 14, 14, 21, 21]),
        ({"rounds": 4}, [0, 0, 5, 5, 10, 10, 15, 15, 21, 21]),
        ({"anchor_share": 0.5}, [0, 0, 3, 3, 7, 7, 10, 10]),
        ({"anchor_share": 0.0}, [0] * 8),
        ({"anchors": "random"}, [0, 0, 7, 7, 14, 14, 21, 21]),
        ({"first_round_epochs": 1, "rounds": 2}, [0, 10, 10, 21, 21, 21]),
        ({"rounds": 0}, [0, 0, 0]),
    ],
)
def test_each_round_has_its_share_of_anchors(settings, expected):
    recorder = Recorder()
    fit(fresh_model(cls=Counting), callback(**settings), recorder, epochs=len(expected))
    assert [int(anchors.sum()) for anchors in recorder.anchors] == expected


@pytest.mark.parametrize("num_samples", [7, 21, 30, 50_000, 73_257])
@pytest.mark.parametrize("rounds", [1, 3, 4, 7, 10])
def test_the_number_of_anchors_is_rounded_down_exactly(num_samples, rounds):
    entropy = np.arange(num_samples)
    for number in range(rounds + 1):
        is_anchor = callback(rounds=rounds)._select(entropy, number)
        assert is_anchor.sum() == num_samples * number // rounds


def test_random_anchors_follow_the_seed_and_change_with_the_round():
    entropy = np.zeros(60)
    chosen = {
        (seed, number): callback(anchors="random", seed=seed)._select(entropy, number)
        for seed in (0, 1)
        for number in (1, 2)
    }
    again = callback(anchors="random", seed=0)._select(entropy[::-1], 1)
    np.testing.assert_array_equal(again, chosen[0, 1])
    assert (chosen[0, 1] != chosen[1, 1]).any()
    assert (chosen[0, 1] & ~chosen[0, 2]).any()  # not the same draws with more of them
    assert (chosen[0, 1] != np.sort(chosen[0, 1])[::-1]).any()


def test_history_gets_the_metrics_of_each_epoch():
    recorder = Recorder()
    logs = []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, metrics: logs.append(metrics))
    history = fit(fresh_model(), callback(labels=LABELS), recorder, keep)
    assert history["round"] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert history["anchors"] == [7, 7, 14, 14, 21, 21]
    assert [set(metrics) for metrics in logs] == (
        [{"loss", "round"}] * 2
        + [{"loss", "round", "anchors", "entropy_mean", "consistency"}] * 2
        + [{"loss", "round", "anchors", "entropy_mean", "consistency", "stability"}] * 4
    )
    for epoch in range(2, TOTAL):
        metrics, anchors = logs[epoch], recorder.anchors[epoch]
        near = recorder.neighbours[epoch]
        pairs = [(i, j) for i in np.flatnonzero(anchors) for j in near[i]]
        equal = np.mean([LABELS[i] == LABELS[j] for i, j in pairs])
        np.testing.assert_allclose(metrics["consistency"], 100 * equal)
        entropy = discover(recorder.rows[epoch - epoch % 2], 2).entropy
        np.testing.assert_allclose(metrics["entropy_mean"], entropy.mean(), rtol=1e-5)
    for epoch in (4, 6):
        before, after = recorder.neighbours[epoch - 1], recorder.neighbours[epoch]
        kept = np.mean([j in after[i] for i in range(N) for j in before[i]])
        np.testing.assert_allclose(logs[epoch]["stability"], 100 * kept)


def test_images_without_a_label_do_not_count_for_consistency():
    labels = np.full(N, -1)
    model = fresh_model(cls=Counting)
    history = fit(model, callback(labels=labels), epochs=3)
    assert "consistency" not in history and history["anchors"] == [7]
    anchor = int(np.flatnonzero(model.is_anchor.numpy())[0])
    near, far = model.neighbours.numpy()[anchor]
    labels[[anchor, near]], labels[far] = 1, 2
    others = np.arange(N)[:, None] != [anchor]
    model.is_anchor.assign(~others[:, 0])
    resumed = callback(labels=labels)
    history = fit(model, resumed, data=pipeline(3 * STEPS), initial_epoch=3, epochs=4)
    assert history["consistency"] == [50.0]


def test_a_resumed_run_logs_the_metrics_of_its_round():
    model = fresh_model(cls=Counting)
    before = fit(model, callback(labels=LABELS), epochs=3)
    after = fit(model, callback(labels=LABELS), data=pipeline(3 * STEPS), initial_epoch=3, epochs=4)
    for name in ("anchors", "entropy_mean", "consistency"):
        assert after[name] == before[name]


def test_epochs_after_the_plan_stay_in_the_last_round(discoveries):
    model = fresh_model(cls=Counting)
    fit(model, callback(rounds=1), epochs=5)
    assert len(discoveries) == 1 and int(model.round.numpy()) == 1


@pytest.mark.parametrize(
    "wrong, named",
    [
        ({"anchors": "nearest"}, "nearest"),
        ({"search": "annoy"}, "annoy"),
        ({"anchor_share": 1.1}, "anchor_share.*1.1"),
        ({"anchor_share": -0.1}, "anchor_share.*-0.1"),
        ({"rounds": -1}, "rounds=-1"),
        ({"epochs_per_round": 0}, "epochs_per_round=0"),
        ({"first_round_epochs": -2}, "first_round_epochs=-2"),
    ],
)
def test_settings_out_of_range_are_named(wrong, named):
    with pytest.raises(ValueError, match=named):
        callback(**wrong)
