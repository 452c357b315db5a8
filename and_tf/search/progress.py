"""How far a comparison of all images with one another is, and early how long it will take."""

import sys
import time

from tqdm import tqdm

SECONDS_BEFORE_PROGRESS = 3
SECONDS_TIMED = 1  # of the first blocks, before an estimate
SECONDS_WORTH_A_LINE = 60
ROWS_FOR_AN_INDEX = 10_000_000


class PairProgress:
    """A bar with the rate, on terminals, and one printed line where all takes over a minute.

    Args:
        num_rows: N; N x N pairs are compared.
        is_shown: False prints nothing.
    """

    def __init__(self, num_rows: int, is_shown: bool):
        self.num_rows, self.is_shown = num_rows, is_shown
        self.done, self.first, self.start = 0, 0, 0.0
        self.is_estimated = not is_shown
        self.bar = tqdm(
            total=num_rows**2,
            desc="Discovery",
            unit=" pairs",
            unit_scale=True,
            leave=False,
            disable=None if is_shown else True,  # None: where stderr is no terminal
            delay=SECONDS_BEFORE_PROGRESS,
        )

    def add(self, pairs: int) -> None:
        """Counts pairs that were compared."""
        self.bar.update(pairs)
        self.done += pairs
        if not self.first:  # the first block compiles and fills caches: time begins after it
            self.first, self.start = self.done, time.monotonic()
        elif not self.is_estimated and time.monotonic() - self.start > SECONDS_TIMED:
            self._estimate()

    def _estimate(self) -> None:
        self.is_estimated = True
        rate = (self.done - self.first) / (time.monotonic() - self.start)
        seconds = self.num_rows**2 / rate
        if seconds > SECONDS_WORTH_A_LINE:
            tqdm.write(estimate_words(self.num_rows, seconds), file=sys.stdout)

    def __enter__(self) -> "PairProgress":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()


def estimate_words(num_rows: int, seconds: float) -> str:
    """The line that says how long discovery will take, and what is faster where it is long."""
    words = f"Discovery compares {num_rows:,} images with one another: about {_duration(seconds)}."
    if num_rows > ROWS_FOR_AN_INDEX or seconds > 3600:
        words += " --neighbour_search=faiss takes less; its neighbours are approximate."
    return words


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} minutes"
