"""Running a program: flags, TensorFlow's start, and errors that a user can mend in one line."""

import errno
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from and_tf.cli.commands import with_installed_names
from and_tf.cli.flags import Flags
from and_tf.cli.messages import set_up_logging
from and_tf.cli.streams import drop_what_cannot_be_written
from and_tf.cli.surroundings import check_surroundings
from and_tf.cli.tensorflow_start import start_tensorflow
from and_tf.encoders.keras_settings import check_backend
from and_tf.errors import Argument, BrokenImage, Stopped, UserError
from and_tf.training.stopping import first_stop_signal

SKIP = "skip_broken"
MEMORY_FLAGS = ("batch_size", "image_size", "embedding_dim", "cache_mb", "memory_mb")

# The operating system's messages say what is wrong; these say what to do about it.
REMEDIES = {
    errno.ENOSPC: "make room and repeat the command.",
    errno.EDQUOT: "make room and repeat the command.",
    errno.EROFS: "choose a place that can be written to.",
    errno.EACCES: "choose another place, or change its permissions.",
}

Prepare = Callable[[dict[str, Any]], Callable[[], object]]


def run_program(flags: Flags, prepare: Prepare, argv: Sequence[str] | None) -> int:
    """Runs a program; an error that the user can fix becomes one line on stderr.

    Args:
        flags: of the program.
        prepare: builds settings from the flags' values, without TensorFlow, and returns the
            function that does the work.
        argv: words of the command line; None for those of this process.

    Returns:
        Exit status: 0; 2 for an error that the user can fix; 128 plus the number of a signal.
    """
    drop_what_cannot_be_written()
    set_up_logging(flags.spell)
    try:
        with first_stop_signal(_interrupt):
            values = flags.parse(argv)
            check_surroundings()
            start = prepare(values)
            check_backend()
            # The processes of a strategy must connect to one another before TensorFlow computes.
            start_tensorflow(computes=values.get("strategy") != "multiworker")
            start()
    except Stopped:  # asked for and logged: the same command continues
        return 0
    except KeyboardInterrupt as error:
        number = next((n for n in error.args if isinstance(n, signal.Signals)), signal.SIGINT)
        return _refuse(flags, f"interrupted by {number.name}", status=128 + number)
    except UserError as error:
        return _refuse(flags, _with_remedy_of(flags, error).message(flags.spell))
    except OSError as error:
        remedy = REMEDIES.get(error.errno or 0)
        return _refuse(flags, f"{error}: {remedy}" if remedy else str(error))
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        return _refuse(flags, _memory_message(flags, error))
    return 0


def _interrupt(number: int) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number))


def _with_remedy_of(flags: Flags, error: UserError) -> UserError:
    """The error with a remedy that this program offers: some cannot skip broken images."""
    named = {part.name for part in error.parts if isinstance(part, Argument)}
    if isinstance(error, BrokenImage) and named == {SKIP} and SKIP not in flags.fields:
        return error.with_remedy("repair or remove it.")
    return error


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
