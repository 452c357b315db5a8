"""The assignment: features are clustered anew at the start of each epoch."""

import contextlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np

from and_tf.data.exchange import ALONE, Sharing, from_first
from and_tf.methods.deepcluster.clustering import cluster, kmeans_library
from and_tf.methods.deepcluster.metrics import cluster_metrics
from and_tf.methods.deepcluster.model import NEVER

logger = logging.getLogger(__name__)


class ClusterReassignment(keras.callbacks.Callback):
    """Assigns the clusters of a `DeepClusterModel` at the start of each epoch, or of each few.

    The epoch follows from the optimiser's step, whatever way `fit` is cut into epochs or resumed,
    and an epoch whose clusters the model has already is not clustered again. The logs of each epoch
    get the metrics of `METRIC_TITLES` that can be measured.

    Args:
        features: function from a model that shares the encoder's layers to the clean features
            (N, F) float32 of all training images.
        steps_per_epoch: optimiser steps of a whole epoch; by default those that `fit` counts.
        every: epochs between two assignments.
        labels: (N,) int, -1 where unknown, or None. Only for the metric `nmi_labels`.
        interruptible: opens a block in which clustering runs, and which may be left by an exception
            at any moment: the model then keeps the clusters of the epoch before.
        sharing: the processes that train together, of which the first one clusters.

    Reference: Caron et al., ECCV 2018, section 3.
    """

    def __init__(
        self,
        features: Callable[[keras.Model], np.ndarray],
        steps_per_epoch: int | None = None,
        every: int = 1,
        labels: np.ndarray | None = None,
        interruptible: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        sharing: Sharing = ALONE,
    ):
        super().__init__()
        self.features, self.steps_per_epoch, self.every = features, steps_per_epoch, every
        self.labels = None if labels is None else np.asarray(labels)
        self.interruptible, self.sharing = interruptible, sharing
        self.metrics: dict[str, float] = {}  # of the clusters that the model has

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        steps_per_epoch = self.steps_per_epoch or self.params.get("steps")
        if steps_per_epoch:
            epoch = int(self.model.optimizer.iterations.numpy()) // steps_per_epoch
        epoch -= epoch % self.every
        if epoch != int(self.model.assigned_epoch.numpy()):
            self._assign(epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs.update(self.metrics)

    def metadata(self) -> dict[str, Any]:
        """What a checkpoint keeps: the metrics, which compare with clusters that are gone, and the
        library of k-means."""
        return {"clusters": {**self.metrics, "kmeans": kmeans_library()}}

    def restore(self, metadata: Mapping[str, Any]) -> None:
        """Takes the metrics back from a checkpoint's metadata; warns of another library."""
        kept, now = dict(metadata["clusters"]), kmeans_library()
        before = kept.pop("kmeans", now)  # earlier checkpoints do not name it
        self.metrics = kept
        if before != now:
            logger.warning(
                "the run's clusters came from k-means of %s; from now on %s is used, which starts "
                "from different centres: the run will differ from one that was not interrupted.",
                before, now,
            )  # fmt: skip

    def _assign(self, epoch: int) -> None:
        """Clusters anew; until it is over nothing is changed."""
        model = self.model
        had_clusters = int(model.assigned_epoch.numpy()) != NEVER
        if not had_clusters:
            logger.info(
                "Images are reassigned to %s clusters every %s, by k-means of %s.",
                f"{model.num_classes:,}",
                "epoch" if self.every == 1 else f"{self.every} epochs",
                kmeans_library(),
            )
        before = model.classes.numpy() if had_clusters else None
        with self.interruptible():
            features = self.features(model.features)  # (N, F)
            clusters, refilled = self._cluster(features, epoch)
            metrics = cluster_metrics(clusters, before, self.labels)
        metrics["refilled_clusters"] = refilled
        model.begin_epoch(epoch, clusters)
        self.metrics = metrics

    def _cluster(self, features: np.ndarray, epoch: int) -> tuple[np.ndarray, int]:
        """The cluster (N,) of each image, and how many were refilled."""
        model = self.model
        seed = int(np.random.default_rng([model.seed, epoch, 2]).integers(2**31))

        def compute() -> np.ndarray:
            return np.append(*cluster(features, model.num_classes, seed))

        found = from_first(self.sharing, compute, (len(features) + 1,), np.int64)
        return found[:-1], int(found[-1])
