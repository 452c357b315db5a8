"""Supervised training: cross-entropy of the labels, the upper baseline of every comparison."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from and_tf.errors import Argument, UserError
from and_tf.methods.method import Method
from and_tf.methods.rounds import SingleRound

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class Supervised(Method):
    """Supervised.

    The only method that learns from labels: cross-entropy of a linear layer on the features.
    """

    title = "Supervised training"
    published_name = "supervised"
    learns_from_labels = True

    plan: SingleRound = dataclasses.field(default_factory=SingleRound)

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.classifier_model import ClassifierModel

        labels = checked_labels(train)
        model = ClassifierModel(encoder, len(train), int(labels.max()) + 1, seed=seed)
        model.classes.assign(labels)
        return model


def checked_labels(train: Source) -> np.ndarray:
    """Returns the label of each training image, (N,) int64.

    Raises:
        UserError: if an image has no label, or all have the same.
    """
    method = Argument("method", "supervised")
    if train.labels is None:
        raise UserError(
            method, f" learns from labels, and {train.name} has none: give images with labels, or "
            "choose a method that needs none.",
        )  # fmt: skip
    labels = np.asarray(train.labels, np.int64)
    if unknown := int((labels < 0).sum()):
        raise UserError(
            method, f" needs the label of every image, and {unknown:,} of {len(labels):,} of "
            f"{train.name} have none: leave these out of the training images.",
        )  # fmt: skip
    if len(np.unique(labels)) < 2:
        raise UserError(
            method, f" needs at least two classes, and all images of {train.name} are of one."
        )
    return labels
