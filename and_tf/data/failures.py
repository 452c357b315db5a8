"""Errors that Python code raises within a tf.data pipeline, kept as they are."""

import functools
from collections.abc import Callable
from typing import Any

from and_tf.errors import UserError


def recorded(function: Callable, failures: list[UserError]) -> Callable:
    """The function, which also puts each `UserError` that it raises at the end of a list.

    TensorFlow hands on an exception of `tf.numpy_function` as text; whoever iterates over the
    pipeline finds the exception itself in the list.
    """

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        try:
            return function(*args)
        except UserError as error:
            failures.append(error)
            raise

    return wrapped
