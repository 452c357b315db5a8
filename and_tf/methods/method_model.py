"""The interface of a method's model: what a method defines in addition to the training step.

A method defines `losses_and_gradients`, its `state`, and, if a batch changes more than weights,
`prepare_update` and `apply_update`; `evaluate` needs `losses` and `image_embeddings`. The steps are
in `training_step` and `evaluation_step`.
"""

from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import in_processes
from and_tf.bank.settings import BankSettings
from and_tf.encoders.fused_batch_norm import fuse_batch_norm
from and_tf.encoders.unit_output import with_unit_rows
from and_tf.methods.evaluation_step import EvaluationStep
from and_tf.runs.checkpoint import Stored


class MethodModel(EvaluationStep):
    """An encoder in training: `fit` takes batches of (images (B, H, W, 3), indices (B,)).

    Args:
        encoder: built `keras.Model` from images to rows (B, D) or maps (B, H, W, D), which are
            averaged over their positions: from `build_encoder`, or any functional, `Sequential` or
            subclassed model.
        num_samples: number of training images N.
        **kwargs: of `keras.Model`.

    Attributes:
        encoder: the same, with its rows normalised unless they already were (`with_unit_rows`).
        temperature: of the softmax in metrics on the embeddings.
        loss_tracker: metric, the mean loss per image since the start of an epoch.
        order: for a method that chooses its images, a function from an epoch to the images (N,)
            int64 that its steps show, in order, see `train_pipeline`: a pure function of the epoch
            and of `state`. None if an epoch shows each image once, shuffled.

    Example:
        model.compile(optimizer, train_labels=labels)  # (N,), only for `evaluate`
        model.fit(images, np.arange(N), validation_data=(others, their_labels))
    """

    temperature: float = BankSettings.temperature
    order: Callable[[int], np.ndarray] | None = None

    def __init__(self, encoder: keras.Model, num_samples: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.encoder, self.num_samples = with_unit_rows(encoder), num_samples
        fuse_batch_norm(self.encoder)
        self.loss_tracker = _mean_loss()
        self.built = True

    # What a method defines.

    def losses_and_gradients(
        self, images: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, Any, list[tf.Tensor]]:
        """Computes the loss of a batch and its gradients, without applying them.

        Args:
            images: (B, H, W, 3) float, augmented, from 0 to 255.
            indices: (B,) int, of the images in the source.
            weights: (B,) float32, weight of each image's loss in the gradients: one over the number
                of images in the global batch, times the loss scale of float16.

        Returns:
            Losses (B,) float32; whatever `prepare_update` takes, such as the embeddings; and the
            gradients of the weighted sum of the losses, one for each trainable variable.
        """
        raise NotImplementedError

    def prepare_update(self, indices: tf.Tensor, outputs: Any, is_finite: tf.Tensor) -> Any:
        """New rows of large variables, computed within the compiled step; none by default.

        Args:
            indices: (B,) int.
            outputs: from `losses_and_gradients`.
            is_finite: scalar bool; if False, the rows must be unchanged.
        """
        return ()

    def apply_update(self, update: Any) -> None:
        """Writes the result of `prepare_update`, outside XLA, which would copy a large variable."""

    def state(self) -> dict[str, Stored]:
        """What training changes besides encoder, optimizer and loss, by its name in checkpoints."""
        return self.round_state()

    def round_state(self) -> dict[str, Stored]:
        """The part of `state` that is stored permanently at the end of each round."""
        return {}

    def state_ranges(self) -> dict[str, tuple[float, float]]:
        """The lowest and highest valid value, by name, of indices and the like in `state`.

        A checkpoint with values outside, such as rows that do not exist, is refused: they would be
        used to read beyond the end of an array.
        """
        return {}

    def start_from(self, embeddings: np.ndarray) -> None:
        """Initialises state from the embeddings (N, D) of the training images by given weights.

        Called when a run starts from weights learned before. By default nothing depends on them.
        """

    def describe_memory(self, batch_size: int) -> list[str]:
        """Lines for the start of a run on the memory used besides encoder and optimizer.

        Args:
            batch_size: images in a step, on one device.
        """
        return []

    def step_variables(self) -> list[keras.Variable]:
        """What a step assigns before `apply_update`, besides the state of optimizer and loss."""
        of_encoder = {id(variable) for variable in self.encoder.variables}
        others = [v for v in self.trainable_variables if id(v) not in of_encoder]
        return [*self.encoder.variables, *others]

    # What Keras requires.

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        return self.encoder(images, training=training)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        # Keras leaves a loaded model uncompiled if `compile` is overridden.
        self.compile(**keras.saving.deserialize_keras_object(config))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "num_samples": self.num_samples,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        encoder = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config | {"encoder": encoder})


def _mean_loss() -> keras.metrics.Mean:
    """The mean since an epoch's start; each process tracks that of all, see `Agreement`."""
    if in_processes(tf.distribute.get_strategy()):
        return _MeanOfEach(name="loss")
    return keras.metrics.Mean(name="loss")


class _MeanOfEach(keras.metrics.Mean):
    """A mean that is not summed over replicas when read."""

    def add_variable(self, *args: Any, **kwargs: Any) -> keras.Variable:
        return super().add_variable(*args, **{**kwargs, "aggregation": "only_first_replica"})
