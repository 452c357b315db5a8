"""Messages that are logged only once, however often their cause occurs."""

import functools
import logging


@functools.lru_cache(maxsize=10_000)
def log_once(logger: logging.Logger, level: int, message: str) -> None:
    """Logs a message, unless this process has logged it before."""
    logger.log(level, "%s", message)
