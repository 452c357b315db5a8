"""The only progress bar: on stderr, and not shown if that is not a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_BEFORE_PROGRESS = 3

_hidden_by = 0  # blocks of `no_progress_bars` that have not ended


def progress_bar(
    total: int | None, description: str, unit: str = "image", is_shown: bool = True, **options
) -> tqdm:
    """A bar that appears if the work takes more than a few seconds.

    Args:
        total: number of units; None if it is not known.
        description: what is being done, such as "decoding images".
        unit: what is counted.
        is_shown: False for no bar at all.
        options: further arguments of tqdm.
    """
    from tqdm import tqdm  # late: it reads TQDM_... when it is imported

    return tqdm(
        total=total,
        desc=description,
        unit=unit,
        # None: disabled if stderr is not a terminal
        disable=None if is_shown and not _hidden_by else True,
        delay=SECONDS_BEFORE_PROGRESS,
        **options,
    )


@contextlib.contextmanager
def no_progress_bars() -> Iterator[None]:
    """A context in which no bar is shown, for a process of several of which another shows them."""
    global _hidden_by
    _hidden_by += 1
    try:
        yield
    finally:
        _hidden_by -= 1
