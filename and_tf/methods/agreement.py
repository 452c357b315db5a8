"""Agreement within a step between processes that train together, without an extra collective.

A process must not stop or save alone, because of its own clock or a signal: the others would wait
for it forever in their next collective.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Asked(NamedTuple):
    """What at least one of the processes has requested."""

    stop: bool
    save: bool


class Agreement:
    """Requests shared by the processes of a strategy, in whose scope it is created."""

    def __init__(self) -> None:
        self._wishes = of_each_replica(np.zeros(2, np.float32))
        self._agreed = of_each_replica(np.zeros(2, np.float32))

    def wish(self, stop: bool, save: bool) -> None:
        """Sets what this process requests from the next step on."""
        self._wishes.assign(np.array([stop, save], np.float32))

    def agreed(self) -> Asked:
        """What any process had requested when the last step began; equal on all processes."""
        return Asked(*(bool(value) for value in self._agreed.numpy() > 0))

    def total_weight(self, weights: tf.Tensor) -> tf.Tensor:
        """The sum of the weights (b,) of all processes; to be called once in each step."""
        context = tf.distribute.get_replica_context()
        own = tf.concat([[tf.reduce_sum(weights)], self._wishes.read_value()], axis=0)
        total = context.all_reduce("SUM", own)  # (3,)
        with tf.control_dependencies([self._agreed.assign(total[1:])]):
            return tf.identity(total[0])

    def mean(self, losses: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The weighted mean of the losses (b,) of all processes, and the sum of their weights."""
        context = tf.distribute.get_replica_context()
        own = tf.stack([tf.reduce_sum(weights * losses), tf.reduce_sum(weights)])
        total = context.all_reduce("SUM", own)  # (2,)
        return total[0] / total[1], total[1]


def of_each_replica(value: object) -> tf.Variable:
    """A variable with a separate copy on each replica, which that replica assigns."""
    return tf.Variable(
        value,
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
