"""The devices or processes of a run: connected at its start, monitored, and left at its end."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from and_tf.data.exchange import ALONE, Sharing
from and_tf.data.startup_lines import startup_lines_dropped
from and_tf.errors import Argument, UserError, WorkerLost
from and_tf.runs.workdir import Workdir
from and_tf.training.channel import Channel, Lost
from and_tf.training.cluster import Cluster, read_cluster
from and_tf.training.ending import Ending
from and_tf.training.identity import identity
from and_tf.training.meeting import check_port, meet, port_is_taken
from and_tf.training.settings import ExperimentSettings
from and_tf.training.strategy import choose_strategy
from and_tf.training.strategy_exchange import StrategySharing
from and_tf.training.unlocked_start import lock_released_in_start
from and_tf.training.worker_messages import only_warnings

logger = logging.getLogger(__name__)

LAST_WORD = 5.0  # seconds to wait for the channel to explain why a collective has failed
LOCKED = 30.0  # further seconds before a process that cannot end itself is ended
CONTINUES = "the same commands continue from the last checkpoint."
BEGINS = "nothing is saved yet; the same commands start again."
PORT_IS_TAKEN = "Could not start gRPC server"  # TensorFlow's message


class Workers(NamedTuple):
    """The devices or processes that share the work of a run.

    Attributes:
        strategy: in whose scope model and optimizer are built.
        sharing: the processes that share passes over all images.
        channel: to the other processes; None if there are none.
    """

    strategy: tf.distribute.Strategy
    sharing: Sharing = ALONE
    channel: Channel | None = None
    local_size: int = 1  # processes of the run on this machine, which share its cores

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes the run's folder, log and progress bar."""
        return self.sharing.number == 0

    def agree(self, name: str, values: Mapping[str, Any]) -> None:
        """Checks that all processes have the same values, see `Channel.agree`."""
        if self.channel is not None:
            self.channel.agree(name, values)

    def wait_for_all(self, name: str) -> None:
        """Returns when all processes have called this."""
        if self.channel is not None:
            self.channel.wait_for_all(name)

    def part(self) -> None:
        """Once all processes have called this, each may end on its own."""
        if self.channel is not None:
            self.channel.wait_for_all("trained")
            self.channel.leave()


@contextlib.contextmanager
def workers_of(settings: ExperimentSettings) -> Iterator[Workers]:
    """The devices or processes that train together, until the end of the block.

    If the strategy is `multiworker`, TensorFlow must not have run any operation before. If the
    block ends with an error, the others are told; if another process is lost, this one ends too.

    Raises:
        UserError: if the other processes do not arrive, or differ from this one.
        WorkerLost: if one of them ends while the block runs.
    """
    devices = settings.devices
    if devices.strategy != "multiworker":
        yield Workers(choose_strategy(devices.strategy))
        return
    cluster = read_cluster(devices.worker_port)
    if cluster.size == 1:
        yield Workers(choose_strategy("none"))
        return
    channel = meet(cluster, devices.worker_timeout)
    run = Workdir(settings.run.folder, is_writable=False)
    ending = Ending(lambda lost: _worker_lost(lost, run))
    try:
        channel.agree("flags and versions", identity(settings))
        with _speaking(cluster):
            channel.watch(ending.begin)
            strategy = _strategy_of(cluster, channel, ending, devices.worker_timeout)
            sharing = StrategySharing(strategy, cluster.number, cluster.size)
            yield Workers(strategy, sharing, channel, cluster.local_size)
    except BaseException as error:
        lost = _lost_by(error, channel)
        if lost is None:
            channel.fail(*_reason(error), is_refused=isinstance(error, UserError))
            raise
        channel.fail(*lost.parts, is_refused=lost.is_refused)
        raise _worker_lost(lost, run) from error
    finally:
        ending.cancel()
    channel.leave()


def _speaking(cluster: Cluster) -> contextlib.AbstractContextManager[None]:
    """A block in which the chief logs for all, and the others log only their own warnings."""
    if cluster.is_chief:
        return contextlib.nullcontext()
    logger.info("Training as %s of %d.", cluster.name(cluster.number), cluster.size)
    return only_warnings(cluster.short_name(cluster.number))


def _strategy_of(
    cluster: Cluster, channel: Channel, ending: Ending, timeout: float
) -> tf.distribute.Strategy:
    """The strategy of processes that have met.

    While TensorFlow waits for the others, it does not notice if one is lost: the channel does, and
    `ending` then ends this process. Whatever may fail or take long is done before.

    Raises:
        UserError: if another program has taken this process's port in the meantime.
    """
    try:
        with startup_lines_dropped():
            tf.config.list_physical_devices()  # looks for GPUs
            check_port(cluster)
            channel.wait_for_all("devices")
            with _ended_after(timeout, ending), lock_released_in_start():
                return choose_strategy("multiworker", cluster)
    except tf.errors.UnknownError as error:
        if PORT_IS_TAKEN in str(error):
            raise port_is_taken(cluster) from error
        raise


@contextlib.contextmanager
def _ended_after(seconds: float, ending: Ending) -> Iterator[None]:
    """Ends the process if the block takes longer: TensorFlow would wait for an hour.

    If TensorFlow holds Python's global lock, a timer that does not need it ends the process and
    prints where it was.
    """
    late = Lost(
        (
            f"The processes have met, but TensorFlow did not connect them within {seconds:g} s: "
            "check that each reaches the ports of all, or raise ",
            Argument("worker_timeout", seconds), ".",
        ),
        is_refused=True,
    )  # fmt: skip
    timer = threading.Timer(seconds, ending.begin, (late,))
    timer.daemon = True
    timer.start()
    with contextlib.suppress(OSError, RuntimeError, AttributeError):  # no descriptor to write to
        faulthandler.dump_traceback_later(seconds + LOCKED, exit=True)
    try:
        yield
    finally:
        timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def _lost_by(error: BaseException, channel: Channel) -> Lost | None:
    """The lost process, if that is why this one ends; TensorFlow may notice it first."""
    if isinstance(error, WorkerLost):
        return channel.lost or Lost(error.parts)
    if isinstance(error, tf.errors.OpError):
        for _ in range(int(LAST_WORD / 0.1)):
            if channel.lost is not None:
                break
            time.sleep(0.1)
        return channel.lost
    return None


def _worker_lost(lost: Lost, run: Workdir) -> WorkerLost:
    """The error with which this process ends, and what its user can do then."""
    if lost.is_refused:  # the message explains what to fix
        return WorkerLost(*lost.parts)
    is_saved = run.checkpoint.is_file() or run.previous_checkpoint.is_file()
    return WorkerLost(*lost.parts, ": ", CONTINUES if is_saved else BEGINS)


def _reason(error: BaseException) -> Sequence[object]:
    """Parts of a message that explains why this process ends."""
    if isinstance(error, UserError):
        return error.parts
    if isinstance(error, KeyboardInterrupt):
        return ("interrupted",)
    lines = str(error).strip().splitlines()
    return (": ".join([type(error).__name__, *lines[:1]]),)
