"""The benchmark of label-free metrics reads runs rightly."""

import json

import numpy as np
import pytest

from benchmarks.label_free import correlation, correlation_of_changes, read_evaluations


@pytest.fixture
def run(tmp_path):
    """Five evaluations: the rank follows accuracy, the loss runs against it, hubness zigzags."""
    lines = []
    for step, (accuracy, hubs) in enumerate([(10, 1), (30, 0), (20, 3), (50, 2), (60, 5)]):
        place = {"step": step, "epoch": step + 1, "round": 0}
        metrics = {"knn_top1": accuracy, "effective_rank": accuracy**2, "hubness": hubs}
        kept = {"neighbours_kept": 7.0 * step} if step else {}
        lines += [place | {"loss": 100 - accuracy}, place | metrics | kept]
    lines.append({"step": 9, "epoch": 10, "round": 0, "knn_top1": 1, "hubness": 9})  # no epoch
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return tmp_path


def test_rank_correlations_are_those_of_the_pairs_that_were_measured(run):
    evaluations = read_evaluations(run)
    assert [record["loss"] for record in evaluations] == [90, 70, 80, 50, 40]
    assert correlation(evaluations, "effective_rank") == pytest.approx(1)
    assert correlation(evaluations, "loss") == pytest.approx(-1)
    assert correlation(evaluations, "hubness") == pytest.approx(0.5)
    assert correlation(evaluations, "neighbours_kept") == pytest.approx(0.8)
    assert np.isnan(correlation(evaluations[:2], "loss"))


def test_changes_are_compared_from_one_evaluation_to_the_next(run):
    evaluations = read_evaluations(run)
    # Accuracy changes by 20, -10, 30, 10 and hubness by -1, 3, -1, 3.
    assert correlation_of_changes(evaluations, "hubness") == pytest.approx(-0.894, abs=1e-3)


def test_a_run_without_labels_is_refused(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "epoch": 1, "round": 0, "loss": 3}\n')
    with pytest.raises(SystemExit, match="needs labels"):
        read_evaluations(tmp_path)
