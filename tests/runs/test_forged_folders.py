"""Folders from elsewhere, forged in thousands of ways: refused in a line, or read; nothing else.

Each case changes what a run or an export holds, and reads it as the programs do;
`test_forged_inputs.py` does so with what else programs read.
"""

import json
import math
import os
import shutil
import types

import keras
import numpy as np
import pytest
from helpers.forgery import cases, check_both_ends, tried
from helpers.report_runs import settings_of
from hypothesis import given
from hypothesis import strategies as st

from and_tf.errors import BrokenFile
from and_tf.evaluation import results
from and_tf.export.metadata import from_json
from and_tf.export.savedmodel_files import DESCRIPTION, read_description
from and_tf.report import record as records
from and_tf.report.measured import knn_of_last_stage
from and_tf.report.record import read_record
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir, newest_run
from and_tf.training.start import _check_place, check_run_folder
from benchmarks.forging import ENTRIES, RESULT, forged, forged_arrays, put, write_npz

SETTINGS = settings_of("--rounds=1", "--epochs_per_round=2")

RUN_JSON = {
    "images": 8, "fingerprint": "f", "content": "c", "labels": 3, "held_out_labels": None,
    "held_out_fingerprint": "h", "mean": [127.0] * 3, "std": [64.0] * 3, "tensorflow": "2",
    "raw_pixels_knn_top1": 20.0, "loaded_layers": ["conv1"],
}  # fmt: skip
FACTS = {
    "step": 2, "epoch": 2, "round": 0, "best": 50.0, "curriculum": {"anchors": 8, "x": 1.0},
    "interrupted": {"epoch": 1, "logs": {"loss": 1.0}},
    "origin": {"images": "c", "settings": {"seed": "0", "temperature": "0.1"}},
}  # fmt: skip
LINE = {"step": 1, "epoch": 1, "round": 0, "loss": 5.0, "images_per_second": 100.0, "anchors": 3}
ENCODER = {
    "image_size": 8, "embedding_dim": 4, "normalised": True, "encoder": "e", "layer": "fc",
    "checksum": "0", "reference": {"image": "i", "embedding": [0.5], "use": "u"},
}  # fmt: skip
ARRAYS = {
    "entropy": np.ones(8, np.float32),
    "neighbours": np.zeros((8, 1), np.int64),
    "is_anchor": np.ones(8, bool),
    "optimizer/0000": np.int64(2),
    "encoder/fc/kernel": np.ones((2, 3), np.float32),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose files are valid; the tests put each that they change back."""
    run = Workdir(tmp_path_factory.mktemp("forged") / "run")
    run.path.mkdir()
    run.write_flags(SETTINGS)
    run.metadata.write_text(json.dumps(RUN_JSON))
    run.metrics.write_text(json.dumps(LINE) + "\n")
    for path in (run.checkpoint, run.round_file(0)):
        write_npz(path, json.dumps(FACTS).encode(), ARRAYS)
    run.evaluations.mkdir()
    return run


@pytest.fixture(autouse=True, scope="module")
def _known_settings():
    """Parsed once, for flags.cfg is tried elsewhere; and no disk is waited for."""
    patch = pytest.MonkeyPatch()
    patch.setattr(records, "read_settings", lambda run: SETTINGS)
    patch.setattr(os, "fsync", lambda descriptor: None)
    yield
    patch.undo()


def look_at(record):
    """What a page takes from a record, whatever the run."""
    assert math.isfinite(record.hours + (record.images_per_second or 0))
    assert record.epochs_done <= 4 and record.is_finished in (False, True)
    for found in record.discoveries:
        assert found.neighbours.max() < 8
    for name in (*LINE, "knn_top1"):
        record.latest(name)
        record.by_round(name)
    for report in record.protocols:
        results.table(report.get("rows") or [{"layer": "fc", **report}])
    knn_of_last_stage(record, {"a", "b"})
    for epoch in record.epochs:
        assert all(math.isfinite(value) for value in epoch.values())


@cases(10)
@given(text=forged(RUN_JSON))
def test_run_json(run, text):
    run.metadata.write_bytes(text)

    def read():
        metadata = run.read_metadata()
        assert all(math.isfinite(v) and v > 0 for v in metadata["std"])
        look_at(read_record(run))
        run.load_checkpoint()

    tried("run.json", read)
    run.metadata.write_text(json.dumps(RUN_JSON))


@cases(10)
@given(lines=st.lists(forged(LINE), min_size=1, max_size=3), step=st.integers(0, 3))
def test_metrics(run, lines, step):
    run.metrics.write_bytes(b"\n".join(lines) + b"\n")

    def read():
        look_at(read_record(run))
        run.forget_after(step)
        assert all(record["step"] <= step for record in run.read_metrics())

    tried("metrics.jsonl", read)
    run.metrics.write_text(json.dumps(LINE) + "\n")


@pytest.fixture(scope="module")
def variables():
    return {
        name: keras.Variable(np.zeros_like(value), dtype=str(value.dtype))
        for name, value in ARRAYS.items()
    }


EXPERIMENT = types.SimpleNamespace(
    images=types.SimpleNamespace(content="c"), total_steps=4, steps_per_epoch=1, settings=SETTINGS
)


def test_a_step_within_the_plan_is_not_believed_where_the_round_is_another(tmp_path):
    arrays = {"round": np.int32(0)}
    _check_place(EXPERIMENT, {"step": 2}, arrays, tmp_path)
    with pytest.raises(BrokenFile, match="its round is 0, while step 3 is in round 1"):
        _check_place(EXPERIMENT, {"step": 3}, arrays, tmp_path)


@cases(10)
@given(text=forged(FACTS), arrays=st.one_of(st.just(ARRAYS), forged_arrays(ARRAYS)))
def test_checkpoints_and_ends_of_rounds(run, variables, text, arrays):
    def read():
        found, metadata, path = run.load_checkpoint()
        _check_place(EXPERIMENT, metadata, found, path)
        checkpoint.restore(variables, found, path, {"neighbours": (0, 7), "optimizer/0000": (0, 4)})
        assert variables["neighbours"].numpy().max() <= 7
        look_at(read_record(run))

    for path in (run.checkpoint, run.round_file(0)):
        write_npz(path, text, arrays)
    tried("checkpoints", read)
    for path in (run.checkpoint, run.round_file(0)):
        write_npz(path, json.dumps(FACTS).encode(), ARRAYS)


@cases(10)
@given(is_export=st.booleans(), evaluated=forged(RESULT), told=forged(ENCODER))
def test_results_and_descriptions_of_exports(run, tmp_path, is_export, evaluated, told):
    def read():
        if is_export:
            (tmp_path / DESCRIPTION).parent.mkdir(exist_ok=True)
            (tmp_path / DESCRIPTION).write_bytes(told)
            from_json(tmp_path, told)
            read_description(tmp_path, is_trusted=True)
        else:
            (run.evaluations / "knn_fc.json").write_bytes(evaluated)
            look_at(read_record(run))

    tried("encoder.json" if is_export else "evaluations", read)
    (run.evaluations / "knn_fc.json").unlink(missing_ok=True)


NAMES = [
    "lock", "flags.cfg", "run.json", "metrics.jsonl", "images.npz", "network.json", "summary.txt",
    "checkpoints", "checkpoints/last.npz", "checkpoints/previous.npz", "checkpoints/best.npz",
    "rounds", "rounds/round_0.npz", "rounds/round_99.npz", "evaluations", "evaluations/knn.json",
    "tensorboard", "export", "flags.cfg.partial", "summary.txt.partial",
    ".run.json.abcdefgh.partial",
]  # fmt: skip


@cases(10)
@given(entries=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ENTRIES), max_size=8))
def test_trees_of_files_links_and_pipes(tmp_path, entries):
    outside, run = tmp_path / "outside", Workdir(tmp_path / "root" / "run")
    for folder in (outside, run.path):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    (outside / "precious").write_text("precious")
    for name in sorted(entries):
        put(run.path / name, entries[name], outside)
    image = types.SimpleNamespace(arrays=lambda: {"names": np.zeros(0, np.uint8)})
    reads = [
        run.read_metadata, run.read_metrics, run.read_images, run.read_network, run.read_flags,
        run.load_checkpoint, lambda: run.load_checkpoint("best"), run.ended_rounds,
        run.holds_state, lambda: read_record(run), lambda: newest_run(tmp_path / "root"),
        lambda: check_run_folder(run, SETTINGS),
    ]  # fmt: skip

    def write():
        with run.locked():
            run.write_flags(SETTINGS)
            run.write_metadata(RUN_JSON)
            run.write_images(image)
            run.forget_after(0)
            run.append_metrics([LINE])
            run.save_checkpoint(ARRAYS, FACTS)
            run.save_round(ARRAYS, FACTS)
            run.link_best(0)
            run.write_summary("done")

    for act in (*reads, write):
        try:
            tried("trees", act)
        except OSError as error:  # a folder in a file's place: one line, too
            assert error.errno and error.filename
    assert os.listdir(outside) == ["precious"]
    assert (outside / "precious").read_text() == "precious"


def test_the_cases_are_both_refused_and_read():
    check_both_ends(
        ["run.json", "metrics.jsonl", "checkpoints", "encoder.json", "evaluations", "trees"]
    )
