"""A training step that stops at invalid indices and non-finite values, with or without XLA."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import in_processes
from and_tf.data.augmentation.on_device import MakeImages
from and_tf.data.failures import cause_of
from and_tf.errors import Argument, StepNotFinite, UserError
from and_tf.methods import batches
from and_tf.methods.agreement import Agreement, of_each_replica
from and_tf.methods.replicas import (
    check_xla,
    overflow_on_all,
    steps_of_processes,
    steps_on_replicas,
)

LOWEST_LOSS_SCALE = 1.0  # a float16 gradient that overflows even at this scale is not finite

Logs = dict[str, Any]


class TrainingStep(keras.Model):
    """How `MethodModel`, which defines loss, gradients and update, is compiled and trained."""

    num_samples: int
    temperature: float
    agreement: Agreement | None = None  # between processes that train together
    may_repeat_images = False  # may a batch contain an image twice? A bank has only one row for it

    def compile(
        self,
        optimizer: keras.Optimizer,
        jit_compile: bool = False,
        make_images: MakeImages | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.compile`, with two additional arguments.

        Under the policy `mixed_float16` Keras wraps the optimizer in a `LossScaleOptimizer`.

        Args:
            optimizer: a Keras optimizer, such as `TorchSGD`.
            jit_compile: compile the step with XLA, except for `apply_update`.
            make_images: function from (what the pipeline yields, indices (B,)) to images
                (B, H, W, 3), run within the step on its device; by default the pipeline yields the
                images.
            **kwargs: of `keras.Model.compile`, such as `steps_per_execution`.

        Raises:
            UserError: if a loss or metrics are given, which the method itself defines; if
                `jit_compile` is requested under a strategy.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name) is not None:
                raise UserError(Argument(name), " is set by the method: leave it out.")
        if jit_compile:
            check_xla(self.distribute_strategy)
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        self._scales_loss = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        with self.distribute_strategy.scope():  # a replica cannot make the optimizer's variables
            if not self.optimizer.built:
                self.optimizer.build(self.trainable_variables)
            self._is_finite = of_each_replica(True)
            self._indices_found = of_each_replica(np.zeros(3, np.int64))
            is_shared = in_processes(self.distribute_strategy)
            self.agreement = Agreement() if is_shared else None
        self._make_images = make_images or (lambda images, indices: images)
        self._compiled_step = None
        if jit_compile:
            self._compiled_step = tf.function(
                self._gated_step, jit_compile=True, reduce_retracing=True
            )
        self._compile_config.config["jit_compile"] = jit_compile

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        # Built in __init__. Under a strategy Keras would draw a batch to build the model, and that
        # would use up an epoch of the pipeline.
        return

    # The step.

    def train_step(self, data: Any) -> Logs:
        """One step on (images (B, H, W, 3), indices (B,)): gradients, weights, then the update.

        A step whose loss or gradient is not finite ends `fit` with `StepNotFinite` and changes
        nothing, except for BatchNorm's averages if the step is not compiled. Under loss scaling, a
        gradient that overflows leaves weights and momenta unchanged and halves the scale; such a
        step is still counted.
        """
        weights = None
        if self.agreement is not None or self.distribute_strategy.num_replicas_in_sync > 1:
            data, weights = batches.without_weights(data)
        inputs, indices = batches.images_and_targets(data)
        # With data of unknown length Keras starts one more step at the end. The optimizer's counter
        # needs no data and would count it.
        with tf.control_dependencies([self.check_indices(indices)]):
            if self._compiled_step is not None:
                update = self._compiled_step(inputs, indices)
            else:
                update = self._checked_step(inputs, indices, weights)
            self.apply_update(update)
            return {"loss": self.loss_tracker.result()}

    def check_indices(self, indices: tf.Tensor) -> tf.Operation:
        """An operation that fails unless `indices` are valid, and unique unless they may repeat."""
        with tf.device("CPU:0"):  # where a pipeline yields them; a copy would wait for the GPU
            found = batches.summary(indices)  # (3,)
            is_valid = batches.are_valid(found, self.num_samples, self.may_repeat_images)
        with tf.control_dependencies([self._indices_found.assign(found)]), tf.device("CPU:0"):
            return tf.debugging.Assert(is_valid, ["Indices that are not of the images."])

    def _checked_step(
        self, inputs: Any, indices: tf.Tensor, weights: tf.Tensor | None = None
    ) -> Any:
        """A step that fails in the graph before it applies a non-finite value."""
        losses, outputs, gradients = self._forward_and_backward(inputs, indices, weights)
        is_finite = self._are_finite(losses, gradients)
        # A single NaN would spread from a row of the bank to all weights.
        with tf.control_dependencies([self._is_finite.assign(is_finite)]):
            check = tf.debugging.Assert(is_finite, ["The loss or a gradient is not finite."])
        with tf.control_dependencies([check]):
            self._apply(losses, gradients, weights)
            return self.prepare_update(indices, tf.nest.map_structure(tf.identity, outputs), True)

    def _gated_step(self, inputs: Any, indices: tf.Tensor) -> Any:
        """A step for XLA, which has no assertions, without waiting for the host.

        A non-finite step, and every one after it, restores the previous values; the train function
        raises once the device has finished.
        """
        variables = [
            *self.step_variables(), *self.optimizer.variables, *self.loss_tracker.variables
        ]  # fmt: skip
        before = [tf.identity(variable.value) for variable in variables]
        losses, outputs, gradients = self._forward_and_backward(inputs, indices)
        is_finite = tf.logical_and(self._is_finite, self._are_finite(losses, gradients))
        self._is_finite.assign(is_finite)
        self._apply(losses, gradients)
        for variable, value in zip(variables, before, strict=True):
            variable.assign(tf.where(is_finite, variable.value, value))
        return self.prepare_update(indices, outputs, is_finite)

    def _forward_and_backward(
        self, inputs: Any, indices: tf.Tensor, weights: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
        # The optimizer sums the gradients of all replicas, so each divides by the global batch.
        if weights is None:
            scale = self.optimizer.scale_loss(1.0 / tf.cast(tf.shape(indices)[0], tf.float32))
            weights = tf.fill(tf.shape(indices), scale)  # (B,)
        else:
            global_batch = self._total_weight(weights)
            weights = self.optimizer.scale_loss(weights / global_batch)  # (B,)
        return self.losses_and_gradients(self._make_images(inputs, indices), indices, weights)

    def _total_weight(self, weights: tf.Tensor) -> tf.Tensor:
        """The sum of the weights (B,) of the images of all replicas."""
        if self.agreement is not None:
            return self.agreement.total_weight(weights)
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.reduce_sum(weights))

    def _are_finite(self, losses: tf.Tensor, gradients: list[tf.Tensor]) -> tf.Tensor:
        are_finite = tf.math.is_finite(tf.linalg.global_norm(gradients))
        if self._scales_loss:
            are_finite |= self.optimizer.dynamic_scale.value > LOWEST_LOSS_SCALE
        return tf.math.is_finite(tf.reduce_sum(losses)) & are_finite

    def _apply(
        self, losses: tf.Tensor, gradients: list[tf.Tensor], weights: tf.Tensor | None = None
    ) -> None:
        iterations = self.optimizer.iterations
        step = tf.identity(iterations.value)
        if self._scales_loss:
            gradients = overflow_on_all(gradients)
        self.optimizer.apply(gradients, self.trainable_variables)
        if self._scales_loss:
            # A skipped step is counted too: data, learning rate and rounds follow the counter.
            iterations.assign(step + 1)
        if self.agreement is None:
            self.loss_tracker.update_state(losses, weights)
        else:  # the tracker of each process gets the mean of all
            self.loss_tracker.update_state(*self.agreement.mean(losses, weights))

    # Execution of one or several steps.

    train_function: Any

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            strategy = self.distribute_strategy
            if self.agreement is not None:
                self.train_function = self._function_of_processes()
            elif self.steps_per_execution > 1 and strategy.num_replicas_in_sync > 1:
                self.train_function = steps_on_replicas(  # Keras's loop fails there
                    strategy, self.train_step, self.steps_per_execution
                )
            else:
                super().make_train_function(force)
            self.train_function = self._raising(self.train_function)
        return self.train_function

    def _function_of_processes(self) -> Callable[[Any], Logs]:
        """Keras's function for `train_step`, without the reduction of its logs over replicas.

        That reduction fails between processes, and the step has already done it.
        """
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True)
        def execute(iterator: Any) -> Logs:
            logs = strategy.run(self.train_step, args=(iterator.get_next(),))
            return {n: strategy.experimental_local_results(log)[0] for n, log in logs.items()}

        return steps_of_processes(execute, self.steps_per_execution)

    test_function: Any

    def make_test_function(self, force: bool = False) -> Any:
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = self._raising(self.test_function)
        return self.test_function

    def _raising(self, run: Callable[[Any], Logs]) -> Callable[[Any], Logs]:
        """Wraps `run`, which executes steps, to raise the errors that a user can fix."""

        def execute(iterator: Any) -> Logs:
            try:
                logs = run(iterator)
            except tf.errors.OpError as error:
                if cause := cause_of(error):  # such as a corrupt image in our pipeline
                    raise cause from None
                if isinstance(error, tf.errors.InvalidArgumentError):
                    self._raise_if_not_rows(error)
                    self._raise_if_not_finite(error)
                raise
            if self._compiled_step is not None:
                self._raise_if_not_finite(None)
            return logs

        return execute

    def _raise_if_not_rows(self, cause: Exception) -> None:
        for copy in self.distribute_strategy.experimental_local_results(self._indices_found):
            found = copy.numpy()
            copy.assign(np.zeros(3, np.int64))  # so that the next `fit` can run
            if not batches.are_valid(found, self.num_samples, self.may_repeat_images):
                batches.refuse(found, self.num_samples, cause)

    def _raise_if_not_finite(self, cause: Exception | None) -> None:
        copies = self.distribute_strategy.experimental_local_results(self._is_finite)
        if all(bool(copy.numpy()) for copy in copies):
            return
        for copy in copies:
            copy.assign(True)  # so that the next `fit` can run
        step = int(self.optimizer.iterations.numpy()) + 1
        raise StepNotFinite(
            f"The loss or a gradient is NaN or infinite in step {step}: ",
            *self.remedies(Argument("learning_rate")), ".",
        ) from cause  # fmt: skip

    def remedies(self, learning_rate: Argument) -> list[Any]:
        """Remedies that keep loss and gradients finite, as parts of a message."""
        return ["lower ", learning_rate]
