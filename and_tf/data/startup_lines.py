"""Drops TensorFlow's startup lines on stderr when this package imports it within Python code.

TensorFlow 2.21 writes to file descriptor 2, before it reads any log level, that oneDNN is on and
that there is no GPU. While it is imported, and while it first looks for devices, what is written
there passes through `grep`, which drops only these lines; nothing is lost if the process aborts.
Afterwards the descriptor is restored.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

LINES = (
    r"^WARNING: All log messages before absl::InitializeLog\(\)"
    r"|^[IWE]0000 .*(port|cudart_stub|cuda_platform|cpu_feature_guard)\.cc:"
    r"|^E0000 .*(grpc_server_lib|context_distributed_manager|base_collective_executor)\.cc:"
    r"|^(Additional GRPC error information|:UNKNOWN:|RPC: /tensorflow)"  # and raised as well
)
SECONDS = 5  # to wait for the last lines, in case another process holds the descriptor
SHOWN = ("0", "1")  # log levels at which a user wants to see these lines


@contextlib.contextmanager
def startup_lines_dropped() -> Iterator[None]:
    """A context in which TensorFlow's startup lines are dropped from file descriptor 2."""
    grep = shutil.which("grep")
    if os.name != "posix" or not grep or os.environ.get("TF_CPP_MIN_LOG_LEVEL") in SHOWN:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # closed, as in a daemon
        yield
        return
    try:
        with subprocess.Popen(
            [grep, "-a", "-v", "-E", LINES],
            stdin=subprocess.PIPE,
            stdout=kept,
            env={**os.environ, "LC_ALL": "C"},
        ) as filtering:
            assert filtering.stdin is not None
            os.dup2(filtering.stdin.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(kept, 2)
                filtering.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    filtering.wait(SECONDS)
    finally:
        os.close(kept)


def starting_tensorflow(load: Callable[[], Any]) -> Any:
    """Calls a function that may import TensorFlow, and drops the startup lines if it does."""
    if "tensorflow" in sys.modules:
        return load()
    with startup_lines_dropped():
        found = load()
    _started_here.append("tensorflow" in sys.modules)
    return found


_started_here: list[bool] = []


@functools.cache
def look_for_devices() -> None:
    """Makes TensorFlow look for devices now, if `starting_tensorflow` imported it.

    It does so at its first operation anyway, and then writes more startup lines.
    """
    if not any(_started_here):
        return
    import tensorflow as tf

    with startup_lines_dropped():
        tf.config.list_physical_devices()
