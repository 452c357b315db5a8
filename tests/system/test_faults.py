"""Faults that a long run meets: each ends in one line, or is survived, and loses nothing."""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers import programs
from helpers.cluster import WORKER, environment
from PIL import Image

from and_tf.data.manifest import Manifest, changes
from and_tf.runs import checkpoint
from and_tf.runs.lock import locked
from and_tf.runs.workdir import Workdir
from and_tf.training.callbacks import Checkpoints, RunLog
from benchmarks import soak_compare

pytestmark = pytest.mark.usefixtures("no_exports", "thin_resnet")

ROOT = pathlib.Path(__file__).parents[2]
TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=16",
    "--train_split=train[:200]", "--eval_split=test[:50]", "--rounds=1", "--epochs_per_round=2",
    "--batch_size=64", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=0",
]  # fmt: skip

SMALL = [
    "--rounds=0",
    "--epochs_per_round=1",
    "--batch_size=16",
    "--encoder=resnet_small",
    "--image_size=16",
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert programs.train([*TINY, f"--workdir={folder}"]) == 0
    return folder


@pytest.fixture
def stopped(finished, tmp_path, capsys):
    """A copy of the run as if killed before its end."""
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "summary.txt").unlink()
    return run


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 16 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def refused(flags, capsys):
    """The last line on stderr of a command that ends with status 2, its one line of an error."""
    capsys.readouterr()
    assert programs.train(flags) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line for line in lines if line.startswith("train.py: ")] == lines[-1:], lines
    assert not any("Traceback" in line or "ignored" in line for line in lines), lines
    return lines[-1]


def files(folder):
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def fill(folder):
    """Leaves no room on the file system of a folder."""
    with open(folder / "filler", "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2


def assert_same_state(run, other):
    (ours, _), (theirs, _) = (checkpoint.load(Workdir(r).checkpoint) for r in (run, other))
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4, err_msg=name)


def ends_on_a_full_disk(run, capsys):
    """The one line of a run that ends because of a full disk."""
    line = refused([*TINY, f"--workdir={run}"], capsys)
    assert "No space left" in line and "make room and repeat the command" in line
    assert not (run / "summary.txt").exists()
    assert not list(run.rglob("*.partial"))


def makes_room_and_continues(run, finished, folder):
    (folder / "filler").unlink()
    assert programs.train([*TINY, f"--workdir={run}"]) == 0
    assert_same_state(run, finished)
    steps = [[r["step"] for r in Workdir(r).read_metrics()] for r in (run, finished)]
    assert steps[0] == steps[1]
    losses = {(step, value) for step, tag, value in soak_compare.events(run) if tag == "loss"}
    metrics = Workdir(run).read_metrics()
    assert losses == {(r["step"], np.float32(r["loss"])) for r in metrics if "loss" in r}


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_disk_that_fills_ends_the_run_in_one_line_and_the_command_continues(
    finished, small_disk, monkeypatch, capsys, epoch
):
    run, plain = small_disk / "run", RunLog.on_epoch_end
    kept = []

    def fill_before(self, number, logs=None):
        if number == epoch:
            fill(small_disk)
            kept.extend(path.read_bytes() for path in [Workdir(run).checkpoint] if path.is_file())
        plain(self, number, logs)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "on_epoch_end", fill_before)
        ends_on_a_full_disk(run, capsys)
    if kept:
        assert Workdir(run).checkpoint.read_bytes() == kept[0]
    makes_room_and_continues(run, finished, small_disk)


def test_a_checkpoint_that_has_no_room_leaves_the_one_before(
    finished, small_disk, monkeypatch, capsys
):
    run, plain = small_disk / "run", Checkpoints.save

    def fill_before(self, **more):
        if self.counter.step == 12:
            fill(small_disk)
        plain(self, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", fill_before)
        ends_on_a_full_disk(run, capsys)
    assert checkpoint.load(Workdir(run).checkpoint)[1]["step"] == 8
    makes_room_and_continues(run, finished, small_disk)


def test_an_export_onto_a_full_disk_says_so(finished, small_disk, capsys):
    fill(small_disk)
    flags = [f"--workdir={finished}", "--format=savedmodel", f"--output={small_disk / 'encoder'}"]
    capsys.readouterr()
    assert programs.export(flags) == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert "make room" in line and "memory" not in line
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_a_read_only_workdir_is_refused_in_one_line(small_disk, capsys):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    line = refused([*TINY, f"--workdir={small_disk / 'run'}"], capsys)
    assert "Read-only file system" in line and str(small_disk) in line


def test_a_corrupt_checkpoint_is_named_and_passed_over(finished, stopped, capsys):
    last = stopped / "checkpoints" / "last.npz"
    last.write_bytes(last.read_bytes()[:-1000])
    assert programs.train([*TINY, f"--workdir={stopped}"]) == 0
    assert f"{last} is corrupt: trying " in capsys.readouterr().err
    assert_same_state(stopped, finished)
    assert checkpoint.load(stopped / "checkpoints" / "previous.npz")


@pytest.mark.parametrize("byte", [0.1, 0.5, 0.9])
def test_a_flipped_byte_anywhere_is_found(stopped, capsys, byte):
    last = stopped / "checkpoints" / "last.npz"
    data = bytearray(last.read_bytes())
    data[int(byte * len(data))] ^= 0xFF
    last.write_bytes(data)
    _, metadata, path = Workdir(stopped).load_checkpoint()
    assert path.name == "previous.npz" and metadata["step"] == 12
    assert str(last) in capsys.readouterr().err


def test_a_run_whose_checkpoints_are_all_corrupt_is_refused_and_left_alone(stopped, capsys):
    for path in stopped.glob("checkpoints/*.npz"):
        path.write_bytes(path.read_bytes()[:100])
    before = files(stopped)
    capsys.readouterr()
    assert programs.train([*TINY, f"--workdir={stopped}"]) == 2
    assert "previous.npz is corrupt" in capsys.readouterr().err.splitlines()[-1]
    assert files(stopped) == before


def test_the_second_of_two_processes_on_one_workdir_is_refused(stopped, capsys):
    before = files(stopped)
    with locked(stopped):
        line = refused([*TINY, f"--workdir={stopped}"], capsys)
    assert "in use by another process" in line and str(os.getpid()) in line
    assert files(stopped) == before


@pytest.mark.parametrize("flags", [[], ["--checkpoint_steps=1"]])
def test_a_workdir_deleted_under_the_run_ends_it_in_one_line(tmp_path, flags):
    run = tmp_path / "run"
    started = subprocess.Popen(
        [sys.executable, "-m", WORKER, *TINY, "--epochs_per_round=500", *flags, f"--workdir={run}"],
        cwd=ROOT, env=environment(""), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (run / "checkpoints" / "last.npz").is_file():
        assert started.poll() is None, started.communicate()
        time.sleep(0.05)
    run.rename(tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    errors = started.communicate(timeout=60)[1]
    assert started.returncode == 2, errors
    *_, line = errors.strip().splitlines()
    assert line.startswith("train.py: ") and str(run) in line and "Traceback" not in errors
    assert not run.exists()


def test_a_clock_that_jumps_changes_nothing(finished, tmp_path, monkeypatch):
    saved, plain = [], checkpoint.save

    def count(path, *others):
        saved.append(path.name)
        plain(path, *others)

    monkeypatch.setattr(checkpoint, "save", count)
    jumps = iter(np.random.default_rng(0).integers(-(10**6), 10**6, 10**6).tolist())
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    run = tmp_path / "run"
    assert programs.train([*TINY, f"--workdir={run}"]) == 0
    assert_same_state(run, finished)
    assert saved.count("last.npz") == 4  # at the epochs' ends, no ten minutes having passed


@pytest.fixture(scope="module")
def begun_arrays(tmp_path_factory):
    """A stopped run on labelled arrays, in one folder with them; the flags but for the places."""
    folder, rng = tmp_path_factory.mktemp("arrays") / "arrays", np.random.default_rng(0)
    folder.mkdir()
    arrays = {
        "x_train": rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8),
        "x_test": rng.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 3,
        "y_test": np.arange(20) % 3,
    }
    np.savez(folder / "a.npz", **arrays)
    assert programs.train(SMALL + places(folder, "npz:{}/a.npz")) == 0
    (folder / "run" / "summary.txt").unlink()
    return folder


def places(folder, data):
    return [f"--data={data.format(folder)}", f"--workdir={folder / 'run'}"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"y_train": lambda y: y[::-1]}, "labels differ"),
        ({"y_test": lambda y: y[::-1]}, "held out labels differ"),
        ({"x_test": lambda x: 255 - x}, "held out fingerprint differ"),
        ({"x_train": lambda x: np.roll(x, 1, axis=0)}, "edited (image 0"),
    ],
)
def test_labels_and_held_out_images_that_changed_are_refused(
    begun_arrays, tmp_path, capsys, change, words
):
    here = tmp_path / "here"
    shutil.copytree(begun_arrays, here)
    arrays = dict(np.load(here / "a.npz"))
    changed = {name: change.get(name, lambda x: x)(array) for name, array in arrays.items()}
    np.savez(here / "a.npz", **changed)
    before = files(here / "run")
    assert words in refused(SMALL + places(here, "npz:{}/a.npz"), capsys)
    assert files(here / "run") == before


def test_images_in_another_order_are_not_the_same():
    names = np.array(["a", "b"], dtype=object)
    sizes, checksums = np.array([5, 5]), np.array([7, 8], np.uint32)
    one = Manifest(names, sizes, checksums)
    assert changes(one, Manifest(names[::-1], sizes, checksums[::-1])) == "their order"
    assert changes(one, one) == ""


@pytest.fixture(scope="module")
def begun_photos(tmp_path_factory):
    """A stopped run on a folder of 40 images, and the images, in one folder."""
    folder, rng = tmp_path_factory.mktemp("photos") / "photos", np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    for number in range(40):
        pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02}.bmp")
    assert programs.train(SMALL + places(folder, "folder:{}/images")) == 0
    (folder / "run" / "summary.txt").unlink()
    return folder


@pytest.fixture
def photo_run(begun_photos, tmp_path):
    """The images of a copy of the run, and its flags."""
    here = tmp_path / "here"
    shutil.copytree(begun_photos, here)
    return here / "images", SMALL + places(here, "folder:{}/images")


def edit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # one pixel: the size stays
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: shutil.copy(d / "07.bmp", d / "new.bmp"), "1 added (new.bmp)"),
        (lambda d: (d / "07.bmp").unlink(), "1 removed (07.bmp)"),
        (lambda d: (d / "07.bmp").rename(d / "7.bmp"), "1 renamed (07.bmp to 7.bmp)"),
        (lambda d: edit(d / "07.bmp"), "1 edited (07.bmp)"),
    ],
    ids=["added", "removed", "renamed", "edited"],
)
def test_images_that_changed_are_refused_with_what_changed(photo_run, capsys, change, words):
    folder, flags = photo_run
    before = files(folder.parent / "run")
    change(folder)
    line = refused(flags, capsys)
    assert words in line and "has changed" in line
    assert files(folder.parent / "run") == before


def test_images_moved_to_another_place_are_the_same(photo_run, tmp_path):
    folder, flags = photo_run
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert programs.train(flags) == 0


def test_stray_files_anywhere_in_a_run_are_ignored(finished, stopped):
    for folder in (stopped, *(stopped / n for n in ("rounds", "checkpoints", "tensorboard"))):
        for name in ("notes.txt", "round_x.npz", "round_0.npz.bak", ".DS_Store"):
            (folder / name).write_text("stray")
        (folder / "folder").mkdir()
    assert programs.train([*TINY, f"--workdir={stopped}"]) == 0
    assert_same_state(stopped, finished)
    for program in (programs.evaluate, programs.report):
        assert program([f"--workdir={stopped}"]) == 0


def test_a_kill_right_at_the_start_leaves_a_folder_that_starts_again(finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "lock").touch()
    (run / ".flags.cfg.ab12_xyz.partial").mkdir()
    (run / ".flags.cfg.ab12_xyz.partial" / "flags.cfg").write_text("--na")
    assert programs.train([*TINY, f"--workdir={run}"]) == 0
    assert_same_state(run, finished)
