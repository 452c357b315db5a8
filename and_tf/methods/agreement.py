"""What processes that train together agree upon within a step, without an additional collective.

A process must not stop or save alone, by its own clock or because a signal reached it: the others
would wait for it in their next collective for ever.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Asked(NamedTuple):
    """What at least one of the processes asks for."""

    stop: bool
    save: bool


class Agreement:
    """What a model keeps under a strategy whose replicas are processes; made in its scope."""

    def __init__(self) -> None:
        self._wishes = of_each_replica(np.zeros(2, np.float32))
        self._agreed = of_each_replica(np.zeros(2, np.float32))

    def wish(self, stop: bool, save: bool) -> None:
        """What this process asks for from the next step on."""
        self._wishes.assign(np.array([stop, save], np.float32))

    def agreed(self) -> Asked:
        """What any process had asked for when the last step began: the same on all."""
        return Asked(*(bool(value) for value in self._agreed.numpy() > 0))

    def total_weight(self, weights: tf.Tensor) -> tf.Tensor:
        """The sum of the weights (b,) of all processes; within a step, once."""
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
    """A variable with a copy on each replica, which the replica assigns."""
    return tf.Variable(
        value,
        trainable=False,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
