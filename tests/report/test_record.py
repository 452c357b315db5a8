"""What is read of a run's folder, and what is computed from it without an encoder."""

import json

import numpy as np
import pytest
from helpers.report_runs import settings_of

from and_tf.errors import BrokenFile
from and_tf.methods.anchor_neighbourhoods.method import AnchorNeighbourhoods
from and_tf.report.record import Discovery, RoundEnd, anchor_since, discoveries, read_record
from and_tf.runs.workdir import Workdir

METADATA = {"images": 100, "fingerprint": "f", "mean": [127.0] * 3, "std": [64.0] * 3}


def discovery(number, is_anchor):
    return Discovery(number, np.ones(5), np.zeros((5, 1), int), np.array(is_anchor, bool))


@pytest.fixture
def run(tmp_path):
    """Flags, metadata, metrics and one kept round of a run that is half done."""
    run = Workdir(tmp_path / "run")
    run.path.mkdir()
    run.write_flags(settings_of("--rounds=1", "--epochs_per_round=2"))
    run.write_metadata(METADATA)
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


def test_a_run_of_a_method_that_takes_no_step_is_finished_whatever_its_plan(run):
    run.write_flags(settings_of("--method=random", "--rounds=4", "--epochs_per_round=200"))
    run.metrics.write_text('{"step": 0, "epoch": 1000, "round": 4, "knn_top1": 10.0}\n')
    record = read_record(run)
    assert record.is_finished and record.by_round("knn_top1") == {4: 10.0}


def test_a_run_before_its_first_epoch_is_read(run):
    run.metrics.unlink()
    record = read_record(run)
    assert record.epochs_done == 0 and record.images_per_second is None and record.hours == 0


def test_round_0_is_no_discovery(run):
    record = read_record(run)
    assert [end.number for end in record.round_ends] == [0]
    assert record.discoveries == []


def test_what_came_after_the_checkpoint_is_left_out(run):
    record = read_record(run, step=1)
    assert [epoch["epoch"] for epoch in record.epochs] == [1]
    assert record.latest("knn_top1") == 10.0 and record.round_ends == []
    assert [end.number for end in read_record(run, step=2).round_ends] == [0]


def test_a_method_may_keep_nothing_but_the_encoder_of_a_round():
    entropy, neighbours = np.ones(5), np.zeros((5, 1), int)
    ends = [RoundEnd(1, 2), RoundEnd(2, 4, entropy), RoundEnd(3, 6, entropy, neighbours)]
    (found,) = discoveries(ends)
    assert found.round == 3 and not found.is_anchor.any()


def test_arrays_that_the_method_does_not_name_are_not_taken_for_neighbourhoods(run, monkeypatch):
    monkeypatch.setattr(AnchorNeighbourhoods, "neighbourhood_arrays", ("entropy",))
    (end,) = read_record(run).round_ends
    assert end.entropy is not None and end.neighbours is None and end.is_anchor is None


STRAY = ["round_x.npz", "round_1.npz.partial", ".DS_Store", "round_.npz", "._round_1.npz", "a.npz"]


def test_stray_files_are_ignored(run):
    before = read_record(run)
    run.evaluations.mkdir()
    for name in STRAY:
        (run.rounds / name).write_bytes(b"stray")
    for name in (".DS_Store", "notes.json", "._nn_fc.json", "knn.json.partial", "knn.csv"):
        (run.evaluations / name).write_bytes(b"stray")
    (run.evaluations / "linear_old.json").mkdir()
    (run.rounds / "round_1.npz").mkdir()
    after = read_record(run)
    assert [end.number for end in after.round_ends] == [e.number for e in before.round_ends] == [0]
    assert after.protocols == []


def test_results_of_evaluate_are_read_and_a_corrupt_one_is_named(run):
    run.evaluations.mkdir()
    (run.evaluations / "nn.json").write_text(json.dumps({"protocol": "nearest", "top1": 50.0}))
    assert read_record(run).protocols == [{"protocol": "nearest", "top1": 50.0}]
    for text in (
        "{", "[1]", '{"top1": 50}', '{"protocol": "x", "rows": 3}',
        '{"protocol": "x", "rows": [3]}', '{"protocol": "x", "rows": [{"top1": "high"}]}',
        '{"protocol": "x", "top1": null}', '{"protocol": "x", "step": "1"}',
    ):  # fmt: skip
        (run.evaluations / "nn.json").write_text(text)
        with pytest.raises(BrokenFile, match=r"nn\.json cannot be read.*remove it"):
            read_record(run)


def test_a_corrupt_round_end_is_named(run):
    run.round_file(1).write_bytes(b"no archive")
    with pytest.raises(BrokenFile, match=r"round_1\.npz"):
        read_record(run)


def test_an_anchor_counts_from_its_last_unbroken_stretch():
    found = [
        discovery(1, [1, 1, 0, 0, 1]),
        discovery(2, [1, 0, 1, 0, 1]),
        discovery(3, [1, 1, 1, 0, 0]),
    ]
    assert anchor_since(found, np.arange(5)) == [1, 3, 2, None, None]
    assert anchor_since(found, np.array([2, 0])) == [2, 1]
    assert anchor_since([], np.arange(5)) == [None] * 5
