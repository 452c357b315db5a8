"""Processes on loopback, and devices, train what one alone trains, by every method; and what ends
processes."""

import json
import re
import signal
import time

import numpy as np
import pytest
from helpers.cluster import END, outputs, started
from helpers.every_method import COUNTS, FLAGS, flags, train_all, write_images

METADATA = "facts"
# Supervised training is DeepCluster's with other classes.
BY_TWO = [run for run in FLAGS if run != "supervised"]
# The other methods train on two devices in `test_mirrored_methods`, and a bank in parts on four in
# `test_shard_bank`.
BY_FOUR_DEVICES = ["instance", "deterministic"]


def arrays(run):
    """All that the last checkpoint of a run holds."""
    with np.load(run / "checkpoints" / "last.npz") as found:
        return {name: found[name] for name in found.files if name != METADATA}


def records(run):
    """The metrics of a run without what it cost."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in lines]


def assert_close(run, other):
    expected, found = arrays(run), arrays(other)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    for one, two in zip(records(run), records(other), strict=True):
        assert two == pytest.approx(one, rel=1e-5, abs=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the runs of every method, by how many processes or devices trained them."""
    folders = {by: tmp_path_factory.mktemp(f"by_{by}") for by in (1, 2, "four_devices")}
    for folder in folders.values():
        for count in COUNTS:
            write_images(folder, count)
    train_by(folders[2], 2, BY_TWO)
    train_by(folders["four_devices"], 1, BY_FOUR_DEVICES, "--strategy=mirrored")
    train_all(folders[1], BY_TWO)
    return folders


def train_by(folder, size, runs, *strategy):
    words = [str(folder), ",".join(runs), *strategy]
    with started(words, size, program="helpers.every_method") as workers:
        for status, output in outputs(workers):
            assert status == 0, output


@pytest.mark.parametrize("run", BY_TWO)
def test_processes_train_as_one(trained, run):
    assert_close(trained[1] / run, trained[2] / run)


@pytest.mark.parametrize("run", BY_FOUR_DEVICES)
def test_four_devices_train_as_one(trained, run):
    assert_close(trained[1] / run, trained["four_devices"] / run)


def test_a_killed_process_ends_the_other_and_the_same_commands_continue_to_the_same_bits(
    trained, tmp_path, monkeypatch
):
    write_images(tmp_path, 21)
    run, in_discovery = tmp_path / "run", tmp_path / "in discovery"
    command = flags(tmp_path, run, *FLAGS["deterministic"])
    with started(command, 2) as workers:
        wait_until(lambda: num_epochs(run) >= 1, workers)
        assert_ended_by_a_kill_of_the_other(*workers)
    assert num_epochs(run) < 4  # before discovery
    monkeypatch.setenv("HELD_IN_DISCOVERY", str(in_discovery))
    with started(command, 2) as workers:
        wait_until(in_discovery.exists, workers)
        assert_ended_by_a_kill_of_the_other(*workers)
    monkeypatch.delenv("HELD_IN_DISCOVERY")
    with started(command, 2) as workers:
        for status, output in outputs(workers):
            assert status == 0, output
    uninterrupted = trained[2] / "deterministic"
    expected, found = arrays(uninterrupted), arrays(run)
    assert {k: (v.dtype, v.tobytes()) for k, v in found.items()} == {
        k: (v.dtype, v.tobytes()) for k, v in expected.items()
    }
    assert records(run) == records(uninterrupted)


def test_a_process_that_is_killed_while_tensorflow_connects_ends_the_other(tmp_path, monkeypatch):
    write_images(tmp_path, 21)
    connects = tmp_path / "connects"
    monkeypatch.setenv("HELD_IN_START", str(connects))
    with started(flags(tmp_path, tmp_path / "run", "random", 21), 2) as workers:
        wait_until(connects.exists, workers)
        time.sleep(2)  # the chief waits within TensorFlow
        assert_ended_by_a_kill_of_the_other(*workers, remedy="nothing is saved yet")


def assert_ended_by_a_kill_of_the_other(chief, worker, remedy="the same commands continue"):
    """With one line of ours, in time; TensorFlow may see the loss first and print its own above."""
    worker.kill()
    killed = time.monotonic()
    status, output = outputs([chief], END)[0]
    assert status == 2 and time.monotonic() - killed < END
    last = output.strip().splitlines()[-1]
    assert re.search(f"worker 1 .* was killed: {remedy}", last), output
    assert "Traceback" not in output, output


def test_a_signal_to_one_process_stops_both_after_the_same_step(tmp_path):
    write_images(tmp_path, 21)
    run = tmp_path / "run"
    with started(flags(tmp_path, run, "and", 21, "--epochs_per_round=500"), 2) as workers:
        wait_until(lambda: num_epochs(run) >= 2, workers)
        workers[1].send_signal(signal.SIGTERM)
        (status, output), (other, _) = outputs(workers, END)
    assert status == other == 0 and "The same command continues." in output


def num_epochs(run):
    """Whose metrics are written."""
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text().splitlines() if metrics.is_file() else []
    return len({json.loads(line)["epoch"] for line in lines})


def wait_until(is_reached, workers):
    """Fails where a process ends before."""
    while not is_reached():
        assert all(worker.poll() is None for worker in workers), outputs(workers, END)
        time.sleep(0.02)
