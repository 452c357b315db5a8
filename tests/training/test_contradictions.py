"""A checkpoint whose parts are of different steps is refused; one that training leaves is not."""

import types

import numpy as np
import pytest

from and_tf.training.contradictions import contradiction, epochs_without_metrics
from and_tf.training.settings import experiment_settings


def experiment(**values):
    """Two rounds of two epochs of three steps, as far as it matters here."""
    values = {"rounds": 1, "epochs_per_round": 2} | values
    return types.SimpleNamespace(
        settings=experiment_settings(values), steps_per_epoch=3, total_steps=12
    )


ANCHORS = np.array([True, False, True])


@pytest.mark.parametrize(("step", "number"), [(1, 0), (6, 0), (7, 1), (12, 1)])
def test_a_round_begins_with_its_first_step(step, number):
    state = {"round": np.int32(number), "is_anchor": ANCHORS}
    kept = {"step": step, "curriculum": {"anchors": 2}}
    assert not contradiction(experiment(), kept, state)
    other = state | {"round": np.int32(1 - number)}
    fault = f"its round is {1 - number}, while step {step} is in round {number}"
    assert contradiction(experiment(), kept, other) == fault


@pytest.mark.parametrize(("step", "epoch"), [(1, 0), (6, 0), (7, 2), (9, 2), (12, 2)])
def test_clusters_are_those_of_the_epoch(step, epoch):
    run = experiment(method="deepcluster", rounds=0, epochs_per_round=4, reassign_epochs=2)
    assert not contradiction(run, {"step": step}, {"assigned_epoch": np.int32(epoch)})
    fault = contradiction(run, {"step": step}, {"assigned_epoch": np.int32(epoch + 2)})
    assert f"its assigned_epoch is {epoch + 2}, while step {step}" in fault


def test_before_the_first_step_and_of_other_methods_nothing_is_known():
    assert not contradiction(experiment(), {"step": 0}, {"round": np.int32(0)})
    run = experiment(method="supervised", rounds=0)
    assert not contradiction(run, {"step": 9}, {"round": np.int32(5)})


def test_anchors_are_as_many_as_the_metadata_tell():
    kept = {"step": 7, "curriculum": {"anchors": 3}}
    fault = contradiction(experiment(), kept, {"round": np.int32(1), "is_anchor": ANCHORS})
    assert fault == "it names 3 anchors and holds 2"
    assert not contradiction(experiment(), {"step": 7, "curriculum": {}}, {"is_anchor": ANCHORS})


@pytest.mark.parametrize("dtype", ["M8[s]", "U3", "c8", "V3", "f4", "?", "u1"])
def test_arrays_of_other_types_are_left_to_those_who_restore_them(dtype):
    kept = {"step": 7, "curriculum": {"anchors": 0}}
    state = {"round": np.zeros((), dtype), "is_anchor": np.zeros(3, dtype)}
    assert not contradiction(experiment(), kept, state)


def test_an_interrupted_epoch_ends_with_the_step():
    kept = {"step": 6, "interrupted": {"epoch": 1, "logs": {}}}
    assert not contradiction(experiment(), kept, {})
    assert "epoch 2 does not end" in contradiction(experiment(), kept | {"step": 7}, {})


def test_epochs_that_nothing_was_logged_of_are_found():
    records = [{"step": 3 * epoch, "epoch": epoch, "loss": 1.0} for epoch in (1, 3)]
    records.append({"step": 6, "epoch": 2, "knn_top1": 5.0})  # an evaluation alone
    assert epochs_without_metrics({"step": 10}, records, 3) == (1, 2)
    assert epochs_without_metrics({"step": 5}, records, 3)[0] == 0
    assert epochs_without_metrics({"step": 2**31 - 1}, records, 1) == (2**31 - 3, 2)
    interrupted = {"step": 12, "interrupted": {"epoch": 3, "logs": {}}}
    assert epochs_without_metrics(interrupted, records, 3) == (1, 2)
