"""TensorBoard for the tests that look at what it shows of a report."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def serve_tensorboard(tmp_path):
    """`serve_tensorboard(logdir)`: starts a TensorBoard and returns its address."""
    processes = []

    def serve(logdir):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", f"--port={port}"]
        with open(tmp_path / "tensorboard.log", "w") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        address = f"http://127.0.0.1:{port}"
        _wait_until_served(address, processes[-1], tmp_path / "tensorboard.log")
        return address

    yield serve
    for process in processes:
        process.terminate()
        process.wait(timeout=30)


def _wait_until_served(address, process, log, seconds=120):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/data/environment", timeout=10).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"TensorBoard does not answer: {log.read_text()[-2000:]}")
