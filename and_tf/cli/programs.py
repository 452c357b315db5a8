"""The programs: read flags, start TensorFlow quietly, run, refuse bad input in one line."""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from and_tf.cli import flags

MEMORY_FLAGS = ("batch_size", "image_size", "embedding_dim", "cache_mb", "memory_mb")


def train(argv: Sequence[str] | None = None) -> int:
    """train.py, and-train: an experiment from its flags to its exported encoder."""

    def run(options):
        from and_tf.training.loop import run_experiment

        return run_experiment(options)

    return _run(flags.train_flags(), run, argv)


def evaluate(argv: Sequence[str] | None = None) -> int:
    """evaluate.py, and-evaluate: what a run's features are worth on held-out images."""

    def run(options):
        from and_tf.evaluation.run import evaluate_run

        return evaluate_run(options)

    return _run(flags.evaluate_flags(), run, argv)


def report(argv: Sequence[str] | None = None) -> int:
    """report.py, and-report: one HTML page on a run, and its data for TensorBoard."""

    def run(options):
        from and_tf.report.run import write_report

        return write_report(options)

    return _run(flags.report_flags(), run, argv)


def export(argv: Sequence[str] | None = None) -> int:
    """export.py, and-export: the encoder of a run as SavedModel, Keras, ONNX or LiteRT file."""

    def run(options):
        from and_tf.export.run import export_run

        return export_run(options)

    return _run(flags.export_flags(), run, argv)


def embed(argv: Sequence[str] | None = None) -> int:
    """embed.py, and-embed: embeddings, neighbours and clusters of a folder of images."""

    def run(options):
        from and_tf.collection.embed import embed_folder

        return embed_folder(options)

    return _run(flags.embed_flags(), run, argv)


# Of errors in the system's own words, which say what is wrong and not what to do.
REMEDIES = {
    errno.ENOSPC: ": make room and repeat the command.",
    errno.EROFS: ": choose a place that can be written to.",
    errno.EACCES: ": choose another place, or change its permissions.",
}


def _run(define: flags.Flags, run: Callable, argv: Sequence[str] | None) -> int:
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be UTF-8
    try:
        options = define.parse(argv)
        _start_tensorflow()
        run(options)
    except KeyboardInterrupt:
        print(f"{define.program}: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        if not _is_refusal(error):
            raise
        remedy = REMEDIES.get(getattr(error, "errno", None), "")
        print(f"{define.program}: {' '.join(str(error).split())}{remedy}", file=sys.stderr)
        return 2
    except Exception as error:
        if "No space left on device" in str(error):  # TensorFlow calls it a lack of resources
            print(f"{define.program}: the disk is full: make room and repeat.", file=sys.stderr)
            return 2
        if not _is_out_of_memory(error):
            raise
        named = [f"--{name}" for name in MEMORY_FLAGS if name in define.values]
        remedy = f"lower {' or '.join(named)}, or use" if named else "use"
        reason = " ".join(str(error).split())[:200]
        print(
            f"{define.program}: out of memory ({reason}): {remedy} a machine with more.",
            file=sys.stderr,
        )
        return 2
    return 0


def _start_tensorflow() -> None:
    with _native_stderr_silenced():
        import tensorflow as tf

        from and_tf.training.devices import grow_memory

        grow_memory()
        tf.zeros(())


def _is_refusal(error: Exception) -> bool:
    """Whether the error's words are for the user: the system's, or those of this package itself.

    A ValueError that comes from elsewhere is a bug and keeps its traceback.
    """
    if isinstance(error, OSError):
        return True
    package = os.path.dirname(os.path.realpath(__file__)) + os.sep
    frames = traceback.extract_tb(error.__traceback__)
    return os.path.realpath(frames[-1].filename).startswith(package)


def _is_out_of_memory(error: Exception) -> bool:
    # By its name: TensorFlow is imported late.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


@contextlib.contextmanager
def _native_stderr_silenced():
    # TensorFlow 2.21 greets on file descriptor 2 before it has read any log level.
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
