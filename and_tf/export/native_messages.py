"""Hides what TensorFlow's native code prints to stderr during an export, which helps no user."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# How absl and TensorFlow begin lines: "E0000 00:00:17 ...", "2026-11-26 05:44:36.1: E tensorflow".
NATIVE = re.compile(
    rb"[IWEF]\d{4} |\d{4}-\d\d-\d\d [\d:.]+: [IWEF] |WARNING: All log messages before"
)


@contextlib.contextmanager
def native_messages_held() -> Iterator[None]:
    """Holds back stderr until the end, and then shows all of it on an error, else no native lines.

    Graph optimisers print errors of attempts that they abandon, even if the export succeeds.
    """
    _flush()
    try:
        kept = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    is_good = False
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            is_good = True
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not (is_good and NATIVE.match(line)):
                    with contextlib.suppress(OSError):  # stderr may be closed or full
                        os.write(2, line)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
