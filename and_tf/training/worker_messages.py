"""Limits a worker's log to warnings, which may concern only itself: the chief logs for all."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from and_tf.data.progress import no_progress_bars


@contextlib.contextmanager
def only_warnings(name: str) -> Iterator[None]:
    """A block in which this package shows only warnings and errors, and no progress bars.

    Args:
        name: of this process, such as "worker 1"; each warning begins with it.
    """
    logger = logging.getLogger("and_tf")
    level, make_record = logger.level, logging.getLogRecordFactory()

    def named(of: str, at: int, path: str, line: int, text: object, *others: Any, **more: Any):
        if of.partition(".")[0] == "and_tf" and at == logging.WARNING:
            text = f"{name}: {text}"
        return make_record(of, at, path, line, text, *others, **more)

    logging.setLogRecordFactory(named)
    logger.setLevel(logging.WARNING)
    try:
        with no_progress_bars():
            yield
    finally:
        logger.setLevel(level)
        logging.setLogRecordFactory(make_record)
