"""The contract of a method: its settings, its model, what it does beside the steps.

Training loop, checkpoints, evaluation, report and export know a method by this alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from and_tf.methods.rounds import RoundPlan
from and_tf.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from and_tf.data.sources.source import Source
    from and_tf.methods.rounds import RoundPlan


@dataclasses.dataclass(frozen=True)
class TrainingContext:
    """What a method may look at beside the steps.

    Attributes:
        train: the training images; their labels serve metrics only.
        steps_per_epoch: optimiser steps of an epoch.
        seed: of the run.
        extract_features: embeds all training images, clean, by the encoder as it stands:
            () to (N, D) float32.
    """

    train: Source
    steps_per_epoch: int
    seed: int
    extract_features: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Method(Settings):
    """A method: frozen settings, which build its model and callbacks.

    Attributes:
        plan: which epoch belongs to which round; a method without a curriculum has one round.
        title: in headings.
        published_name: of its row in the papers' tables.
        metric_titles: the metrics that it adds to an epoch's logs, and their titles.
    """

    title: ClassVar[str]
    published_name: ClassVar[str]
    metric_titles: ClassVar[dict[str, str]] = {}

    plan: RoundPlan = dataclasses.field(default_factory=RoundPlan)

    def build_model(self, encoder: keras.Model, num_samples: int, seed: int | None) -> keras.Model:
        """The model that `fit` trains, not yet compiled."""
        raise NotImplementedError

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        """What the method does between steps, in order; none by default."""
        return []
