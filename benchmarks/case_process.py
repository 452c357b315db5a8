"""A case of a benchmark in its own process, which waits until it is called."""

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection


class CaseProcess:
    """A function that is made and called in another process.

    Args:
        maker: makes the function there; must be importable.
        environment: variables of that process, in addition to those of this one.

    Raises:
        RuntimeError: from any call, with the traceback of an error in that process.
    """

    def __init__(self, maker: Callable[[], Callable[[], object]], environment: Mapping[str, str]):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, maker), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment)
        self._process.start()
        os.environ.clear()
        os.environ.update(before)
        theirs.close()

    def first_call(self) -> float:
        """Seconds of the function's first call, which compiles, without the time to make it."""
        return self(1)

    def __call__(self, times: int) -> float:
        """Calls the function this many times; returns the seconds that all calls took."""
        try:
            self._connection.send(times)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise RuntimeError("A case of the benchmark ended by itself.") from error
        if isinstance(answer, str):
            raise RuntimeError(answer)
        return answer

    def end(self) -> None:
        self._connection.close()
        self._process.join(timeout=10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _serve(connection: Connection, maker: Callable[[], Callable[[], object]]) -> None:
    """Answers each number with the seconds of that many calls, until the connection is closed."""
    work = None
    while True:
        try:
            times = connection.recv()
        except EOFError:
            os._exit(0)  # a `fit` in a thread may still be waiting
        try:
            work = work or maker()
            start = time.perf_counter()
            for _ in range(times):
                work()
            connection.send(time.perf_counter() - start)
        except BaseException:
            connection.send(traceback.format_exc())
