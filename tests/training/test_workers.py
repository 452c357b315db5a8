"""How processes begin and end together, each a thread here; a stub stands for their strategy."""

import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
from helpers.cluster import free_ports

from and_tf.errors import UserError, WorkerLost
from and_tf.training import workers
from and_tf.training.cluster import Cluster
from and_tf.training.identity import identity
from and_tf.training.settings import experiment_settings


@pytest.fixture
def together(monkeypatch):
    """What `work(workers)` gives or raises in each of several processes, by their settings."""
    of_thread = threading.local()
    monkeypatch.setattr(workers, "read_cluster", lambda port: of_thread.cluster)
    monkeypatch.setattr(workers, "choose_strategy", lambda name, cluster=None: None)
    monkeypatch.setattr(workers, "_end_later", lambda lost, is_over, stderr: None)
    monkeypatch.setattr(workers, "startup_lines_dropped", contextlib.nullcontext)  # of a process
    level = logging.getLogger("and_tf").level

    def run(work, *settings):
        addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(len(settings)))

        def process(number):
            of_thread.cluster = Cluster({"worker": addresses}, "worker", number)
            try:
                with workers.workers_of(settings[number]) as found:
                    return work(found)
            except Exception as error:
                return error

        with ThreadPoolExecutor(len(settings)) as pool:
            return list(pool.map(process, range(len(settings))))

    yield run
    logging.getLogger("and_tf").setLevel(level)


def settings(**values):
    return experiment_settings({"strategy": "multiworker", "worker_timeout": 20.0} | values)


def test_each_knows_its_number_and_one_is_the_chief(together):
    found = together(lambda w: (w.sharing.number, w.sharing.size, w.is_chief), *[settings()] * 3)
    assert found == [(0, 3, True), (1, 3, False), (2, 3, False)]


def test_other_flags_are_refused_by_all_with_the_same_line(together):
    one, other = together(lambda w: None, settings(), settings(batch_size=64))
    assert isinstance(one, UserError) and str(one) == str(other)
    assert "batch_size is 64 on worker 1" in str(one) and "128 on worker 0" in str(one)


def test_images_and_folders_may_lie_elsewhere(together):
    elsewhere = settings(data="folder:/b", workdir="/d", cache_mb=1)
    found = together(lambda w: w.is_chief, settings(data="folder:/a", workdir="/c"), elsewhere)
    assert found == [True, False]


def test_versions_are_compared():
    names = identity(settings())
    assert {"and_tf", "python", "numpy", "keras", "batch_size", "seed"} <= names.keys()
    assert names["keras"] and names["batch_size"] == "128"


@pytest.mark.parametrize("is_in_collective", [False, True])
def test_the_others_are_told_why_one_ends(together, is_in_collective):
    def work(found):
        if found.sharing.number == 1:
            raise UserError("b.jpg cannot be decoded: repair it.")
        if is_in_collective:  # which TensorFlow ends when the connection breaks
            raise tf.errors.UnavailableError(None, None, "Connection reset by peer")
        found.wait_for_all("built")

    chief, failed = together(work, settings(), settings())
    assert type(failed) is UserError
    assert isinstance(chief, WorkerLost)
    assert "worker 1 " in str(chief) and "ended: b.jpg cannot be decoded" in str(chief)
    assert str(chief).endswith("the same commands continue from the last checkpoint.")


def test_an_error_of_tensorflow_stays_where_all_are_there(together, monkeypatch):
    monkeypatch.setattr(workers, "LAST_WORD", 0.1)

    def work(found):
        if found.sharing.number == 0:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        found.wait_for_all("built")

    chief, other = together(work, settings(), settings())
    assert isinstance(chief, tf.errors.ResourceExhaustedError)
    assert isinstance(other, WorkerLost) and "ResourceExhaustedError: out of memory" in str(other)


def test_after_they_have_parted_nobody_is_missed(together):
    def work(found):
        found.part()
        if found.sharing.number == 1:
            raise UserError("of its own")
        return "exported"

    assert together(work, settings(), settings())[0] == "exported"


def test_one_process_alone_needs_no_strategy(together):
    assert together(lambda w: (w.channel, w.is_chief), settings()) == [(None, True)]
