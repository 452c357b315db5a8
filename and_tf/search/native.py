"""Long calls of native code that a signal can interrupt."""

import threading
from collections.abc import Callable
from typing import Any

WAIT = 0.2  # seconds between the main thread's checks for signals


def call_natively(function: Callable[..., Any], *args: Any) -> Any:
    """Returns the result of a long native call while still handling signals.

    Python runs signal handlers in the main thread once native code returns there, and faiss may
    take minutes to return. The call therefore runs in its own thread. If a handler raises, the call
    continues until it or the process ends, and its result is discarded.

    Args:
        function: a function that releases Python's global lock.
        *args: its arguments.
    """
    results: list[Any] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function(*args))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="native", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(WAIT)
    if errors:
        raise errors[0]
    return results[0]
