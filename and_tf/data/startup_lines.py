"""TensorFlow's lines on stderr at its start, left out where it is started for a user of Python.

TensorFlow 2.21 greets on file descriptor 2 before it has read any log level: that oneDNN is on and
that there is no GPU. While it is imported, and while it first looks for devices, what is written
there passes through `grep`, which leaves these lines out and nothing else; an abort loses nothing.
Afterwards the descriptor is what it was.
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
SECONDS = 5  # to wait for the last lines, should another process hold the descriptor
SHOWN = ("0", "1")  # log levels at which a user wants to see them


@contextlib.contextmanager
def startup_lines_dropped() -> Iterator[None]:
    """Within it, what any code writes to file descriptor 2 comes without TensorFlow's greetings."""
    grep = shutil.which("grep")
    if os.name != "posix" or not grep or os.environ.get("TF_CPP_MIN_LOG_LEVEL") in SHOWN:
        yield
        return
    try:
        kept = os.dup(2)
    except OSError:  # closed, as of a daemon
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
    """What a function gives that imports TensorFlow, whose greetings are left out if it does."""
    if "tensorflow" in sys.modules:
        return load()
    with startup_lines_dropped():
        found = load()
    _started_here.append("tensorflow" in sys.modules)
    return found


_started_here: list[bool] = []


@functools.cache
def look_for_devices() -> None:
    """Has TensorFlow look for devices now, if it was `starting_tensorflow` that imported it.

    It does so at its first operation anyway, and greets once more.
    """
    if not any(_started_here):
        return
    import tensorflow as tf

    with startup_lines_dropped():
        tf.config.list_physical_devices()
