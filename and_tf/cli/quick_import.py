"""Importing TensorFlow and Keras in about half the time that a plain import takes."""

import contextlib
import gc
import sys
from collections.abc import Iterator

# Keras imports these where they are installed, for wrappers and pictures that no program uses. A
# program that needs them for something else imports them itself, later.
NOT_NEEDED = ("matplotlib", "sklearn")


@contextlib.contextmanager
def quick_import() -> Iterator[None]:
    """Imports inside it find nothing of `NOT_NEEDED` and collect no garbage.

    What they created is exempt from garbage collection afterwards: it lives as long as the process,
    and each full collection would go through all of it. In a process that has loaded TensorFlow
    already, nothing changes.
    """
    if "tensorflow" in sys.modules:
        yield
        return
    hidden = [name for name in NOT_NEEDED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: cannot be imported
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()
        if was_collecting:
            gc.enable()
