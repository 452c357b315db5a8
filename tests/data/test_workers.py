"""Threads share the work on images, no more of them than can be kept busy."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from and_tf.data import workers
from and_tf.data.sources import encoded
from and_tf.data.sources.encoded import EncodedSource

COUNT = 101
CORES = 16


@pytest.fixture(autouse=True)
def many_cores(monkeypatch):
    monkeypatch.setattr(workers, "NUM_THREADS", CORES)
    workers._pool_of.cache_clear()
    yield
    workers._pool_of.cache_clear()


@pytest.mark.parametrize("most", [None, 1, 3, CORES, 100])
def test_every_number_is_worked_on_once(most):
    done, threads = [], set()

    def work(row):
        done.append(row)
        threads.add(threading.current_thread())

    workers.in_threads(work, COUNT, most)
    assert sorted(done) == list(range(COUNT))
    assert len(threads) <= min(most or CORES, CORES)


@pytest.mark.parametrize("most", [None, 1, 3])
def test_the_first_error_is_raised(most):
    def fail(row):
        raise OSError(row)

    with pytest.raises(OSError, match="0"):
        workers.in_threads(fail, COUNT, most)


def test_no_more_work_at_a_time_than_is_asked_for():
    most = 3
    lock, at_work, peak = threading.Lock(), [0], [0]
    meeting = threading.Barrier(most, timeout=60)  # all of them come, so they work side by side

    def work(row):
        with lock:
            at_work[0] += 1
            peak[0] = max(peak[0], at_work[0])
        meeting.wait()
        with lock:
            at_work[0] -= 1

    workers.in_threads(work, 3 * most, most)
    assert peak[0] == most


@pytest.mark.parametrize(("mean_bytes", "threads"), [(2_275.0, 1), (0.0, 1), (28_000.0, 4)])
def test_larger_images_keep_more_threads_busy(mean_bytes, threads):
    assert workers.decoding_threads(mean_bytes) == threads


def test_small_images_in_memory_are_decoded_by_one_thread_and_files_by_all(tmp_path, monkeypatch):
    asked = []

    def in_threads(work, count, most):
        asked.append(most)
        workers.in_threads(work, count, most)

    monkeypatch.setattr(encoded, "in_threads", in_threads)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), np.uint8)
    contents, paths = [], []
    for row, image in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "PNG")
        contents.append(file.getvalue())
        paths.append(str(tmp_path / f"{row}.png"))
        (tmp_path / f"{row}.png").write_bytes(file.getvalue())
    sizes = np.array(list(map(len, contents)))
    states = [(tmp_path / f"{row}.png").stat().st_mtime_ns for row in range(len(pixels))]
    sources = [
        EncodedSource(contents, "memory"),
        EncodedSource(paths, "files", sizes=sizes, mtimes=np.array(states)),
    ]
    for source in sources:
        assert np.array_equal(source.load(np.arange(len(pixels)), 8), pixels)
    assert asked == [1, None]
