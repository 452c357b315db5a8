"""SIGTERM in the middle of long work: the run ends within seconds and continues exactly."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from helpers import programs
from helpers.small_runs import skip_exports

from and_tf.errors import Stopped
from and_tf.export import run as export
from and_tf.methods.anchor_neighbourhoods import curriculum
from and_tf.runs import checkpoint
from and_tf.runs.workdir import Workdir
from and_tf.search.faiss_index import FaissIndex
from and_tf.search.neighbourhoods import discover
from and_tf.search.rows import unit_rows
from and_tf.training.online_evaluation import Monitor
from and_tf.training.stopping import StopRequest

pytestmark = pytest.mark.usefixtures("keras_exports", "thin_resnet")

NUM_ROWS = 50_000  # seconds of work

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=16",
    "--train_split=train[:200]", "--eval_split=test[:50]", "--rounds=1", "--epochs_per_round=2",
    "--batch_size=64", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=1",
    "--checkpoint_epochs=0", "--deterministic",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        assert programs.train([*TINY, f"--workdir={folder}"]) == 0
    return Workdir(folder)


def slow(function, call):
    """The function, whose given call takes minutes, within which a SIGTERM comes."""
    calls = []

    def wrapped(*args, **kwargs):
        calls.append(time.monotonic())
        if len(calls) == call:
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
            for _ in range(3000):
                time.sleep(0.1)
        return function(*args, **kwargs)

    return wrapped, calls


def add_fields(path):
    """Adds what a later version may write beside the metadata of a checkpoint."""
    arrays, metadata = checkpoint.load(path)
    for held in (metadata, metadata["origin"], metadata.get("interrupted", {})):
        held["of_a_later_version"] = "more"
    checkpoint.save(path, arrays, metadata)


def without_rates(run):
    return [record | {"images_per_second": 0} for record in run.read_metrics()]


@pytest.mark.parametrize(
    ("place", "name", "call", "step"),
    [(curriculum, "discover", 1, 8), (Monitor, "measure", 4, 16)],
    ids=["discovery", "last evaluation"],
)
def test_a_stop_in_long_work_ends_the_run_at_once_and_loses_no_step(
    finished, tmp_path, monkeypatch, capsys, place, name, call, step
):
    run = Workdir(tmp_path / "run")
    skip_exports(monkeypatch)
    function, calls = slow(getattr(place, name), call)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, function)
        assert programs.train([*TINY, f"--workdir={run.path}"]) == 0
    assert time.monotonic() - calls[-1] < 5.5  # half a second before the signal
    assert f"Stopped after step {step}." in capsys.readouterr().err
    assert checkpoint.load(run.checkpoint)[1]["step"] == step and not run.summary.exists()
    add_fields(run.checkpoint)
    assert programs.train([*TINY, f"--workdir={run.path}"]) == 0
    (ours, _), (theirs, _) = (checkpoint.load(r.checkpoint) for r in (run, finished))
    for array in theirs:
        np.testing.assert_array_equal(ours[array], theirs[array], err_msg=array)
    assert without_rates(run) == without_rates(finished)
    rates = [record["images_per_second"] for record in run.read_metrics() if "loss" in record]
    assert len(rates) == 4 and min(rates) > 0


def test_a_stop_ends_the_comparison_of_many_rows():
    """Threads in matrix products, not in Python: the signal must reach the main thread there."""
    rows = np.random.default_rng(0).standard_normal((NUM_ROWS, 128), "float32")
    stop = StopRequest()
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(0.5, send)
    with stop.watched(), pytest.raises(Stopped):
        timer.start()
        with stop.interruptible():
            discover(rows)
            pytest.fail("the signal did not end it, or came after its end: then raise NUM_ROWS")
    assert time.monotonic() - sent[0] < 5


def test_a_stop_ends_the_training_of_a_faiss_index():
    pytest.importorskip("faiss")
    rows = unit_rows(np.random.default_rng(0).standard_normal((200_000, 128), "float32"))
    stop = StopRequest()
    sent = []

    def send():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGTERM)

    timer = threading.Timer(0.5, send)
    with stop.watched(), pytest.raises(Stopped):
        timer.start()
        with stop.interruptible():
            FaissIndex(rows, seed=0)
            pytest.fail("the signal did not end it, or came after its end: take more rows")
    assert time.monotonic() - sent[0] < 5


def test_a_stop_in_the_last_export_ends_the_run_which_continues_with_the_export(
    tmp_path, monkeypatch, capsys
):
    run = Workdir(tmp_path / "run")
    flags = [flag for flag in TINY if flag != "--deterministic"]
    flags += ["--rounds=0", "--epochs_per_round=1", f"--workdir={run.path}"]
    function, calls = slow(export.export_finished_run, 1)
    with monkeypatch.context() as patch:
        patch.setattr(export, "export_finished_run", function)
        assert programs.train(flags) == 0
    assert time.monotonic() - calls[-1] < 5.5
    assert "Stopped during the export" in capsys.readouterr().err and not run.summary.exists()
    assert programs.train(flags) == 0
    assert run.summary.is_file() and (run.exports / "encoder.keras").is_file()
    said = capsys.readouterr().out
    assert "Verdict: " in said and run.summary.read_text() in said
    assert f"python report.py --workdir={run.path}" in said
