"""Where the package's messages go: to stderr, between the progress bars."""

import logging
import sys
from collections.abc import Callable

from and_tf.cli.commands import with_installed_names
from and_tf.errors import Argument

Spell = Callable[[Argument], str]


class _TerminalHandler(logging.Handler):
    """Writes messages to stderr above a progress bar, if one is shown.

    Args:
        spell: turns an `Argument` in a message into a flag.
    """

    def __init__(self, spell: Spell):
        super().__init__()
        self.spell = spell

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one message as a line, warnings marked as such; see `logging.Handler.emit`."""
        from tqdm import tqdm  # late: tqdm reads TQDM_... on import

        prefix = "Warning: " if record.levelno >= logging.WARNING else ""
        tqdm.write(f"{prefix}{with_installed_names(self._text(record))}", file=sys.stderr)
        sys.stderr.flush()

    def _text(self, record: logging.LogRecord) -> str:
        """The message with its arguments as flags; the record stays as other handlers expect it."""
        if not record.args or not isinstance(record.args, tuple):
            return record.getMessage()
        spelled = (self.spell(arg) if isinstance(arg, Argument) else arg for arg in record.args)
        return str(record.msg) % tuple(spelled)


def set_up_logging(spell: Spell = str) -> None:
    """Shows the messages of and_tf from level INFO; if called again, the last `spell` counts.

    Args:
        spell: turns an `Argument` in a message into a flag.
    """
    logger = logging.getLogger("and_tf")
    for handler in logger.handlers:
        if isinstance(handler, _TerminalHandler):
            handler.spell = spell
            break
    else:
        logger.addHandler(_TerminalHandler(spell))
    logger.setLevel(logging.INFO)
    logger.propagate = False
