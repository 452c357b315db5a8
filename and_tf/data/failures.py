"""Errors that Python code raises within a tf.data pipeline, kept as they are."""

import collections
import functools
from collections.abc import Callable
from typing import Any

from and_tf.errors import UserError

_latest: collections.deque[UserError] = collections.deque(maxlen=64)  # of all pipelines


def recorded(function: Callable, failures: list[UserError] | None = None) -> Callable:
    """Wraps a function so that each `UserError` it raises is kept, and added to a list if given.

    TensorFlow passes an exception from `tf.numpy_function` on as text only; code that iterates over
    the pipeline finds the exception itself in the list, or with `cause_of`.
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
    """The `UserError` whose text TensorFlow reports; None if the error is a different one."""
    text = str(error)
    return next((failure for failure in _latest if str(failure) in text), None)
