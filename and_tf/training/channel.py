"""Messages between processes that train together, other than tensors: over TCP, via the chief.

TensorFlow's collectives keep waiting for a process that has ended, and explain little when they
give up. A closed connection shows at once that a process has ended, and a message before that
explains why.
"""

from __future__ import annotations

import contextlib
import functools
import json
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from and_tf.errors import UserError, WorkerLost
from and_tf.training.cluster import Cluster
from and_tf.training.message_parts import packed, unpacked

BEAT = 2.0  # seconds between two heartbeats
SILENCE = 30.0  # seconds without a heartbeat after which a process counts as lost
LAST_WORD = 5.0  # seconds to wait for the other end to read the last message
LARGEST_READ = 1 << 16
LONGEST_MESSAGE = 1 << 24


class Lost(NamedTuple):
    """A process that was lost, and why.

    Attributes:
        parts: parts of a message that names it, as in `UserError`; may lack a final full stop.
        is_refused: whether it ended because of something that its user must fix first, which the
            message explains.
    """

    parts: tuple[object, ...]
    is_refused: bool = False

    def __str__(self) -> str:
        return str(UserError(*self.parts))


class Channel:
    """The connections of this process: the chief has one to each worker, a worker one to the chief.

    A thread reads them and sends heartbeats. All processes must call `exchange`, and the methods
    that use it, in the same order.

    Args:
        cluster: the processes.
        connections: by the number of the process at the other end.
        beat, silence: seconds, see `BEAT` and `SILENCE`.
    """

    def __init__(
        self,
        cluster: Cluster,
        connections: Mapping[int, socket.socket],
        beat: float = BEAT,
        silence: float = SILENCE,
    ):
        self.cluster, self.beat, self.silence = cluster, beat, silence
        self.lost: Lost | None = None  # the first process that was lost
        self._connections = dict(connections)
        self._inbox: dict[int, deque] = {number: deque() for number in connections}
        self._partial = dict.fromkeys(connections, b"")
        self._heard = dict.fromkeys(connections, time.monotonic())
        self._news = threading.Condition()
        self._sending = {number: threading.Lock() for number in connections}
        self._on_lost: Callable[[Lost], None] | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._listen, name="channel", daemon=True)
        self._thread.start()

    def exchange(self, name: str, value: Any) -> list[Any]:
        """Sends a value to all processes; returns the values of all, in the order of processes.

        Args:
            name: of what is exchanged, equal on all.
            value: anything that JSON can represent.

        Raises:
            WorkerLost: if a process has ended.
        """
        if not self.cluster.is_chief:
            self._send(0, {"name": name, "value": value})
            return self._receive(0, name)
        values = [value, *(self._receive(n, name) for n in range(1, self.cluster.size))]
        for number in list(self._connections):  # the thread may remove one
            self._send(number, {"name": name, "value": values})
        return values

    def agree(self, name: str, values: Mapping[str, Any]) -> None:
        """Checks that all processes have the same values.

        Args:
            name: of what is compared.
            values: by their names in a message; anything that JSON can represent.

        Raises:
            UserError: on all processes, with the first difference.
            WorkerLost: as in `exchange`.
        """
        chief, *others = self.exchange(name, dict(values))
        for number, found in enumerate(others, start=1):
            for key in [*chief, *(key for key in found if key not in chief)]:
                if chief.get(key) != found.get(key):
                    both = (
                        f"{of.get(key, 'missing')} on {self.cluster.name(n)}"
                        for n, of in ((number, found), (0, chief))
                    )
                    raise UserError(
                        f"The {name} differ: {key} is {' and '.join(both)}. Start all processes "
                        "with the same."
                    )

    def from_chief(self, name: str, value: Any = None) -> Any:
        """Returns the chief's value on all processes."""
        return self.exchange(name, value)[0]

    def wait_for_all(self, name: str) -> None:
        """Returns when all processes have called this."""
        self.exchange(name, None)

    def watch(self, on_lost: Callable[[Lost], None]) -> None:
        """Registers a function that the channel's thread calls once if a process is lost.

        If one already was, the function is called here.
        """
        with self._news:
            self._on_lost = on_lost
            already = self.lost
        if already is not None:
            on_lost(already)

    def fail(self, *reason: object, is_refused: bool = False) -> None:
        """Tells the others why this process ends, and closes the connections.

        Args:
            *reason: parts of a message, as in `UserError`.
            is_refused: see `Lost`.
        """
        self._close({"failed": packed(reason), "is_refused": is_refused})

    def leave(self) -> None:
        """Leaves without an error: from now on, this process and the others act independently."""
        self._close({"left": True})

    def _close(self, last: dict[str, Any]) -> None:
        with self._news:
            if self._is_closed:
                return
            self._is_closed = True
            self._news.notify_all()
        for number in list(self._connections):
            self._send(number, last)
        self._thread.join()
        for connection in self._connections.values():
            _close_when_heard(connection)

    def _send(self, number: int, message: dict[str, Any], may_wait: bool = True) -> None:
        line = json.dumps(message).encode() + b"\n"
        connection, lock = self._connections.get(number), self._sending[number]
        if connection is None or not lock.acquire(blocking=may_wait):
            return
        try:
            connection.sendall(line)
        except OSError:
            pass  # the thread will find out and report it
        finally:
            lock.release()

    def _receive(self, number: int, name: str) -> Any:
        with self._news:
            while not self._inbox[number]:
                if self.lost is not None:
                    raise WorkerLost(*self.lost.parts)
                if number not in self._connections:
                    raise WorkerLost(f"{self.cluster.name(number)} has left")
                self._news.wait()
            found, value = self._inbox[number].popleft()
        if found != name:
            raise RuntimeError(f"{self.cluster.name(number)} gave {found} and not {name}.")
        return value

    # Run by the thread.

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for number, connection in self._connections.items():
                selector.register(connection, selectors.EVENT_READ, number)
            next_beat = 0.0
            while not self._is_closed and self._connections:
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + self.beat
                    self._give_signs(selector)
                for key, _ in selector.select(self.beat / 4):
                    self._read(key.data, selector)

    def _give_signs(self, selector: selectors.BaseSelector) -> None:
        for number in list(self._connections):
            self._send(number, {"beat": True}, may_wait=False)
            if time.monotonic() - self._heard[number] > self.silence:
                why = f"has given no sign of life for {self.silence:g} s"
                self._lose(number, selector, why)

    def _read(self, number: int, selector: selectors.BaseSelector) -> None:
        try:
            part = self._connections[number].recv(LARGEST_READ)
        except OSError:
            part = b""
        self._heard[number] = time.monotonic()
        *lines, self._partial[number] = (self._partial[number] + part).split(b"\n")
        messages = [_message(line) for line in lines]
        if None in messages or len(self._partial[number]) > LONGEST_MESSAGE:
            self._lose(number, selector, "sent something that is not a message")
            return
        for message in messages:
            if message is not None and not self._take(number, message, selector):
                return
        if not part:
            self._lose(number, selector, "has ended or was killed")

    def _take(self, number: int, message: dict[str, Any], selector: selectors.BaseSelector) -> bool:
        """Handles a message; returns False if it was the sender's last."""
        if "name" in message:
            with self._news:
                self._inbox[number].append((message["name"], message["value"]))
                self._news.notify_all()
        elif "failed" in message:
            why, is_refused = unpacked(message["failed"]), bool(message.get("is_refused"))
            self._lose(number, selector, "ended: ", *why, is_refused=is_refused)
            return False
        elif "left" in message:
            self._forget(number, selector)
            return False
        elif "lost" in message:
            self._note(Lost(unpacked(message["lost"]), bool(message.get("is_refused"))))()
        return True

    def _lose(
        self,
        number: int,
        selector: selectors.BaseSelector,
        *why: object,
        is_refused: bool = False,
    ) -> None:
        what = Lost((f"{self.cluster.name(number)} ", *why), is_refused)
        tell = self._note(what)  # first: a forgotten process counts as one that has left
        self._forget(number, selector)
        tell()

    def _note(self, what: Lost) -> Callable[[], None]:
        """Records a lost process if it is the first; returns a function that then reports it."""
        with self._news:
            if self.lost is not None or self._is_closed:
                return lambda: None
            self.lost = what
            self._news.notify_all()
            return functools.partial(self._tell, what, self._on_lost)

    def _tell(self, what: Lost, on_lost: Callable[[Lost], None] | None) -> None:
        """Tells the other processes, and this one, which process was lost."""
        if self.cluster.is_chief:
            for other in list(self._connections):
                self._send(other, {"lost": packed(what.parts), "is_refused": what.is_refused})
        if on_lost is not None:
            on_lost(what)

    def _forget(self, number: int, selector: selectors.BaseSelector) -> None:
        with self._news:
            connection = self._connections.pop(number)
            self._news.notify_all()
        selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # wakes a thread that is sending
        connection.close()


def _message(line: bytes) -> dict[str, Any] | None:
    """The message in a line; None if it is not one of ours."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(message, dict) and ("name" not in message or "value" in message)
    return message if is_one else None


def _close_when_heard(connection: socket.socket) -> None:
    """Closes a connection once the other end has: unread bytes would discard the last message."""
    with contextlib.suppress(OSError):
        connection.settimeout(LAST_WORD)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(LARGEST_READ):
            pass
    connection.close()
