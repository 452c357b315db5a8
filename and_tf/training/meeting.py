"""Connects the processes that train together before TensorFlow waits for them.

The chief listens where TensorFlow will listen later, and the others connect to it. If a port is
taken, or a process never arrives, a message can therefore name it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import socket
import time
from typing import Any

from and_tf.errors import Argument, UserError
from and_tf.training.channel import Channel
from and_tf.training.cluster import Cluster
from and_tf.training.message_parts import packed, unpacked

RETRY = 0.25  # seconds between two attempts to connect
ANSWER = 10.0  # seconds that a connected process may take to send or receive a message
LONGEST_LINE = 1 << 20
GREETING = "and_tf workers 1"


def meet(cluster: Cluster, timeout: float) -> Channel:
    """Waits until all processes have arrived, and connects them.

    Args:
        cluster: equal on all processes.
        timeout: seconds to wait for the others.

    Raises:
        UserError: if the port of this process is taken, another process does not arrive in time, or
            a process was started with a different list of processes.
    """
    deadline = time.monotonic() + timeout
    with _listener(cluster) as listener:
        if cluster.is_chief:
            return Channel(cluster, _gather(cluster, listener, deadline, timeout))
    return Channel(cluster, {0: _join(cluster, deadline, timeout)})


def _listener(cluster: Cluster) -> socket.socket:
    """A socket on the address of this process, on which TensorFlow will listen later."""
    address = cluster.addresses[cluster.number]
    host, port = _split(address)
    is_loopback = host in ("localhost", "::1") or host.startswith("127.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # Exclusive: no other process may listen there, even one that shares the port, like grpc.
        return socket.create_server((host if is_loopback else "", port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise port_is_taken(cluster) from error


def check_port(cluster: Cluster) -> None:
    """Checks that no other program has taken this process's port since the processes met.

    Raises:
        UserError: if one has.
    """
    _listener(cluster).close()


def port_is_taken(cluster: Cluster) -> UserError:
    """The error for a process that cannot listen on its own port."""
    _, port = _split(cluster.addresses[cluster.number])
    return UserError(
        f"Port {port} of {cluster.name(cluster.number)} is taken by another process: end that, or "
        "name another port in TF_CONFIG, or by ", Argument("worker_port"), " under Slurm.",
    )  # fmt: skip


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _gather(
    cluster: Cluster, listener: socket.socket, deadline: float, timeout: float
) -> dict[int, socket.socket]:
    """Accepts the connections of all other processes, in the chief."""
    found: dict[int, socket.socket] = {}
    try:
        while len(found) < cluster.size - 1 or _forget_ended(found):
            listener.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                connection, _ = listener.accept()
            except TimeoutError as error:
                _forget_ended(found)
                missing = [n for n in range(1, cluster.size) if n not in found]
                raise _absent(cluster, missing, timeout) from error
            number = _number(cluster, connection, found)
            if number is not None:
                found[number] = connection
        for connection in found.values():
            _say(connection, {"met": True})
    except UserError as error:
        for connection in found.values():
            _say(connection, {"refused": packed(error.parts)})
            connection.close()
        raise
    return found


def _forget_ended(found: dict[int, socket.socket]) -> bool:
    """Forgets processes that have ended since they connected, since they may be restarted.

    Returns whether there were any.
    """
    ended = [number for number, connection in found.items() if _has_ended(connection)]
    for number in ended:
        found.pop(number).close()
    return bool(ended)


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other end is closed; unread data stays in the connection."""
    connection.setblocking(False)
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def _number(
    cluster: Cluster, connection: socket.socket, found: dict[int, socket.socket]
) -> int | None:
    """The number of the process that has connected; None if it is not one of ours.

    Raises:
        UserError: if it does not match the others; the process is told, too.
    """
    greeting = _hear(connection, ANSWER)
    if greeting is None or not _is_greeting(greeting, cluster.size):
        connection.close()
        return None
    _forget_ended(found)
    number, addresses = greeting["number"], tuple(greeting["addresses"])
    reason = ""
    if addresses != cluster.addresses:
        reason = (
            f"Process {number} was started with the processes {', '.join(addresses)} and the chief "
            f"with {', '.join(cluster.addresses)}: give all the same list."
        )
    elif number == 0 or number in found:
        reason = f"{cluster.name(number)} was started twice: give each process its own number."
    if reason:
        _say(connection, {"refused": [reason]})
        connection.close()
        raise UserError(reason)
    return number


def _is_greeting(message: dict[str, Any], size: int) -> bool:
    """Whether a message comes from one of our processes."""
    number, addresses = message.get("number"), message.get("addresses")
    if message.get("greeting") != GREETING or not isinstance(number, int) or number < 0:
        return False
    if not isinstance(addresses, list) or not all(isinstance(each, str) for each in addresses):
        return False
    # A process with a different list may have a number that is unknown here; that is reported.
    return number < size or len(addresses) != size


def _absent(cluster: Cluster, missing: list[int], timeout: float) -> UserError:
    names = ", ".join(map(cluster.name, missing))
    return UserError(
        f"{names} did not connect within {timeout:g} s: start "
        "all processes with the same flags, or raise ", Argument("worker_timeout", timeout), ".",
    )  # fmt: skip


def _join(cluster: Cluster, deadline: float, timeout: float) -> socket.socket:
    """Connects a worker to the chief."""
    connection = _connect(cluster, deadline, timeout)
    greeting = {
        "greeting": GREETING,
        "number": cluster.number,
        "addresses": list(cluster.addresses),
    }
    _say(connection, greeting)
    # A chief that was started later also waits longer for the others.
    answer = _hear(connection, timeout + ANSWER)
    if answer is not None and answer.get("met"):
        return connection
    connection.close()
    if answer is None or "refused" not in answer:
        raise UserError(f"{cluster.name(0)} ended before all had connected: see its output.")
    raise UserError(*unpacked(answer["refused"]))


def _connect(cluster: Cluster, deadline: float, timeout: float) -> socket.socket:
    while True:
        try:
            return socket.create_connection(_split(cluster.addresses[0]), timeout=ANSWER)
        except OSError as error:  # not started yet, or its name is not known yet
            if time.monotonic() > deadline:
                raise _absent(cluster, [0], timeout) from error
        time.sleep(min(RETRY, max(0.0, deadline - time.monotonic())) or 0.001)


def _say(connection: socket.socket, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # it has ended; a process that waits for it will notice
        connection.sendall(json.dumps(message).encode() + b"\n")


def _hear(connection: socket.socket, timeout: float) -> dict[str, Any] | None:
    """Reads a line of JSON; None if none comes.

    Byte by byte, because what follows is for someone else to read.
    """
    line, deadline = b"", time.monotonic() + timeout
    try:
        while not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            connection.settimeout(max(0.001, deadline - time.monotonic()))  # for the whole line
            byte = connection.recv(1)
            if not byte:
                return None
            line += byte
        message = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return None
    finally:
        connection.settimeout(None)
    return message if isinstance(message, dict) else None
