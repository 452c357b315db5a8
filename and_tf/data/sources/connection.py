"""Downloads without a connection: fail within seconds, where TFDS would try for minutes."""

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

SECONDS_TO_ANSWER = 10
HOSTS_ASKED = 4


@contextlib.contextmanager
def fail_fast_offline(urls: Iterable[str]) -> Iterator[None]:
    """Refuses what `requests` is asked for in this context if no host of the URLs answers.

    What needs no download, such as a data set whose files were fetched before, still works.
    """
    reason = why_offline(urls)
    if reason is None:
        yield
        return
    from requests.adapters import HTTPAdapter

    def refuse(adapter, request, **kwargs):
        raise ConnectionError(f"no connection: {reason}")

    send = HTTPAdapter.send
    HTTPAdapter.send = refuse
    try:
        yield
    finally:
        HTTPAdapter.send = send


def why_offline(urls: Iterable[str]) -> str | None:
    """Says why no host of the URLs, or no proxy before them, answers; None if one does."""
    by_host = {urlsplit(url).netloc: url for url in urls if url.startswith("http")}
    asked = list(itertools.islice(by_host.values(), HOSTS_ASKED))
    reasons = queue.SimpleQueue()

    def ask(url: str) -> None:
        reasons.put(_why_silent(url))

    for url in asked:
        # Looking up a name may hang longer than any timeout: such a thread is left behind.
        threading.Thread(target=ask, args=(url,), daemon=True).start()
    deadline = time.monotonic() + SECONDS_TO_ANSWER
    reason = None
    for _ in asked:
        try:
            reason = reasons.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return f"no answer within {SECONDS_TO_ANSWER} s"
        if reason is None:
            return None
    return reason


def _why_silent(url: str) -> str | None:
    import requests

    try:
        requests.get(url, stream=True, timeout=SECONDS_TO_ANSWER).close()
    except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
        return str(error)
    except Exception:  # not for want of a connection: TFDS will say more
        return None
    return None
