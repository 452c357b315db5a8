"""Values that the replicas of a strategy exchange."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


def in_processes(strategy: tf.distribute.Strategy) -> bool:
    """Whether the replicas of a strategy are processes, possibly on several machines."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def local_devices(strategy: tf.distribute.Strategy) -> tuple[str, ...]:
    """Names of the devices of one process that serve as a strategy's replicas.

    Empty if the strategy has one replica, or if its replicas are processes.
    """
    if strategy.num_replicas_in_sync == 1 or in_processes(strategy):
        return ()
    return tuple(strategy.extended.worker_devices)


class Gathered(NamedTuple):
    """Rows of all replicas.

    Attributes:
        values: the values, each concatenated along axis 0.
        start: where the rows of this replica begin; None if finding out takes another collective.
    """

    values: list[tf.Tensor]
    start: tf.Tensor | None = None


def gather_replicas(*values: tf.Tensor) -> Gathered:
    """Concatenates each value over all replicas along axis 0; with one replica, nothing changes."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return Gathered(list(values))
    if in_processes(context.strategy):  # where all_gather fails on CPUs
        return _gather_by_sums(context, values)
    return Gathered([context.all_gather(value, axis=0) for value in values])


def _gather_by_sums(context: tf.distribute.ReplicaContext, values: Sequence[tf.Tensor]) -> Gathered:
    """`gather_replicas` by a sum: each replica contributes zeros in the places of the others."""
    size = tf.shape(values[0])[0]
    sizes = _sizes(context, size)  # (R,)
    start = tf.reduce_sum(sizes[: context.replica_id_in_sync_group])
    rows = [start, tf.reduce_sum(sizes) - size - start]
    # Not multiplied by a one-hot vector: 0 times NaN would be NaN in all rows.
    padded = [tf.pad(value, [rows] + [[0, 0]] * (value.shape.rank - 1)) for value in values]
    return Gathered([context.all_reduce("SUM", value) for value in padded], start)


def _sizes(context: tf.distribute.ReplicaContext, size: tf.Tensor) -> tf.Tensor:
    """The sizes (R,) of all replicas, in order."""
    number, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
    if in_processes(context.strategy):
        own = tf.pad([tf.cast(size, tf.float32)], [[number, replicas - 1 - number]])
        return tf.cast(context.all_reduce("SUM", own), size.dtype)  # int32 would be on the host
    return context.all_gather(tf.reshape(size, [1]), axis=0)


def own_parts(size: tf.Tensor, start: tf.Tensor | None, *gathered: tf.Tensor) -> list[tf.Tensor]:
    """The rows of this replica in each value: `size` of them, from `Gathered.start` on."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(gathered)
    if start is None:
        start = tf.reduce_sum(_sizes(context, size)[: context.replica_id_in_sync_group])
    return [value[start : start + size] for value in gathered]


class StrategyReplicas:
    """Reductions over the replicas of a strategy, called in its replica context.

    Implements `and_tf.bank.shards.Replicas`.
    """

    def total(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Each value, summed over all replicas."""
        return tf.distribute.get_replica_context().all_reduce("SUM", values)

    def maximum(self, value: tf.Tensor) -> tf.Tensor:
        """The maximum of each element over all replicas; strategies themselves offer only sums.

        Args:
            value: (n, B).
        """
        context = tf.distribute.get_replica_context()
        before = context.replica_id_in_sync_group
        after = context.num_replicas_in_sync - 1 - before
        # Not multiplied by a one-hot vector: 0 times NaN would be NaN on all replicas.
        beside = tf.pad(value[None], [[before, after], [0, 0], [0, 0]])  # (R, n, B)
        return tf.reduce_max(context.all_reduce("SUM", beside), axis=0)
