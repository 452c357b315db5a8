"""What is read of a run's folder, and what is computed from it without an encoder."""

import json

import numpy as np
import pytest

from and_tf.cli.flags import train_flags
from and_tf.report.record import anchor_since, read_record
from and_tf.runs.workdir import Workdir

FACTS = {"images": 100, "fingerprint": "f", "mean": [127.0] * 3, "std": [64.0] * 3}


def round_end(number, is_anchor):
    return {"round": number, "is_anchor": np.array(is_anchor, bool)}


@pytest.fixture
def run(tmp_path):
    """Flags, facts, metrics and one kept round of a run that is half done."""
    run = Workdir(tmp_path / "run")
    run.write_flags(train_flags().read(["--rounds=1", "--epochs_per_round=2"]))
    run.write_facts(FACTS)
    epochs = [
        {"step": 1, "epoch": 1, "round": 0, "loss": 5.0, "images_per_second": 100.0},
        {"step": 2, "epoch": 2, "round": 0, "loss": 4.0, "images_per_second": 50.0},
        {"step": 3, "epoch": 3, "round": 1, "loss": 3.0, "images_per_second": 25.0},
    ]
    evaluations = [
        {"step": 1, "epoch": 1, "round": 0, "knn_top1": 10.0},
        {"step": 2, "epoch": 2, "round": 0, "knn_top1": 20.0, "hubness": 1.5},
    ]
    records = [*epochs, *evaluations]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    run.rounds.mkdir()
    np.savez(
        run.round_file(0),
        entropy=np.zeros(100, np.float32),
        neighbours=np.zeros((100, 1), np.int32),
        is_anchor=np.zeros(100, bool),
        facts=np.array(json.dumps({"step": 2, "epoch": 2, "round": 0})),
    )
    return run


def test_epochs_and_evaluations_are_told_apart(run):
    record = read_record(run)
    assert [epoch["epoch"] for epoch in record.epochs] == [1, 2, 3]
    assert record.by_round("knn_top1") == {0: 20.0}
    assert record.latest("hubness") == 1.5 and record.latest("alignment") is None


def test_cost_and_progress_come_from_the_epochs(run):
    record = read_record(run)
    assert (record.epochs_done, record.plan.total_epochs, record.is_finished) == (3, 4, False)
    assert record.images_per_second == 50.0
    assert record.hours == pytest.approx((1 + 2 + 4) / 3600)


def test_a_run_before_its_first_epoch_is_read(run):
    run.metrics.unlink()
    record = read_record(run)
    assert record.epochs_done == 0 and record.images_per_second is None and record.hours == 0


def test_round_0_is_no_discovery(run):
    record = read_record(run)
    assert [end["round"] for end in record.round_ends] == [0]
    assert record.discovery is None


def test_results_of_evaluate_are_read_and_a_damaged_one_is_named(run):
    run.evaluations.mkdir()
    (run.evaluations / "nn.json").write_text(json.dumps({"protocol": "nearest", "top1": 50.0}))
    assert read_record(run).protocols == [{"protocol": "nearest", "top1": 50.0}]
    for text in (
        "{", "[1]", '{"top1": 50}', '{"protocol": "x", "rows": 3}',
        '{"protocol": "x", "rows": [3]}', '{"protocol": "x", "rows": [{"top1": "high"}]}',
        '{"protocol": "x", "top1": null}', '{"protocol": "x", "step": "1"}',
    ):  # fmt: skip
        (run.evaluations / "nn.json").write_text(text)
        with pytest.raises(ValueError, match=r"nn\.json cannot be read.*remove it"):
            read_record(run)


def test_a_damaged_round_end_is_named(run):
    run.round_file(1).write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"round_1\.npz"):
        read_record(run)


def test_an_anchor_counts_from_its_last_unbroken_stretch():
    ends = [
        round_end(0, [0, 0, 0, 0, 0]),
        round_end(1, [1, 1, 0, 0, 1]),
        round_end(2, [1, 0, 1, 0, 1]),
        round_end(3, [1, 1, 1, 0, 0]),
    ]
    assert anchor_since(ends, np.arange(5)) == [1, 3, 2, None, None]
    assert anchor_since(ends, np.array([2, 0])) == [2, 1]
    assert anchor_since(ends[:1], np.arange(5)) == [None] * 5
