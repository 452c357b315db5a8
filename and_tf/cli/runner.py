"""Running a program: flags, TensorFlow's start, and errors that a user can mend in one line."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from and_tf.cli.commands import with_installed_names
from and_tf.cli.flags import Flags
from and_tf.cli.messages import set_up_logging
from and_tf.encoders.keras_settings import check_backend, load_keras
from and_tf.errors import Stopped, UserError

MEMORY_FLAGS = ("batch_size", "image_size", "embedding_dim", "cache_mb", "memory_mb")

# Of errors in the system's own words, which say what is wrong and not what to do.
REMEDIES = {
    errno.ENOSPC: "make room and repeat the command.",
    errno.EDQUOT: "make room and repeat the command.",
    errno.EROFS: "choose a place that can be written to.",
    errno.EACCES: "choose another place, or change its permissions.",
}

Prepare = Callable[[dict[str, Any]], Callable[[], object]]


def run_program(flags: Flags, prepare: Prepare, argv: Sequence[str] | None) -> int:
    """Runs a program; what a user can mend becomes one line on stderr.

    Args:
        flags: of the program.
        prepare: makes settings of the flags' values, without TensorFlow, and gives the function
            that does the work.
        argv: words of the command line; None for those of this process.

    Returns:
        Exit status: 0, 2 for what a user can mend, 130 if interrupted.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    set_up_logging(flags.spell)
    os.environ["MPLBACKEND"] = "agg"  # what is drawn goes to files; the user's may not exist
    try:
        values = flags.parse(argv)
        start = prepare(values)
        check_backend()
        # The processes of a strategy must have found one another before TensorFlow computes.
        _start_tensorflow(computes=values.get("strategy") != "multiworker")
        start()
    except Stopped:  # asked for and logged: the same command continues
        return 0
    except KeyboardInterrupt:
        return _refuse(flags, "interrupted", status=130)
    except UserError as error:
        return _refuse(flags, error.message(flags.spell))
    except BrokenPipeError:  # as of `--help | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0)
        return _refuse(flags, f"{error}: {remedy}" if remedy else str(error))
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        return _refuse(flags, _memory_message(flags, error))
    return 0


def _refuse(flags: Flags, message: str, status: int = 2) -> int:
    line = with_installed_names(" ".join(message.split()))
    print(f"{flags.program}: {line}", file=sys.stderr)
    return status


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    import tensorflow as tf

    return isinstance(error, tf.errors.ResourceExhaustedError)


def _memory_message(flags: Flags, error: Exception) -> str:
    named = [f"--{name}" for name in MEMORY_FLAGS if name in flags.fields]
    remedy = f"lower {' or '.join(named)}, or use" if named else "use"
    reason = " ".join(str(error).split())[:200]
    return f"out of memory ({reason}): {remedy} a machine with more."


def _start_tensorflow(computes: bool = True) -> None:
    with _native_stderr_held():
        import tensorflow as tf

        from and_tf.training.hardware import grow_memory

        grow_memory()
        if computes:
            tf.zeros(())
    load_keras()


@contextlib.contextmanager
def _native_stderr_held() -> Iterator[None]:
    """Holds back what native code prints, and shows it if the start fails, even by an abort.

    TensorFlow 2.21 greets on file descriptor 2 before it has read any log level. A child process
    reads what goes there: it outlives an abort of this one.
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
        os.write(writer, STARTED)
    finally:
        os.dup2(kept, 2)
        os.close(writer)
        os.close(kept)
        os.waitpid(child, 0)


STARTED = b"\0"  # ends what is held where the start went well


def _hold(reader: int, stderr: int) -> NoReturn:
    """Reads to the end, and writes it to stderr unless the start went well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers it
    held = b""
    while part := os.read(reader, 1 << 16):
        held += part
    if not held.endswith(STARTED):
        os.write(stderr, held)
    os._exit(0)
