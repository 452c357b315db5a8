"""The method DeepCluster: its settings, and what they build."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from and_tf.data.subsets import has_labels
from and_tf.errors import Argument, UserError
from and_tf.methods.deepcluster.metrics import (
    LABELLED_METRICS,
    METRIC_MEANINGS,
    METRIC_TITLES,
)
from and_tf.methods.method import Method, TrainingContext
from and_tf.methods.rounds import SingleRound
from and_tf.settings import SettingError, at_least, setting

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel

CLUSTERS_PER_CLASS = 10
IMAGES_PER_CLUSTER = 100  # where the number of classes is not known
FEWEST_PER_CLUSTER = 5  # images, below which a warning is logged

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class DeepCluster(Method):
    """DeepCluster.

    Reference: Caron et al., ECCV 2018.
    """

    title = "DeepCluster"
    published_name = "DeepCluster"
    metric_titles = METRIC_TITLES
    labelled_metrics = LABELLED_METRICS
    metric_meanings = METRIC_MEANINGS
    recipe: ClassVar = {"lr_policy": "constant"}

    plan: SingleRound = dataclasses.field(default_factory=SingleRound)

    num_clusters: int = setting(
        0,
        "Clusters; 0: 10 times the number of classes, or one per 100 images without labels.",
        at_least(0),
    )
    reassign_epochs: int = setting(
        1, "Epochs between two assignments of clusters; more where an epoch is short.", at_least(1)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_clusters == 1:
            raise SettingError(
                Argument("num_clusters", 1), " leaves nothing to tell apart: raise it, or pass ",
                Argument("num_clusters", 0), " for the default.",
            )  # fmt: skip

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.deepcluster.model import DeepClusterModel

        return DeepClusterModel(encoder, len(train), self._number_of_clusters(train), seed=seed)

    def counters(self, epoch: int) -> dict[str, int]:
        return {"assigned_epoch": epoch - epoch % self.reassign_epochs}

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        from and_tf.methods.deepcluster.reassignment import ClusterReassignment

        return [
            ClusterReassignment(
                context.extract_features,
                steps_per_epoch=context.steps_per_epoch,
                every=self.reassign_epochs,
                labels=context.train.labels,
                interruptible=context.interruptible,
                sharing=context.sharing,
            )
        ]

    def _number_of_clusters(self, train: Source) -> int:
        if self.num_clusters > len(train):
            raise UserError(
                Argument("num_clusters", self.num_clusters),
                f" exceeds the number of images, {len(train)}: lower it or add images.",
            )
        if self.num_clusters:
            return self.num_clusters
        if has_labels(train.labels):
            labels = np.asarray(train.labels)
            number = CLUSTERS_PER_CLASS * len(np.unique(labels[labels >= 0]))
        else:
            number = len(train) // IMAGES_PER_CLUSTER
        number = min(max(2, number), len(train))
        if len(train) < FEWEST_PER_CLUSTER * number:
            logger.warning(
                "%s clusters of %s images are small, and hardly more than images as classes of "
                "their own: pass %s for fewer.",
                f"{number:,}", f"{len(train):,}", Argument("num_clusters"),
            )  # fmt: skip
        return number
