"""Columns of a table, one value per image, in a form that both file formats can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from and_tf.errors import UserError

# Input for a column: numbers or booleans, (N,) or (N, m); N strings; N lists of any lengths.
Values = np.ndarray | Sequence[str] | Sequence[Sequence]

DTYPES = {"neighbours": np.int32, "similarity": np.float32, "cluster": np.int32}


class Lists(NamedTuple):
    """Lists of different lengths, concatenated.

    Attributes:
        items: (total,) numbers, or a list of as many strings.
        offsets: (N + 1,) int32: list i is `items[offsets[i]:offsets[i + 1]]`.
    """

    items: np.ndarray | list[str]
    offsets: np.ndarray


Column = np.ndarray | list[str] | Lists


def as_column(name: str, values: Values, num_rows: int) -> Column:
    """A column as it is written; float64 becomes float32, None among strings becomes "".

    Raises:
        UserError: if it does not have one value per row, or has values of an unsupported type.
    """
    if len(values) != num_rows:
        raise _refusal(name, f"{len(values)} values", num_rows)
    if not isinstance(values, np.ndarray) and num_rows:
        if all(value is None or isinstance(value, str) for value in values):
            return clean_texts(values)
        if not np.isscalar(values[0]):
            return _lists(name, values, num_rows)
    array = np.asarray(values)
    if array.dtype.kind in "UO" and array.ndim == 1:
        return clean_texts(array.tolist())
    if array.dtype.kind not in "biuf" or array.ndim not in (1, 2):
        raise _refusal(name, f"{array.dtype} of shape {array.shape}", num_rows)
    is_float = array.dtype.kind == "f"
    return array.astype(DTYPES.get(name, np.float32 if is_float else array.dtype), copy=False)


def clean_texts(values: Sequence) -> list[str]:
    """The strings in UTF-8; characters that it cannot hold, as in some file names, become "?"."""
    texts = ("" if value is None else str(value) for value in values)
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _lists(name: str, values: Sequence, num_rows: int) -> Column:
    lengths = [len(value) for value in values]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    items = [item for value in values for item in value]
    if any(not np.isscalar(item) for item in items):
        raise _refusal(name, "lists of lists", num_rows)
    column = as_column(name, np.asarray(items), len(items)) if items else np.empty(0, np.float32)
    assert not isinstance(column, Lists)
    return Lists(column, offsets)


def _refusal(name: str, received: str, num_rows: int) -> UserError:
    return UserError(
        f"{name} must have one number, boolean, text or list for each of the {num_rows} paths. "
        f"Received {received}."
    )
