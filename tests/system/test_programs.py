"""The programs as a user types them, on scikit-learn's digits."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import programs
from helpers.cluster import WORKER, environment
from helpers.small_runs import skip_exports
from helpers.stops import stop_after
from PIL import Image

from and_tf import load_encoder
from and_tf.data import open_source
from and_tf.encoders import pooled_features
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.export import load_exported
from and_tf.runs import checkpoint
from and_tf.training import callbacks

pytestmark = pytest.mark.usefixtures("thin_resnet")

ROOT = pathlib.Path(__file__).parents[2]
TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=16",
    "--train_split=train[:200]", "--eval_split=test[:100]", "--rounds=2", "--epochs_per_round=2",
    "--batch_size=64", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three rounds, trained to the end."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert programs.train([*TINY, f"--workdir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 40 small photos without labels, one of them twice, one turned by EXIF."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number in range(39):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
        coarse.resize((50, 40), Image.BICUBIC).save(folder / f"photo_{number:02}.png")
    shutil.copy(folder / "photo_03.png", folder / "copy.png")
    return folder


@pytest.fixture(scope="module")
def photo_run(photos, tmp_path_factory):
    """A run on the photos."""
    folder = tmp_path_factory.mktemp("runs") / "photos"
    flags = [f"--data=folder:{photos}", "--rounds=1", "--epochs_per_round=1", "--batch_size=16"]
    flags += ["--encoder=resnet_small", "--image_size=16", f"--workdir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        assert programs.train(flags) == 0
    return folder


def records(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_all_its_files(finished):
    for name in (
        "flags.cfg", "run.json", "metrics.jsonl", "checkpoints/last.npz", "rounds/round_0.npz",
        "rounds/round_2.npz", "augmented.png", "summary.txt", "export/encoder.keras",
        "export/encoder/saved_model.pb",
    ):  # fmt: skip
        assert (finished / name).is_file(), name
    assert list((finished / "tensorboard").glob("events*"))
    summary = (finished / "summary.txt").read_text()
    assert "raw pixels" in summary and "round 2" in summary


def test_metrics_have_every_epoch_and_evaluation_once(finished):
    epochs = [record for record in records(finished) if "loss" in record]
    assert [(r["step"], r["epoch"], r["round"]) for r in epochs] == [
        (4, 1, 0), (8, 2, 0), (12, 3, 1), (16, 4, 1), (20, 5, 2), (24, 6, 2)
    ]  # fmt: skip
    assert [r.get("anchors") for r in epochs] == [None, None, 100, 100, 200, 200]
    assert all(0 <= r["consistency"] <= 100 for r in epochs[2:])
    np.testing.assert_allclose([r["learning_rate"] for r in epochs], [0.03] * 6, rtol=1e-6)
    evaluations = [record for record in records(finished) if "knn_top1" in record]
    assert [r["epoch"] for r in evaluations] == [1, 2, 3, 4, 5, 6]
    assert not any(value is None for r in records(finished) for value in r.values())


def test_the_flags_in_the_workdir_repeat_the_run(finished, capsys):
    before = files(finished)
    assert programs.train([f"--flagfile={finished}/flags.cfg"]) == 0
    assert "is finished" in capsys.readouterr().err
    assert files(finished) == before


def test_the_logged_knn_is_that_of_the_kept_encoder(finished):
    train, test = open_source("digits", "train[:200]"), open_source("digits", "test[:100]")
    encoder = load_encoder(finished)
    rows, queries = (encoder.predict(s.load(range(len(s)), 16), verbose=0) for s in (train, test))
    np.testing.assert_allclose(rows, extract(encoder, train, 16), atol=1e-5)
    expected = accuracy(weighted_knn(rows, train.labels, queries), test.labels)["top1"]
    last = [record for record in records(finished) if "knn_top1" in record][-1]
    assert last["knn_top1"] == pytest.approx(expected, abs=1.01)  # a tie may fall either way


def test_a_round_end_keeps_encoder_and_neighbourhoods(finished):
    arrays, metadata = checkpoint.load(finished / "rounds" / "round_1.npz")
    assert metadata.pop("origin").keys() == {"images", "settings"}
    assert metadata == {"step": 16, "epoch": 4, "round": 1}
    assert arrays["neighbours"].shape == (200, 1) and arrays["is_anchor"].sum() == 100
    kept = arrays["entropy"][arrays["is_anchor"]]
    assert kept.max() <= arrays["entropy"][~arrays["is_anchor"]].min()


def test_a_stopped_run_continues_as_if_never_stopped(finished, tmp_path, monkeypatch):
    stop_at = 8
    flags = [*TINY, f"--workdir={tmp_path / 'run'}"]
    skip_exports(monkeypatch)
    with stop_after(stop_at):
        assert programs.train(flags) == 0
    _, metadata = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.npz")
    assert metadata["step"] == stop_at
    assert not (tmp_path / "run" / "summary.txt").exists()
    assert programs.train(flags) == 0
    ours, _ = checkpoint.load(tmp_path / "run" / "checkpoints" / "last.npz")
    theirs, _ = checkpoint.load(finished / "checkpoints" / "last.npz")
    for name, array in theirs.items():
        np.testing.assert_allclose(ours[name], array, atol=1e-4, err_msg=name)
    again, once = records(tmp_path / "run"), records(finished)
    assert [(r["step"], set(r)) for r in again] == [(r["step"], set(r)) for r in once]
    losses = [[r["loss"] for r in run if "loss" in r] for run in (again, once)]
    np.testing.assert_allclose(*losses, atol=1e-3)


def test_a_kill_at_the_end_of_an_epoch_loses_none_of_its_figures(finished, tmp_path, monkeypatch):
    flags = [*TINY, "--checkpoint_steps=2", f"--workdir={tmp_path / 'run'}"]
    skip_exports(monkeypatch)
    plain = callbacks.RunLog.on_epoch_end

    def die(self, epoch, logs=None):
        if int(self.model.optimizer.iterations.numpy()) == 8:
            raise KeyboardInterrupt
        plain(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.RunLog, "on_epoch_end", die)
        assert programs.train(flags) == 130
    assert programs.train(flags) == 0
    again, once = records(tmp_path / "run"), records(finished)
    assert [(r["step"], set(r)) for r in again] == [(r["step"], set(r)) for r in once]
    assert len(list((tmp_path / "run" / "rounds").iterdir())) == 3


@pytest.mark.parametrize(
    "flags",
    [["--classifier=knn"], ["--classifier=knn", "--bank=memory", "--k=5"], ["--classifier=nn"],
     ["--classifier=linear", "--layer=conv4"], ["--classifier=linear", "--layer=fc"]],
)  # fmt: skip
def test_evaluate_names_its_protocol_and_writes_its_figures(finished, capsys, flags):
    assert programs.evaluate([f"--workdir={finished}", *flags]) == 0
    said = capsys.readouterr().out
    path = pathlib.Path(said.split("Written to ")[1].splitlines()[0])
    assert path.parent == finished / "evaluations"
    report = json.loads(path.read_text())
    assert report["protocol"] in said
    assert 5 < report["top1"] <= report.get("top5", 100) <= 100


def test_exports_of_every_format_equal_the_encoder_on_real_images(finished, tmp_path):
    assert programs.export([f"--workdir={finished}", "--format=all"]) == 0
    images = open_source("digits", "test[:8]").load(range(8), 16)
    expected = pooled_features(load_encoder(finished)).predict(images, verbose=0)
    for name in ("encoder", "encoder.keras", "encoder.onnx", "encoder.tflite"):
        exported = load_exported(finished / "export" / name)
        for size in (1, 8):
            np.testing.assert_allclose(exported(images[:size]), expected[:size], atol=1e-4)


def test_photos_without_labels_train_and_embed(photos, photo_run, tmp_path):
    table = tmp_path / "features.npz"
    assert "No kNN accuracy" in (photo_run / "summary.txt").read_text()
    assert not any("consistency" in r or "knn_top1" in r for r in records(photo_run))
    flags = [f"--model={photo_run}", f"--images={photos}", f"--output={table}", "--neighbours=3"]
    flags += ["--clusters=4", f"--gallery={tmp_path / 'near.png'}"]
    assert programs.embed(flags) == 0
    with np.load(table, allow_pickle=False) as columns:
        assert columns["embedding"].shape == (40, 512)  # of the last stage, not of fc
        assert columns["neighbours"].shape == (40, 3)
        assert set(columns["cluster"]) == set(range(4))
        place = list(columns["path"]).index("copy.png")
        assert columns["path"][columns["neighbours"][place, 0]] == "photo_03.png"
    duplicates = (tmp_path / "features.duplicates.csv").read_text().splitlines()
    assert [line.split(",")[1:4] for line in duplicates[1:]] == [
        ["copy.png", "yes", "identical"], ["photo_03.png", "no", "identical"]
    ]  # fmt: skip
    assert Image.open(tmp_path / "near.png").width > 100


def refused(program, flags, capsys):
    """The line that ends a command with status 2; only messages may stand before it."""
    capsys.readouterr()
    try:
        status = program(flags)
    except SystemExit as end:
        status = end.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert sum(".py: " in line or "Traceback" in line for line in lines) == 1, lines
    return lines[-1]


def process(*command, **settings):
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | settings
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, text=True, **settings)


@pytest.mark.parametrize(
    "command",
    [
        ["train.py", "--data=folder:/nowhere", "--workdir=/tmp/never/made"],
        ["embed.py"],
    ],
)
def test_a_real_process_refuses_in_one_line_on_stderr(command):
    started = process(*command)
    _, errors = started.communicate(timeout=120)
    assert started.returncode == 2
    assert len(errors.strip().splitlines()) == 1, errors
    assert errors.startswith(command[0])


def training(run, **streams):
    """A real train.py, but for its encoder, in a process group like one that a shell starts."""
    words = [*TINY, "--epochs_per_round=500", "--checkpoint_steps=4", f"--workdir={run}"]
    words += ["--image_size=8", "--eval_every=0"]
    return process("-m", WORKER, *words, env=environment(""), process_group=0, **streams)


def wait_for_step(started, run, step):
    """Waits for a checkpoint beyond a step."""
    path = run / "checkpoints" / "last.npz"
    while not path.is_file() or checkpoint.load(path)[1]["step"] <= step:
        assert started.poll() is None, started.communicate()
        time.sleep(0.1)


def test_ctrl_c_ends_a_pipeline_after_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    with open(tmp_path / "log", "w") as log:
        tee_in, tee_out = os.pipe()
        started = training(run, stdout=tee_out, stderr=tee_out)
        group = started.pid
        tee = subprocess.Popen(["tee"], stdin=tee_in, stdout=log, process_group=group)
    os.close(tee_in)
    os.close(tee_out)
    wait_for_step(started, run, 0)
    os.killpg(group, signal.SIGINT)
    assert (started.wait(120), tee.wait(120)) == (0, -signal.SIGINT)
    _, metadata = checkpoint.load(run / "checkpoints" / "last.npz")
    assert "Traceback" not in (tmp_path / "log").read_text()
    before = metadata["step"]
    started = training(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.stdout.close()  # as `| head` does
    wait_for_step(started, run, before)
    os.killpg(started.pid, signal.SIGHUP)
    said = started.stderr.read()
    assert started.wait(120) == 0, said
    assert "The same command continues" in said and "Traceback" not in said
    _, metadata = checkpoint.load(run / "checkpoints" / "last.npz")
    assert f"Stopped after step {metadata['step']}." in said and metadata["step"] > before


def test_report_writes_a_page_and_names_what_it_wrote(finished, tmp_path, capsys):
    run, page = tmp_path / "run", tmp_path / "not" / "yet" / "there" / "page.html"
    shutil.copytree(finished, run)
    assert programs.report([f"--workdir={run}", f"--output={page}", "--images=150"]) == 0
    said = capsys.readouterr().out
    assert str(page) in said and f"tensorboard --logdir={run / 'tensorboard'}" in said
    assert "<h1>and</h1>" in page.read_text() and not (run / "report.html").exists()
    assert (run / "tensorboard" / "report" / "projector_config.pbtxt").is_file()
    assert not list(tmp_path.glob("*.partial"))


def test_report_refuses_what_it_cannot_show_and_keeps_an_older_page(
    photos, photo_run, tmp_path, capsys
):
    run, folder = tmp_path / "run", tmp_path / "images"
    shutil.copytree(photos, folder)
    shutil.copytree(photo_run, run)
    (run / "report.html").write_text("an older page")
    before = files(run)
    report = [f"--workdir={run}", f"--data=folder:{folder}"]
    below_a_file = f"--output={run / 'summary.txt' / 'a.html'}"
    assert "is below the file" in refused(programs.report, [*report, below_a_file], capsys)
    assert "--images=1" in refused(programs.report, [*report, "--images=1"], capsys)
    whole = folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    shutil.copy2(whole / "photo_07.png", folder)  # one alone has no neighbour
    said = refused(programs.report, report, capsys)
    assert "has changed" in said and "undo_moves" in said
    assert files(run) == before
    shutil.rmtree(run / "checkpoints")
    assert "has changed" in refused(programs.report, report, capsys)  # before a model is looked for
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    assert "checkpoint" in refused(programs.report, report, capsys)
    assert "/nowhere" in refused(programs.report, ["--workdir=/nowhere"], capsys)
    assert (run / "report.html").read_text() == "an older page"


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_report_names_the_package_that_it_lacks(finished, monkeypatch, capsys, package):
    for name in [name for name in sys.modules if name.startswith("and_tf.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    line = refused(programs.report, [f"--workdir={finished}"], capsys)
    assert package in line and "pip install" in line
