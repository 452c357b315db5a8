"""Writes that a full disk must not lose: kept in order until there is room again."""

import errno
import sys
from collections.abc import Callable

FULL = (errno.ENOSPC, errno.EDQUOT)


class Outbox:
    """Runs writes in order. One that finds the disk full is kept, and those after it.

    Args:
        check: raises where nothing may be written any more.
    """

    def __init__(self, check: Callable[[], None]):
        self.check = check
        self.waiting: list[tuple[str, Callable[[], None]]] = []

    def write(self, name: str, write: Callable[[], None], replaces: bool = False) -> bool:
        """Does a write after all that wait; False if it has to wait itself.

        Args:
            name: of what is written, for the message.
            write: leaves nothing half done if it raises an OSError.
            replaces: whether it makes one of the same name needless that still waits.
        """
        if replaces:
            self.waiting = [waiting for waiting in self.waiting if waiting[0] != name]
        self.waiting.append((name, write))
        return self.flush()

    def flush(self) -> bool:
        """Does what waits, in order; False if the disk is still full."""
        self.check()
        while self.waiting:
            name, write = self.waiting[0]
            if not attempt(name, write):
                return False
            self.waiting.pop(0)
        return True


def attempt(name: str, write: Callable[[], None]) -> bool:
    """Does a write; False, with a line that says so, if the disk is full."""
    try:
        write()
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(
            f"Warning: the disk is full: {name} is not written ({error}). What was written before "
            "is whole. Training goes on; make room.",
            file=sys.stderr,
        )
        return False
    return True
