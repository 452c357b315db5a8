"""Processes of a program that train together, on 127.0.0.1, each ended by its own id."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
WORKER = "helpers.small_worker"
END = 60  # seconds in which all must have ended that wait for one that is lost


def free_ports(count):
    """Ports that no process listened on when they were looked for."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [server.getsockname()[1] for server in found]


def tf_configs(ports):
    """`TF_CONFIG` of each of as many workers."""
    addresses = [f"127.0.0.1:{port}" for port in ports]
    tasks = ({"type": "worker", "index": number} for number in range(len(ports)))
    return [json.dumps({"cluster": {"worker": addresses}, "task": task}) for task in tasks]


@contextlib.contextmanager
def started(flags, size=1, program=WORKER, ports=None):
    """Processes of the module `program`, whose output is read by `outputs`.

    All get the same flags, or each its own where these are lists of flags. What they write goes to
    files: from pipes that nobody reads while they run, they would wait for ever.
    """
    own = flags if flags and isinstance(flags[0], list) else [flags] * size
    alone = ["{}"]  # TensorFlow's own strategies read it too
    configs = tf_configs(ports or free_ports(size)) if size > 1 else alone
    strategy = ["--strategy=multiworker"] if size > 1 else []
    workers = []
    with contextlib.ExitStack() as files:
        try:
            for config, words in zip(configs, own, strict=True):
                file = files.enter_context(tempfile.TemporaryFile())
                worker = subprocess.Popen(
                    [sys.executable, "-m", program, *words, *strategy],
                    env=environment(config),
                    cwd=ROOT,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
                worker.output = file
                workers.append(worker)
            yield workers
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def environment(config):
    """Of a process with one thread, for several share the cores."""
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return os.environ | {"TF_CONFIG": config, "PYTHONPATH": path} | dict.fromkeys(threads, "1")


def outputs(workers, timeout=900):
    """Status and output of each process, once all have ended."""
    deadline = time.monotonic() + timeout
    try:
        for worker in workers:
            worker.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise AssertionError("\n".join(map(output, workers))) from error
    return [(worker.returncode, output(worker)) for worker in workers]


def output(worker):
    """What a process has written up to now."""
    number = worker.output.fileno()  # whose place in the file is that of the process, too
    return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace")
