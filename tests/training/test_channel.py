"""Processes that train together, here threads of one process, meet and tell one another things."""

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from and_tf.errors import Argument, UserError, WorkerLost
from and_tf.training import meeting
from and_tf.training.channel import Channel
from and_tf.training.cluster import Cluster

BEAT, SILENCE = 0.02, 0.4


def free_addresses(count):
    """Addresses whose ports were free a moment ago, each another one."""
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in servers)


def clusters(count):
    addresses = free_addresses(count)
    return [Cluster({"worker": addresses}, "worker", number) for number in range(count)]


def on_each(work, parts):
    """What a function gives of each part, in threads; errors in their place."""

    def attempt(part):
        try:
            return work(part)
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(attempt, parts))


@pytest.fixture
def connected():
    """A function from a number to as many channels that are connected."""
    with contextlib.ExitStack() as stack:

        def connect(count):
            cluster = clusters(count)
            pairs = {number: socket.socketpair() for number in range(1, count)}
            ends = [{number: pair[0] for number, pair in pairs.items()}]
            ends += [{0: pairs[number][1]} for number in range(1, count)]
            channels = [Channel(c, e, BEAT, SILENCE) for c, e in zip(cluster, ends, strict=True)]
            for channel in reversed(channels):
                stack.callback(channel.leave)
            return channels

        yield connect


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_that_were_started_meet_whatever_their_order(count):
    parts = clusters(count)

    def come(cluster):
        time.sleep(0.05 * (count - cluster.number))  # the chief last
        return meeting.meet(cluster, timeout=20)

    channels = on_each(come, parts)
    values = on_each(lambda c: c.exchange("numbers", c.cluster.number), channels)
    assert values == [list(range(count))] * count
    with socket.create_server(("127.0.0.1", int(parts[0].addresses[0].rpartition(":")[2]))):
        pass  # TensorFlow may listen there now, while the connections last
    on_each(Channel.leave, channels)


@pytest.mark.parametrize("missing", [0, 1])
def test_a_process_that_never_comes_is_named_by_all_others(missing):
    parts = clusters(3)
    came = [cluster for cluster in parts if cluster.number != missing]
    for error in on_each(lambda cluster: meeting.meet(cluster, timeout=0.5), came):
        assert isinstance(error, UserError)
        assert f"{parts[0].name(missing)} did not connect within 0.5 s" in str(error)
        assert Argument("worker_timeout", 0.5) in error.parts  # which a program spells as a flag


@pytest.mark.parametrize("number", [0, 1])
def test_a_port_that_is_taken_is_refused_at_once(number):
    cluster = clusters(2)[number]
    port = int(cluster.addresses[number].rpartition(":")[2])
    taken = pytest.raises(UserError, match=f"Port {port} of worker {number} .* is taken")
    with socket.create_server(("127.0.0.1", port)), taken:
        meeting.meet(cluster, timeout=20)


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b'{"greeting": "and_tf workers 1"}\n',
        b'{"greeting": "and_tf workers 1", "number": "1", "addresses": []}\n',
        b'{"greeting": "and_tf workers 1", "number": -1, "addresses": ["a:1"]}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_stranger_on_the_port_is_sent_away(words):
    parts = clusters(2)
    host, port = parts[0].addresses[0].split(":")

    def come(part):
        if part is not None:
            time.sleep(0.3 * part.number)
            return meeting.meet(part, timeout=20)
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as c:
                c.sendall(words)
                return "was there"
            time.sleep(0.02)

    chief, worker, stranger = on_each(come, [*parts, None])
    assert stranger == "was there"
    assert isinstance(chief, Channel) and isinstance(worker, Channel)
    on_each(Channel.leave, [chief, worker])


def test_processes_that_were_started_with_other_lists_are_refused_on_both_sides():
    chief = clusters(2)[0]
    other = Cluster({"worker": (chief.addresses[0], *free_addresses(1))}, "worker", 1)
    errors = on_each(lambda cluster: meeting.meet(cluster, timeout=20), [chief, other])
    assert str(errors[0]) == str(errors[1]) and "give all the same list" in str(errors[0])


def test_a_process_that_was_started_twice_is_refused_on_all_sides():
    parts = clusters(3)

    def come(delay):
        time.sleep(delay)
        return meeting.meet(parts[min(1, int(10 * delay))], timeout=20)

    errors = on_each(come, [0.0, 0.1, 0.4])
    assert all(f"{parts[0].name(1)} was started twice" in str(error) for error in errors)


@pytest.mark.parametrize("numbers", [(1, 1, 2), (1, 2, 1)])
def test_a_process_that_is_started_anew_takes_the_place_of_the_one_that_ended(numbers):
    """As Kubernetes restarts a pod, while another one is missing or when that has come."""
    parts = clusters(3)

    def come(place):
        time.sleep(0.15 * place)
        if place == 0:
            return meeting.meet(parts[0], timeout=20)
        part = parts[numbers[place - 1]]
        if place > 1:
            return meeting.meet(part, timeout=20)
        greeting = {"greeting": meeting.GREETING, "number": part.number}
        with meeting._connect(part, time.monotonic() + 20, 20) as connection:
            meeting._say(connection, greeting | {"addresses": list(part.addresses)})
        return None

    channels = [channel for channel in on_each(come, range(4)) if channel is not None]
    values = on_each(lambda c: c.exchange("numbers", c.cluster.number), channels)
    assert values == [[0, 1, 2]] * 3
    on_each(Channel.leave, channels)


def test_what_differs_is_named_on_all(connected):
    values = [{"batch_size": "128", "seed": "1"}] * 3
    values[2] = values[2] | {"seed": "2"}
    channels = connected(3)
    errors = on_each(lambda c: c.agree("flags", values[c.cluster.number]), channels)
    for error in errors:
        assert type(error) is UserError and str(error) == str(errors[0])
    names = [c.cluster.name(c.cluster.number) for c in channels]
    assert f"The flags differ: seed is 2 on {names[2]} and 1 on {names[0]}" in str(errors[0])
    assert on_each(lambda c: c.agree("flags", values[0]), channels) == [None] * 3


def test_a_value_that_one_process_lacks_differs(connected):
    channels = connected(2)
    values = [{"a": 1}, {"a": 1, "b": 2}]
    errors = on_each(lambda c: c.agree("versions", values[c.cluster.number]), channels)
    assert all("b is 2 on worker 1" in str(e) and "and missing on" in str(e) for e in errors)


def test_large_values_arrive_whole(connected):
    channels = connected(3)
    found = on_each(lambda c: c.exchange("large", str(c.cluster.number) * 10**6), channels)
    assert [[len(v) for v in values] for values in found] == [[10**6] * 3] * 3
    chief = on_each(lambda c: c.from_chief("one", c.cluster.number + 5), channels)
    assert chief == [5] * 3


@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_is_killed_is_named_by_all_others(connected, number):
    channels = connected(3)
    called = {channel: threading.Event() for channel in channels}
    for channel in channels:
        channel.watch(lambda what, channel=channel: called[channel].set())
    channels[number]._is_closed = True  # a process that is gone says nothing more
    channels[number]._thread.join()
    for connection in list(channels[number]._connections.values()):
        connection.shutdown(socket.SHUT_RDWR)  # as the system does
    for channel in channels:
        if channel.cluster.number == number:
            continue
        assert called[channel].wait(5)
        lost = str(channel.lost)
        assert channel.cluster.name(number) in lost and "was killed" in lost
        with pytest.raises(WorkerLost, match=f"worker {number} "):
            channel.exchange("anything", None)


def test_a_process_that_fails_tells_the_others_why(connected):
    channels = connected(3)
    waiting = on_each(
        lambda c: c.fail("image 7 is broken") if c.cluster.number == 2 else c.exchange("x", 1),
        channels,
    )
    for error in waiting[:2]:
        assert isinstance(error, WorkerLost)
        assert "worker 2 " in str(error) and "ended: image 7 is broken" in str(error)


@pytest.mark.parametrize("value", [5, "a b", True, None, ["x", 2]])
def test_an_argument_in_what_a_process_fails_by_is_one_on_all_others(connected, value):
    channels = connected(3)
    channels[2].fail(Argument("seed", value), " or ", Argument("name"), ": no.", is_refused=True)
    for channel in channels[:2]:
        with pytest.raises(WorkerLost):
            channel.wait_for_all("x")
        parts = [Argument("seed", value), " or ", Argument("name"), ": no."]
        assert list(channel.lost.parts[-4:]) == parts and channel.lost.is_refused


def test_one_that_gives_no_sign_of_life_is_lost(connected):
    channels = connected(3)
    channels[1]._send = lambda *_, **__: None  # as of a process that hangs
    for channel in (channels[0], channels[2]):
        with pytest.raises(WorkerLost, match=r"worker 1 .* no sign of life for 0\.4 s"):
            channel.exchange("anything", None)


@pytest.mark.parametrize(
    "words", [b"no JSON\n", b"3\n", b'{"name": "x"}\n', b"[" * 100_000 + b"\n"]
)
def test_one_that_sends_something_else_is_lost(connected, words):
    chief, worker, other = connected(3)
    worker._connections[0].sendall(words)
    for channel in (chief, other):
        with pytest.raises(WorkerLost, match=r"worker 1 .* sent something that is not a message"):
            channel.wait_for_all("x")


def test_one_that_leaves_is_not_lost(connected):
    channels = connected(3)
    channels[1].leave()
    time.sleep(2 * SILENCE)
    assert channels[0].lost is None and channels[2].lost is None
    with pytest.raises(WorkerLost, match=r"worker 1 .* has left"):
        channels[0].exchange("anything", None)
