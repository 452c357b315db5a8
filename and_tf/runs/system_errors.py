"""Converts TensorFlow's file errors to those of the operating system."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def system_errors(path: Path | str) -> Iterator[None]:
    """A block in which TensorFlow writes to a path and its errors become `OSError`.

    TensorFlow has the same error for a full disk and a lack of memory, so the block must not
    compute anything that could run out of memory.

    Args:
        path: of the file or folder, which the error names.

    Raises:
        OSError: in place of a TensorFlow error.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        is_full = isinstance(error, tf.errors.ResourceExhaustedError)
        code = errno.ENOSPC if is_full else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error
