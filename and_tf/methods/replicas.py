"""What Keras's own training lacks on several replicas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from and_tf.errors import Argument, UserError


def check_xla(strategy: tf.distribute.Strategy) -> None:
    """Checks that XLA can compile the steps of a strategy.

    Raises:
        UserError: if it cannot, since XLA compiles for one device.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas > 1 or isinstance(strategy, tf.distribute.MirroredStrategy):
        raise UserError(
            Argument("jit_compile"), " works only without a strategy, and there is one with "
            f"{replicas} replica(s), which exchange sums in the middle of a step: XLA compiles "
            "for one device. Turn it off.",
        )  # fmt: skip


def overflow_on_all(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Gradients of this replica, all NaN if those of any replica are not finite.

    A `LossScaleOptimizer` examines the gradients of one replica, or of each replica separately, to
    decide whether to skip a step and halve the scale; all replicas must decide alike.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    is_finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
    overflows = context.all_reduce("SUM", 1.0 - tf.cast(is_finite, tf.float32))
    return [tf.where(overflows > 0, tf.constant(np.nan, g.dtype), g) for g in gradients]


def steps_on_replicas(
    strategy: tf.distribute.Strategy, step: Callable[[Any], dict[str, tf.Tensor]], count: int
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A train function that runs several steps in one call of TensorFlow.

    Args:
        strategy: in whose replicas a step runs.
        step: a model's function from a batch to its logs: the loss, a scalar float32.
        count: steps per call, or fewer if no batches are left.

    Returns:
        Function from a distributed iterator to the logs of the last step, on the first replica.
        It raises StopIteration if no batch is left.
    """

    @tf.function(reduce_retracing=True)
    def execute(iterator: Any) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        def one_more(number: tf.Tensor, has_batch: tf.Tensor, logs: dict) -> tuple:
            batch = iterator.get_next_as_optional()
            has_batch = batch.has_value()
            # Not `get_next`: TensorFlow would count the step that reaches the end of the data.
            logs = tf.cond(has_batch, lambda: run(batch.get_value()), lambda: logs)
            return number + tf.cast(has_batch, tf.int32), has_batch, logs

        def run(batch: Any) -> dict[str, tf.Tensor]:
            logs = strategy.run(step, args=(batch,))
            return {k: strategy.experimental_local_results(v)[0] for k, v in logs.items()}

        number, _, logs = tf.while_loop(
            lambda number, has_batch, logs: has_batch & (number < count),
            one_more,
            (tf.constant(0), tf.constant(True), {"loss": tf.constant(0.0)}),
            parallel_iterations=1,
        )
        return number, logs

    def train_function(iterator: Any) -> dict[str, tf.Tensor]:
        number, logs = execute(iterator)
        if not int(number):
            raise StopIteration
        return logs

    return train_function


def steps_of_processes(
    step: Callable[[Any], dict[str, tf.Tensor]], count: int
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """A train function that runs several steps on processes, each in its own call of TensorFlow.

    In a single call the processes would wait for each other forever: the collectives of a loop have
    the same number in all its iterations. Between the steps, Keras and the callbacks do nothing,
    such as reading what was agreed.

    Args:
        step: function from a distributed iterator to the logs of one step; raises OutOfRangeError
            on all processes alike if no batch is left.
        count: steps per call, or fewer if no batches are left.

    Returns:
        Function from a distributed iterator to the logs of the last step; raises as `step`.
    """

    def train_function(iterator: Any) -> dict[str, tf.Tensor]:
        logs = step(iterator)
        for _ in range(count - 1):
            try:
                logs = step(iterator)
            except tf.errors.OutOfRangeError:
                break
        return logs

    return train_function
