"""TensorFlow's errors of files as those of the system."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def system_errors(path: Path | str) -> Iterator[None]:
    """Within it, TensorFlow writes to a path: a full disk is no lack of memory.

    TensorFlow has one error for both. So nothing is computed within it that could lack memory.

    Args:
        path: of the file or folder, which the error names.

    Raises:
        OSError: in place of an error of TensorFlow.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        is_full = isinstance(error, tf.errors.ResourceExhaustedError)
        code = errno.ENOSPC if is_full else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error
