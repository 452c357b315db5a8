"""Evaluation by `evaluate` and `validation_data`: the loss of clean images, or kNN accuracy."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.errors import Argument, UserError
from and_tf.methods import batches
from and_tf.methods.training_step import Logs, TrainingStep
from and_tf.search.nearest import nearest_rows
from and_tf.search.votes import NEIGHBOURS, TEMPERATURE, class_votes


class EvaluationStep(TrainingStep):
    """How a `MethodModel` is evaluated, with the encoder in inference mode; nothing changes.

    Batches of (images, indices) give `loss`, the method's loss of clean images. For a method that
    keeps a bank of embeddings, if `train_labels` were given to `compile`, batches of (images,
    labels) of other images give `knn_top1_bank` instead: the percentage that weighted kNN against
    the bank classifies correctly.
    """

    _is_measuring_knn = False
    _rows: np.ndarray | None = None  # during `evaluate`: the result of `image_embeddings`

    def compile(self, *args: Any, train_labels: np.ndarray | None = None, **kwargs: Any) -> None:
        """As `TrainingStep.compile`, with the labels that `evaluate` needs to measure kNN.

        Args:
            *args, **kwargs: of `TrainingStep.compile`.
            train_labels: (N,) int labels of the training images, -1 where unknown; they do not
                affect training. None to evaluate the loss.

        Raises:
            UserError: as there; or if the method keeps no bank, or the labels are not N integers
                of which at least one is known.
        """
        super().compile(*args, **kwargs)
        self._train_labels = self._checked_labels(train_labels)
        with self.distribute_strategy.scope():
            self._accuracy = keras.metrics.Mean(name="knn_top1_bank")

    def _checked_labels(self, labels: np.ndarray | None) -> np.ndarray | None:
        if labels is None:
            return None
        if self.image_embeddings() is None:
            raise UserError(
                Argument("train_labels"), f" are for kNN against a bank, and {type(self).__name__} "
                "keeps none: leave them out.",
            )  # fmt: skip
        labels = np.asarray(labels)
        labels = labels[:, 0] if labels.shape == (self.num_samples, 1) else labels
        if labels.shape != (self.num_samples,) or not np.issubdtype(labels.dtype, np.integer):
            raise UserError(
                Argument("train_labels"), f" must be {self.num_samples} integers, one for each "
                f"training image. Received {labels.dtype} of shape {labels.shape}.",
            )  # fmt: skip
        if not (labels >= 0).any():
            raise UserError(Argument("train_labels"), ": none is known, all are -1: leave it out.")
        return labels.astype(np.int64)

    @property
    def metrics(self) -> list[keras.Metric]:
        # Keras sums metrics over replicas only if a step returns all of them.
        return [self._accuracy if self._is_measuring_knn else self.loss_tracker]

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """As `keras.Model.evaluate`; see the class for what is measured."""
        self._is_measuring_knn = self._train_labels is not None
        # Read once, by all processes together if a bank is split over them.
        self._rows = self.image_embeddings() if self._is_measuring_knn else None
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            self._is_measuring_knn, self._rows = False, None

    def losses(self, images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        """The method's loss (B,) of images in inference mode; `evaluate` gives its mean."""
        raise NotImplementedError

    def image_embeddings(self, indices: np.ndarray | None = None) -> np.ndarray | None:
        """The method's own embeddings of the training images, if it keeps any.

        Args:
            indices: (n,) int, of the images; None for all.

        Returns:
            (n, D) float32.
        """
        return None

    def test_step(self, data: Any) -> Logs:
        """The running mean loss of (images, indices), or kNN top-1 of (images, labels)."""
        if self._train_labels is not None:
            return self._labelled_step(*batches.images_and_targets(data, "labels"))
        inputs, indices = batches.images_and_targets(data)
        with tf.control_dependencies([self.check_indices(indices)]):
            losses = self.losses(self._make_images(inputs, indices), indices)  # (B,)
            self.loss_tracker.update_state(losses)
            return {"loss": self.loss_tracker.result()}

    def _labelled_step(self, images: tf.Tensor, labels: tf.Tensor) -> Logs:
        embeddings = self.encoder(images, training=False)  # (B, D)
        hits = tf.numpy_function(self._hits, [embeddings, labels], tf.float32, stateful=True)
        self._accuracy.update_state(tf.ensure_shape(hits, (None,)))
        return {"knn_top1_bank": self._accuracy.result()}

    def _hits(self, embeddings: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """100 for each labelled image that is classified correctly, 0 for the others."""
        rows = self.image_embeddings() if self._rows is None else self._rows
        voters = self._train_labels
        if rows is None or voters is None:
            raise RuntimeError("There is no bank to compare with.")
        is_known = labels >= 0
        embeddings, labels = embeddings[is_known], labels[is_known]
        if not len(labels):
            return np.zeros(0, np.float32)
        is_voter = voters >= 0
        k = min(NEIGHBOURS, int(is_voter.sum()))
        found, cosines = nearest_rows(rows, embeddings, k, is_voter)  # (B, k) each
        votes = class_votes(cosines, voters[found], TEMPERATURE, int(voters.max()) + 1)
        return np.where(votes.argmax(axis=1) == labels, 100, 0).astype(np.float32)
