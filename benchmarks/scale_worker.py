"""One of several worker processes on 127.0.0.1 that train together, measured for `scale`.

Each takes one thread, for they share the cores of this machine: times tell what processes cost, and
not what more machines gain. What arrays discovery holds in a process is true of any machine.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import numpy as np

from benchmarks import timing
from benchmarks.discovery import clustered_rows

LIMIT = 1800  # seconds that the processes of one number may take
ONE_THREAD = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def measured(options: argparse.Namespace) -> list[dict]:
    """A row for each number of processes, rows and kind of bank."""
    table = []
    for count in map(int, options.workers.split(",")):
        with _started(count, options) as workers:
            outputs = [worker.communicate(timeout=LIMIT)[0] for worker in workers]
        if any(worker.returncode for worker in workers):
            raise RuntimeError(f"One of {count} processes has failed:\n{outputs[0]}")
        table += json.loads(outputs[0].splitlines()[-1])
    return table


@contextlib.contextmanager
def _started(count: int, options: argparse.Namespace) -> Iterator[list[subprocess.Popen]]:
    """A context with the worker processes, each of which is killed at the end."""
    command = [sys.executable, "-m", "benchmarks.scale_worker"]
    command += [
        f"--{name}={getattr(options, name)}" for name in ("rows", "batch", "dim", "repeats")
    ]
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    workers: list[subprocess.Popen] = []
    try:
        for index in range(count):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            env = os.environ | dict.fromkeys(ONE_THREAD, "1") | {"TF_CONFIG": json.dumps(task)}
            stderr = None if index == 0 else subprocess.DEVNULL
            workers.append(
                subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=stderr, text=True)
            )
        yield workers
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def _free_ports(count: int) -> list[int]:
    """Ports on which no process was listening when this was called."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in servers]


def main(argv: list[str] | None = None) -> None:
    """Measures as one of the processes that `TF_CONFIG` names; all print the same rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows")
    for name in ("batch", "dim", "repeats"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args(argv)
    from and_tf.data.exchange import ALONE, Sharing
    from and_tf.training.cluster import read_cluster
    from and_tf.training.strategy import choose_strategy
    from and_tf.training.strategy_exchange import StrategySharing

    cluster, sharing = read_cluster(), cast(Sharing, ALONE)
    if cluster.size == 1:
        strategy = choose_strategy("none")
    else:
        strategy = choose_strategy("multiworker", cluster)
        sharing = StrategySharing(strategy, cluster.number, cluster.size)
    table = []
    for num_rows in map(int, options.rows.split(",")):
        table += _measure(strategy, sharing, num_rows, options)
    print(json.dumps(table))


def _measure(strategy, sharing, num_rows: int, options: argparse.Namespace) -> list[dict]:
    """A row for each kind of bank, for one number of rows."""
    from benchmarks import scale

    models = {"whole": scale.small_model(strategy, num_rows, options.dim, False)}
    if sharing.size > 1:
        models["in parts"] = scale.small_model(strategy, num_rows, options.dim, True)
    rows = clustered_rows(num_rows, options.dim)
    for model in models.values():
        model.bank.assign_all(rows)
    del rows
    steps = {kind: _step(strategy, sharing, model, options) for kind, model in models.items()}
    searches = {kind: partial(_discover, model, sharing) for kind, model in models.items()}
    ms = timing.medians(timing.interleaved(steps, options.repeats))
    seconds = timing.medians(timing.interleaved(searches, 1))
    table = []
    for kind, model in models.items():
        held = scale.bank_bytes(strategy, model)
        peak = _peak_mb(searches[kind])
        table.append({
            "processes": sharing.size, "rows": num_rows, "bank": kind,
            "ms per step": 1e3 * ms[kind], "discovery, s": seconds[kind],
            "bank on a device, MB": 1e-6 * held, "arrays of discovery, MB": peak,
        })  # fmt: skip
    return table


def _peak_mb(case: Callable[[], object]) -> float:
    """Peak memory of NumPy arrays during a call, in MB (10^6 bytes)."""
    tracemalloc.start()
    try:
        case()
        return 1e-6 * tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _step(strategy, sharing, model, options: argparse.Namespace):
    """A function that takes one step on this process's part of a prepared batch."""
    import tensorflow as tf

    from and_tf.data.partition import share

    images = np.random.default_rng(0).integers(0, 256, (options.batch, 8, 8, 3)).astype("float32")
    own = slice(*share(options.batch, sharing.number, sharing.size))
    indices = np.arange(options.batch, dtype="int64")
    weights = np.ones(options.batch, "float32")
    parts = (images, indices, weights) if sharing.size > 1 else (images, indices)
    ready = tuple(tf.constant(values[own]) for values in parts)

    @tf.function
    def step():
        return strategy.run(model.train_step, args=(ready,))

    return lambda: [loss.numpy() for loss in strategy.experimental_local_results(step()["loss"])]


def _discover(model, sharing):
    from and_tf.search.in_blocks import discover_in_blocks
    from and_tf.search.neighbourhoods import discover

    if model.bank.is_sharded:
        return discover_in_blocks(model.bank.stored, sharing=sharing)
    return discover(model.bank.read_all(), sharing=sharing)


if __name__ == "__main__":
    main()
