"""Starting TensorFlow for a program: without its start-up lines, but with its fatal errors."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import NoReturn

from and_tf.cli.quick_import import quick_import
from and_tf.encoders.keras_settings import load_keras
from and_tf.errors import UserError
from and_tf.training.stopping import STOP_SIGNALS

XLA_FLAGS = ("TF_XLA_FLAGS", "XLA_FLAGS")
REFUSAL = re.compile(
    r"^[EF]\d{4} .*?(command_line_flags|parse_flags_from_env)\.cc:\d+\] (?P<reason>.+)",
    re.MULTILINE,
)
TRIAL = "import tensorflow as tf; tf.function(lambda: tf.zeros(()), jit_compile=True)()"


def start_tensorflow(computes: bool = True) -> None:
    """Imports TensorFlow and Keras and looks for devices.

    Args:
        computes: whether to create a first tensor, which makes TensorFlow choose its devices.

    Raises:
        UserError: if an environment variable has a value that they do not accept.
    """
    check_xla_flags()
    with quick_import():
        with native_stderr_held():
            import tensorflow as tf

            from and_tf.training.hardware import grow_memory

            grow_memory()
            if computes:
                tf.zeros(())
        load_keras()


def check_xla_flags() -> None:
    """Tries XLA's flags in a separate process, because TensorFlow aborts on an invalid one.

    Raises:
        UserError: if one is invalid.
    """
    given = [name for name in XLA_FLAGS if os.environ.get(name)]
    if not given:
        return
    without_gpu = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    trial = subprocess.run(
        [sys.executable, "-c", TRIAL], env=without_gpu, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    if trial.returncode and (reason := refused_flag(trial.stderr)):
        names = " or ".join(given)
        raise UserError(f"TensorFlow does not start ({reason}): correct or unset {names}.")


def refused_flag(messages: str) -> str:
    """Why TensorFlow refused XLA's flags, by its output; empty if it ended for another reason.

    Args:
        messages: lines such as `F0000 00:00:17 123 parse_flags_from_env.cc:234] Unknown flag ...`.
    """
    found = REFUSAL.search(messages)
    return found["reason"].strip().rstrip(".") if found else ""


@contextlib.contextmanager
def native_stderr_held() -> Iterator[None]:
    """Holds back what native code prints, and shows it if the start fails, even by an abort.

    TensorFlow 2.21 prints to file descriptor 2 before it has read any log level. A child process
    reads that output, because it survives an abort of this process.
    """
    if not hasattr(os, "fork"):  # Windows
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writer)
        _hold(reader, kept)
    os.close(reader)
    os.dup2(writer, 2)
    try:
        yield
        os.write(writer, NOT_FAILED)
    except KeyboardInterrupt:
        os.write(writer, NOT_FAILED)
        raise
    finally:
        os.dup2(kept, 2)
        os.close(writer)
        os.close(kept)
        os.waitpid(child, 0)


NOT_FAILED = b"\0"  # ends the held output if nothing need be shown


def _hold(reader: int, stderr: int) -> NoReturn:
    """Reads to the end, then writes everything to stderr if the start failed."""
    for number in STOP_SIGNALS:  # the parent handles them
        signal.signal(number, signal.SIG_IGN)
    held = b""
    while part := os.read(reader, 1 << 16):
        held += part
    if not held.endswith(NOT_FAILED):
        with contextlib.suppress(OSError):
            os.write(stderr, held)
    os._exit(0)
