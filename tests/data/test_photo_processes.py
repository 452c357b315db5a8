"""Processes that load photos do what the threads do, and leave all trouble to them."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.encoded import chunk, encoded, gradient, with_chunk
from PIL import Image

from and_tf.data.augmentation.columns import VALUES_PER_IMAGE
from and_tf.data.cache import cached
from and_tf.data.photo_processes import PhotoProcesses, crops_of_step
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.arrays import array_source
from and_tf.data.sources.encoded import EncodedSource
from and_tf.errors import BrokenImage

SETTINGS = AugmentationSettings(image_size=24, flip=True)
COUNT = 11
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def processes():
    with PhotoProcesses(2) as running:
        running.begin(COUNT, 1, SETTINGS, True)
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of several shapes in files, one of them so small that it is no crop."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(COUNT):
        height, width = (20, 20) if number == 4 else (30 + 7 * number, 90 - 3 * number)
        paths.append(str(folder / f"{number}.jpg"))
        Image.fromarray(rng.integers(0, 256, (height, width, 3), "uint8")).save(paths[-1])
    sizes = np.array([os.path.getsize(path) for path in paths])
    return EncodedSource(paths, "photos", sizes=sizes, labels=np.arange(COUNT))


def noise(views=None, seed=1):
    shape = (COUNT, *([views] if views else []), VALUES_PER_IMAGE)
    return np.random.default_rng(seed).random(shape, "float32")


def assert_same(found, expected):
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("rows", [np.arange(COUNT), np.array([9, 4, 4, 0, 2])])
def test_images_equal_those_of_threads(processes, photos, rows):
    found = processes.load(photos, rows, noise()[rows])
    assert_same(found, crops_of_step(photos, rows, noise()[rows], SETTINGS, True))


@pytest.mark.parametrize("views, is_augmented", [(2, True), (3, False)])
def test_so_do_several_views_and_crops_that_are_not_augmented(photos, views, is_augmented):
    rows = np.arange(COUNT)
    with PhotoProcesses(1) as processes:
        processes.begin(COUNT, views, SETTINGS, is_augmented)
        found = processes.load(photos, rows, noise(views))
    assert_same(found, crops_of_step(photos, rows, noise(views), SETTINGS, is_augmented))


def test_decoded_images_and_pixels_are_loaded_as_well(processes, photos):
    rows = np.arange(COUNT)
    pixels = array_source(np.random.default_rng(0).integers(0, 256, (COUNT, 40, 30, 3), "uint8"))
    for source in (cached(photos, 24), pixels):
        found = processes.load(source, rows, noise())
        assert_same(found, crops_of_step(source, rows, noise(), SETTINGS, True))


def test_a_broken_image_is_named_by_its_place_in_the_whole(processes, photos, tmp_path):
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"\xff\xd8\xff broken")
    broken = EncodedSource(
        [*photos.items[:9], str(path), *photos.items[10:]],
        "photos",
        sizes=np.array([*photos.sizes[:9], path.stat().st_size, *photos.sizes[10:]]),
    )
    with pytest.raises(BrokenImage, match=r"Image 9 of photos is broken.*broken\.jpg"):
        processes.load(broken, np.arange(COUNT), noise())


def test_what_a_file_gives_reason_to_say_is_said_here(processes, photos, tmp_path, caplog):
    path = tmp_path / "text.png"
    text = chunk(b"tEXt", b"Comment\0text", checksum_error=1)
    path.write_bytes(with_chunk(encoded(gradient(50, 40)), text))
    sizes = np.array([path.stat().st_size])
    mended, row = EncodedSource([str(path)], "texts", sizes=sizes), np.array([0])
    with caplog.at_level(logging.WARNING):
        found = processes.load(mended, row, noise()[:1])
    assert "text.png is read, but" in caplog.text
    assert_same(found, crops_of_step(mended, row, noise()[:1], SETTINGS, True))


def test_processes_need_no_tensorflow_and_no_signals(processes, photos):
    rows = np.arange(COUNT)
    assert not processes.processes.submit(_has_tensorflow).result()
    for pid in processes.processes._processes:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    found = processes.load(photos, rows, noise())
    assert not processes._is_over.is_set()
    assert_same(found, crops_of_step(photos, rows, noise(), SETTINGS, True))


def _has_tensorflow():
    return "tensorflow" in sys.modules


def test_threads_go_on_where_a_process_was_killed(photos, caplog):
    rows = np.arange(COUNT)
    with PhotoProcesses(1) as processes:
        processes.begin(COUNT, 1, SETTINGS, True)
        processes.load(photos, rows, noise())
        os.kill(next(iter(processes.processes._processes)), signal.SIGKILL)
        with caplog.at_level(logging.WARNING):
            found = processes.load(photos, rows, noise())
            processes.load(photos, rows, noise())
    assert caplog.text.count("threads take over") == 1
    assert_same(found, crops_of_step(photos, rows, noise(), SETTINGS, True))


PARENT = """
import sys, time
from and_tf.data.photo_processes import PhotoProcesses
from and_tf.data.settings import AugmentationSettings
if __name__ == "__main__":
    processes = PhotoProcesses(1)
    processes.begin(4, 1, AugmentationSettings(image_size=8), True)
    processes.processes.submit(int).result()
    print(*processes.processes._processes, flush=True)
    time.sleep(600)
"""


def test_a_process_ends_with_the_one_that_began_it(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command, environment = [sys.executable, str(script)], {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as one:
        child = int(one.stdout.readline())
        one.kill()
    ended = time.monotonic() + 60
    while _is_running(child) and time.monotonic() < ended:
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
