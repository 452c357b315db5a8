"""The four programs: read flags, start TensorFlow quietly, run, refuse bad input in one line."""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from and_tf import flags


def train(argv: Sequence[str] | None = None) -> int:
    """train.py, and-train: an experiment from its flags to its exported encoder."""

    def run(options):
        from and_tf.training import run_experiment

        return run_experiment(options)

    return _run(flags.train_flags(), run, argv)


def evaluate(argv: Sequence[str] | None = None) -> int:
    """evaluate.py, and-evaluate: accuracy of a run's features on held-out images."""

    def run(options):
        from and_tf.evaluation.protocols import evaluate_run

        return evaluate_run(options)

    return _run(flags.evaluate_flags(), run, argv)


def export(argv: Sequence[str] | None = None) -> int:
    """export.py, and-export: the encoder of a run as SavedModel, Keras, ONNX or LiteRT file."""

    def run(options):
        from and_tf.export.run import export_run

        return export_run(options)

    return _run(flags.export_flags(), run, argv)


def embed(argv: Sequence[str] | None = None) -> int:
    """embed.py, and-embed: embeddings, neighbours and clusters of a folder of images."""

    def run(options):
        from and_tf.embed import embed_folder

        return embed_folder(options)

    return _run(flags.embed_flags(), run, argv)


def _run(define: flags.Flags, run: Callable, argv: Sequence[str] | None) -> int:
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
        print(f"{define.program}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _start_tensorflow() -> None:
    with _native_stderr_silenced():
        import tensorflow as tf

        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)  # before the first tensor
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
