"""The devices or processes of a run: found at its start, left at its end, missed between."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from and_tf.data.sharing import ALONE, Sharing
from and_tf.data.startup_lines import startup_lines_dropped
from and_tf.errors import UserError, WorkerLost
from and_tf.training.channel import Channel
from and_tf.training.cluster import read_cluster
from and_tf.training.identity import identity
from and_tf.training.meeting import meet
from and_tf.training.settings import ExperimentSettings
from and_tf.training.strategy import abort_collectives, choose_strategy
from and_tf.training.strategy_sharing import StrategySharing

logger = logging.getLogger(__name__)

LAST_WORD = 5.0  # seconds in which the channel says why a collective has failed
LAST_STEP = 10.0  # seconds after which a process ends that waits for another one that is lost
CONTINUES = "the same commands continue from the last checkpoint."


class Workers(NamedTuple):
    """What shares the work of a run.

    Attributes:
        strategy: in whose scope model and optimizer are built.
        sharing: the processes that share passes over all images.
        channel: to the other processes; None where there are none.
    """

    strategy: tf.distribute.Strategy
    sharing: Sharing = ALONE
    channel: Channel | None = None
    local_size: int = 1  # processes of the run on this machine, which share its cores

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run's folder, its log and its progress bar: one does."""
        return self.sharing.number == 0

    def agree(self, name: str, values: Mapping[str, Any]) -> None:
        """Checks that all processes have the same values, see `Channel.agree`."""
        if self.channel is not None:
            self.channel.agree(name, values)

    def wait_for_all(self, name: str) -> None:
        """Returns when all processes have come here."""
        if self.channel is not None:
            self.channel.wait_for_all(name)

    def part(self) -> None:
        """Lets each process end by itself, as soon as all have come here."""
        if self.channel is not None:
            self.channel.wait_for_all("trained")
            self.channel.leave()


@contextlib.contextmanager
def workers_of(settings: ExperimentSettings) -> Iterator[Workers]:
    """The devices or processes that train together, until the end of the block.

    Where the strategy is `multiworker`, TensorFlow must not have run any operation before. If the
    block ends by an error, the others are told; if another process is lost, this one ends too.

    Raises:
        UserError: if the other processes do not come, or differ from this one.
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
    is_over, level = threading.Event(), logging.getLogger("and_tf").level
    stderr = os.dup(2)  # before what TensorFlow prints at its start is filtered
    try:
        channel.agree("flags and versions", identity(settings))
        if not cluster.is_chief:
            logger.info("Training as %s of %d.", cluster.name(cluster.number), cluster.size)
            logging.getLogger("and_tf").setLevel(logging.ERROR)  # the chief says all
        channel.watch(lambda lost: _end_later(lost, is_over, stderr))
        with startup_lines_dropped():
            strategy = choose_strategy("multiworker", cluster)
        sharing = StrategySharing(strategy, cluster.number, cluster.size)
        yield Workers(strategy, sharing, channel, cluster.local_size)
    except tf.errors.OpError as error:
        if lost := _lost(channel):
            channel.fail(lost)
            raise WorkerLost(f"{lost}: {CONTINUES}") from error
        channel.fail(_first_line(error))
        raise
    except BaseException as error:
        channel.fail(_first_line(error))
        if isinstance(error, WorkerLost):
            raise WorkerLost(f"{str(error).rstrip('.')}: {CONTINUES}") from error
        raise
    finally:
        is_over.set()
        logging.getLogger("and_tf").setLevel(level)
    channel.leave()


def _lost(channel: Channel) -> str | None:
    """Which process was lost, if one was when a collective failed: TensorFlow may know it first."""
    for _ in range(int(LAST_WORD / 0.1)):
        if channel.lost is not None:
            break
        time.sleep(0.1)
    return channel.lost


def _first_line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if isinstance(error, UserError) else f"{type(error).__name__}: {lines[0]}"


def _end_later(lost: str, is_over: threading.Event, stderr: int) -> None:
    """Ends this process if it still waits for the one that is lost: it would do so for ever."""

    def end() -> None:
        _leave_the_message_to_us(stderr)
        abort_collectives(lost)
        if not is_over.wait(LAST_STEP):
            try:
                logger.error("%s: %s", lost, CONTINUES)
            finally:  # also where nobody reads it
                os._exit(2)

    threading.Thread(target=end, name="end", daemon=True).start()


def _leave_the_message_to_us(stderr: int) -> None:
    """Drops what TensorFlow prints on descriptor 2 when its collectives fail: many lines on one
    event, which is known. Messages of Python go on to where they went."""
    with contextlib.suppress(OSError):
        sys.stderr = os.fdopen(os.dup(stderr), "w", buffering=1, errors="backslashreplace")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
