"""Where the package's messages go: to stderr, between the progress bars."""

import logging
import sys

from tqdm import tqdm


class _TerminalHandler(logging.Handler):
    """Writes messages to stderr above a progress bar, if one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "Warning: " if record.levelno >= logging.WARNING else ""
        tqdm.write(f"{prefix}{record.getMessage()}", file=sys.stderr)
        sys.stderr.flush()


def set_up_logging() -> None:
    """Shows the messages of and_tf, from INFO on; a second call changes nothing."""
    logger = logging.getLogger("and_tf")
    if not any(isinstance(handler, _TerminalHandler) for handler in logger.handlers):
        logger.addHandler(_TerminalHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
