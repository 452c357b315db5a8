"""Long calls of native code that a signal can end."""

import threading
from collections.abc import Callable
from typing import Any

WAIT = 0.2  # seconds until the main thread looks for signals again


def call_natively(function: Callable[..., Any], *args: Any) -> Any:
    """What a long call of native code gives; meanwhile signals are answered.

    Python answers a signal in the main thread once native code returns there, and faiss returns
    after minutes. Here the call has a thread of its own. Where the answer raises, the call goes on
    until it or the process ends, and nobody looks at its result.

    Args:
        function: that releases Python's lock.
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
