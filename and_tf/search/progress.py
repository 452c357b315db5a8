"""Progress of comparing all images with one another, with an early estimate of its time."""

import logging
import time

from and_tf.data.progress import progress_bar

SECONDS_TIMED = 1  # how long the first blocks are timed before an estimate
SECONDS_WORTH_A_LINE = 60
ROWS_FOR_AN_INDEX = 10_000_000

logger = logging.getLogger(__name__)


class PairProgress:
    """A progress bar with the rate, and one logged estimate if the work takes over a minute.

    Args:
        num_rows: N; N x N pairs are compared.
        is_shown: False for neither.
        processes: how many share the work. Only this one's pairs are counted; the others are
            assumed to be as fast.
    """

    def __init__(self, num_rows: int, is_shown: bool, processes: int = 1):
        self.num_rows, self.processes = num_rows, processes
        self.done, self.first, self.start = 0, 0, 0.0
        self.is_estimated = not is_shown
        self.bar = progress_bar(
            num_rows**2, "discovery", "pair", is_shown, unit_scale=True, leave=False
        )

    def add(self, pairs: int) -> None:
        """Counts pairs that this process has compared."""
        pairs *= self.processes
        self.bar.update(pairs)
        self.done += pairs
        if not self.first:  # the first block compiles and fills caches: timing starts after it
            self.first, self.start = self.done, time.monotonic()
        elif not self.is_estimated and time.monotonic() - self.start > SECONDS_TIMED:
            self._estimate()

    def skip(self, pairs: int) -> None:
        """Counts pairs of this process that need not be compared."""
        self.bar.update(pairs * self.processes)

    def _estimate(self) -> None:
        self.is_estimated = True
        rate = (self.done - self.first) / (time.monotonic() - self.start)
        seconds = self.num_rows**2 / rate
        if seconds > SECONDS_WORTH_A_LINE:
            logger.info(estimate_message(self.num_rows, seconds))

    def __enter__(self) -> "PairProgress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def estimate_message(num_rows: int, seconds: float) -> str:
    """How long discovery will take and, if that is long, what would be faster."""
    message = f"Discovery compares {num_rows:,} images with one another: "
    message += f"about {_duration(seconds)}."
    if num_rows > ROWS_FOR_AN_INDEX or seconds > 3600:
        message += " neighbour_search=faiss takes less; its neighbours are approximate."
    return message


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} minutes"
