"""What is measured of a model while it trains."""

import dataclasses

import numpy as np
import pytest
from helpers.replicas_in_threads import on_each

from and_tf import encoders
from and_tf.data import open_source
from and_tf.data.settings import AugmentationSettings
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.evaluation.label_free import effective_rank
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.training import online_evaluation
from and_tf.training.online_evaluation import METRICS, Monitor

pytestmark = pytest.mark.usefixtures("thin_resnet")

MILD = AugmentationSettings(image_size=16, crop_min_area=0.5, color_jitter=0, grey=0)


@pytest.fixture(scope="module")
def digits():
    return open_source("digits", "train[:120]"), open_source("digits", "test[:40]")


@pytest.fixture(scope="module")
def model():
    return AND(
        encoders.build_encoder("resnet_small", (16, 16, 3), 16, seed=0), num_samples=120, seed=0
    )


def evaluate(monitor, model):
    """The metrics of an evaluation that is remembered."""
    measured = monitor.measure(model)
    monitor.remember(measured)
    return measured.metrics


def without_labels(source):
    return dataclasses.replace(source, labels=None, class_names=None)


def test_all_metrics_are_measured_and_what_is_kept_needs_a_second_look(digits, model):
    monitor = Monitor(*digits, MILD)
    first, second = evaluate(monitor, model), evaluate(monitor, model)
    assert set(first) == set(METRICS) - {"neighbours_kept"}
    assert second == first | {"neighbours_kept": 100.0}


def test_without_labels_the_same_label_free_metrics_are_measured(digits, model):
    labelled = Monitor(*digits, MILD).measure(model).metrics
    train, held_out = digits
    unmeasured = {"knn_top1", "knn_top1_bank", "neighbours_kept"}
    for sources, missing in [
        ((without_labels(train), held_out), unmeasured | {"knn_top1_train"}),
        ((train, without_labels(held_out)), unmeasured),
        ((train, None), unmeasured),
    ]:
        metrics = Monitor(*sources, MILD).measure(model).metrics
        assert set(metrics) == set(METRICS) - missing
        for name, value in metrics.items():
            assert value == pytest.approx(labelled[name], rel=1e-5), name


def test_the_best_is_told_by_training_images_that_are_held_out_of_the_vote(
    digits, model, monkeypatch
):
    monkeypatch.setattr("and_tf.evaluation.knn_during_training.QUERIES", 25)
    metrics = Monitor(digits[0], None, MILD).measure(model).metrics
    embeddings = extract(model.encoder, digits[0], 16)
    held_out = np.linspace(0, 119, 25).round().astype(int)
    kept = np.setdiff1d(np.arange(120), held_out)
    scores = weighted_knn(embeddings[kept], digits[0].labels[kept], embeddings[held_out])
    expected = accuracy(scores, digits[0].labels[held_out])["top1"]
    assert metrics["knn_top1_train"] == pytest.approx(expected)


def test_large_sets_are_sampled(digits, model, monkeypatch):
    monkeypatch.setattr("and_tf.training.online_evaluation.SAMPLE", 30)
    monkeypatch.setattr("and_tf.training.online_evaluation.PAIRS", 10)
    monitor = Monitor(digits[0], None, MILD)
    assert len(monitor.sample) == 30 and monitor.sample[0] == 0 and monitor.sample[-1] == 119
    assert [len(images) for images in monitor.augmented_images] == [10, 10]
    embeddings = extract(model.encoder, digits[0].take(monitor.sample), 16)
    assert monitor.measure(model).metrics["effective_rank"] == pytest.approx(
        effective_rank(embeddings)
    )


def test_the_augmented_images_of_an_image_differ_and_stay_the_same_between_evaluations(digits):
    one, other = Monitor(*digits, MILD).augmented_images
    again = Monitor(*digits, MILD).augmented_images[0]
    every = np.arange(len(one))
    assert (one.load(every, 16) != other.load(every, 16)).any()
    np.testing.assert_array_equal(one.load(every, 16), again.load(every, 16))
    np.testing.assert_array_equal(one.load(every, 16)[5:7], one.load([5, 6], 16))


def test_the_state_of_a_monitor_lets_another_one_go_on(digits, model):
    first, second = Monitor(*digits, MILD), Monitor(*digits, MILD)
    evaluate(first, model)
    for name, variable in second.state.items():
        variable.assign(first.state[name])
    assert evaluate(second, model) == evaluate(first, model)


def test_an_evaluation_that_is_not_remembered_leaves_no_trace(digits, model):
    monitor = Monitor(*digits, MILD)
    before = monitor.neighbours.numpy()
    monitor.measure(model)
    np.testing.assert_array_equal(monitor.neighbours, before)


def test_no_more_training_images_are_embedded_than_wanted(digits, model, monkeypatch):
    monkeypatch.setattr("and_tf.training.online_evaluation.SAMPLE", 20)
    monkeypatch.setattr("and_tf.training.online_evaluation.PAIRS", 10)
    seen, plain = [], online_evaluation.extract
    monkeypatch.setattr(
        online_evaluation,
        "extract",
        lambda encoder, source, *more, **others: (
            seen.append(len(source)) or plain(encoder, source, *more, **others)
        ),
    )
    metrics = Monitor(*digits, MILD, max_images=30).measure(model).metrics
    assert seen[0] <= 50 and 120 not in seen
    voters = np.linspace(0, 119, 30).round().astype(int)
    rows, queries = (plain(model.encoder, s, 16) for s in (digits[0].take(voters), digits[1]))
    for name, known in (("knn_top1", rows), ("knn_top1_bank", model.image_embeddings()[voters])):
        scores = weighted_knn(known, digits[0].labels[voters], queries)
        assert metrics[name] == pytest.approx(accuracy(scores, digits[1].labels)["top1"])


def test_a_bound_that_is_not_reached_changes_nothing(digits, model):
    expected = Monitor(*digits, MILD).measure(model)
    found = Monitor(*digits, MILD, max_images=120).measure(model)
    assert found.metrics == expected.metrics


def test_a_method_without_embeddings_of_its_own_lacks_the_metrics_on_them(digits, model):
    class Plain:
        encoder, temperature = model.encoder, 0.1

        def image_embeddings(self, indices=None):
            return None

    metrics = Monitor(*digits, MILD).measure(Plain()).metrics
    assert set(METRICS) - set(metrics) == {"knn_top1_bank", "bank_agreement", "neighbours_kept"}


def test_two_images_are_enough(digits):
    train = digits[0].take([0, 1])
    tiny = AND(
        encoders.build_encoder("resnet_small", (16, 16, 3), 16, seed=0), num_samples=2, seed=0
    )
    metrics = Monitor(train, None, MILD).measure(tiny).metrics
    assert np.isfinite(list(metrics.values())).all()


def test_processes_share_an_evaluation_and_all_get_its_metrics(digits, model, monkeypatch):
    alone = Monitor(*digits, MILD)
    expected = alone.measure(model).metrics | alone.raw_pixels()
    loaded, load = [], type(digits[0]).load

    def noted(source, indices, size):
        loaded.extend((source.name, int(index)) for index in indices)
        return load(source, indices, size)

    monkeypatch.setattr(type(digits[0]), "load", noted)
    monitors = [Monitor(*digits, MILD, sharing=None) for _ in range(3)]

    def work(sharing):
        monitors[sharing.number].sharing = sharing
        return monitors[sharing.number].measure(model).metrics

    for metrics in on_each(3, work)[0]:
        assert metrics == pytest.approx({k: expected[k] for k in metrics}, rel=1e-5)
    once = [(source.name, index) for source in digits for index in range(len(source))]
    assert sorted(loaded) == sorted(once)
    loaded.clear()
    for metrics in on_each(3, lambda sharing: monitors[sharing.number].raw_pixels())[0]:
        assert metrics == {k: expected[k] for k in metrics} and len(metrics) == 2
    assert sorted(loaded) == sorted(once)
