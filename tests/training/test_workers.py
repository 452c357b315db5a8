"""How processes begin and end together, each a thread here; a stub stands for their strategy."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
import tensorflow as tf
from helpers.cluster import free_ports
from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context

from and_tf.errors import Argument, UserError, WorkerLost
from and_tf.training import workers
from and_tf.training.cluster import Cluster
from and_tf.training.identity import identity
from and_tf.training.settings import experiment_settings
from and_tf.training.unlocked_start import lock_released_in_start


@pytest.fixture
def together(monkeypatch):
    """What `work(workers)` gives or raises in each of several processes, by their settings."""
    of_thread = threading.local()
    monkeypatch.setattr(workers, "read_cluster", lambda port: of_thread.cluster)
    monkeypatch.setattr(workers, "choose_strategy", lambda name, cluster=None: None)
    # What is one of a process, of which threads cannot have several.
    monkeypatch.setattr(workers, "Ending", lambda error: Mock())
    monkeypatch.setattr(workers, "only_warnings", contextlib.nullcontext)
    monkeypatch.setattr(workers, "startup_lines_dropped", contextlib.nullcontext)

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

    return run


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
    """By its own words, which say what to mend first: the same commands would be refused again."""
    parts = "b.jpg cannot be decoded: repair it, or pass ", Argument("skip_broken", True), "."

    def work(found):
        if found.sharing.number == 1:
            raise UserError(*parts)
        if is_in_collective:  # which TensorFlow ends when the connection breaks
            raise tf.errors.UnavailableError(None, None, "Connection reset by peer")
        found.wait_for_all("built")

    chief, failed = together(work, settings(), settings())
    assert type(failed) is UserError
    assert isinstance(chief, WorkerLost)
    assert str(chief).startswith("worker 1 ") and chief.parts[-3:] == parts


@pytest.mark.parametrize("is_saved", [False, True])
def test_what_the_same_commands_do_depends_on_whether_something_is_saved(
    together, tmp_path, is_saved
):
    def work(found):
        if found.sharing.number == 1:
            raise OSError("no space left")
        found.wait_for_all("built")

    if is_saved:
        (tmp_path / "checkpoints").mkdir()
        (tmp_path / "checkpoints" / "last.npz").touch()
    chief, _ = together(work, *[settings(workdir=str(tmp_path))] * 2)
    what = "continue from the last checkpoint" if is_saved else "start again"
    assert "ended: OSError: no space left: " in str(chief)
    assert str(chief).endswith(f"the same commands {what}.")


@pytest.mark.parametrize("is_seen_by_tensorflow", [False, True])
def test_a_port_that_was_taken_since_they_met_is_named_by_all(
    together, monkeypatch, is_seen_by_tensorflow
):
    meet, servers = workers.meet, []

    def meet_and_lose_the_port(cluster, timeout):
        channel = meet(cluster, timeout)
        if cluster.number == 1:
            address = "127.0.0.1", int(cluster.addresses[1].rpartition(":")[2])
            servers.append(socket.create_server(address))
        return channel

    def choose(name, cluster):
        if cluster.number == 1:
            raise tf.errors.UnknownError(None, None, "Could not start gRPC server")

    if is_seen_by_tensorflow:
        monkeypatch.setattr(workers, "choose_strategy", choose)
    else:
        monkeypatch.setattr(workers, "meet", meet_and_lose_the_port)
    chief, other = together(lambda w: w.wait_for_all("x"), settings(), settings())
    assert type(other) is UserError and "Port " in str(other) and " is taken by" in str(other)
    assert isinstance(chief, WorkerLost) and str(other) in str(chief)
    assert Argument("worker_port") in chief.parts
    for server in servers:
        server.close()


def test_processes_that_tensorflow_does_not_connect_in_time_end():
    ending = Mock()
    with workers._ended_after(0.05, ending):
        time.sleep(0.5)
    (late,) = ending.begin.call_args.args
    assert "did not connect them within 0.05 s" in str(late) and late.is_refused
    assert Argument("worker_timeout", 0.05) in late.parts
    in_time = Mock()
    with workers._ended_after(0.5, in_time):
        pass
    time.sleep(0.6)
    assert not in_time.begin.called


def test_an_error_of_the_start_without_the_lock_is_that_of_tensorflow():
    handle = context.context()._handle
    locked = pywrap_tfe.TFE_EnableCollectiveOps
    with lock_released_in_start():
        assert pywrap_tfe.TFE_EnableCollectiveOps is not locked
        with pytest.raises(tf.errors.InvalidArgumentError, match="ServerDef"):
            pywrap_tfe.TFE_EnableCollectiveOps(handle, b"no ServerDef")
    assert pywrap_tfe.TFE_EnableCollectiveOps is locked


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
