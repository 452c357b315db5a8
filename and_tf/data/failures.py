"""Errors that Python code raises within a tf.data pipeline, kept as they are."""

import collections
import functools
from collections.abc import Callable
from typing import Any

from and_tf.errors import UserError

_latest: collections.deque[UserError] = collections.deque(maxlen=64)  # of all pipelines


def recorded(function: Callable, failures: list[UserError] | None = None) -> Callable:
    """The function, which also keeps each `UserError` that it raises, and adds it to a list.

    TensorFlow hands on an exception of `tf.numpy_function` as text; whoever iterates over the
    pipeline finds the exception itself in the list, or by `cause_of`.
    """

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        try:
            return function(*args)
        except UserError as error:
            _latest.append(error)
            if failures is not None:
                failures.append(error)
            raise

    return wrapped


def cause_of(error: Exception) -> UserError | None:
    """The error of a pipeline that TensorFlow reports by its text; None if it is another one."""
    text = str(error)
    return next((failure for failure in _latest if str(failure) in text), None)
