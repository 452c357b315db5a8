"""DeepCluster as a Keras model: a classifier of clusters, which are reassigned each epoch."""

import logging
from typing import Any

import keras
import numpy as np

from and_tf.methods.classifier_model import ClassifierModel

logger = logging.getLogger(__name__)

NEVER = -1  # instead of an epoch


@keras.saving.register_keras_serializable("and_tf")
class DeepClusterModel(ClassifierModel):
    """An encoder that learns to distinguish the clusters of its own features.

    `ClusterReassignment` assigns the clusters at the start of each epoch. They and the epoch are
    weights of the model, so one checkpoint contains everything. The top takes the features after a
    ReLU, as in the authors' code; the clusters are those of the features before it. A redrawn top
    starts without momentum if the optimizer is `TorchSGD`; a Keras optimizer keeps the previous
    top's.

    Args:
        encoder: any built `keras.Model` from images to rows (B, D), see `MethodModel`.
        num_samples: number of training images N.
        num_classes: K, number of clusters.
        seed: of the top layers and the order of the images, or None.
        **kwargs: of `keras.Model`.

    Attributes:
        classes: variable (N,) int64, the cluster of each image.
        assigned_epoch: variable, int32 scalar, the epoch of these clusters; -1 before the first.

    Example:
        model = DeepClusterModel(encoder, num_samples=len(source), num_classes=100)
        model.compile(optimizer=TorchSGD(0.05, momentum=0.9, weight_decay=1e-5))
        data = train_pipeline(source, step=model.optimizer.iterations, order=model.order)
        model.fit(data, epochs=200, callbacks=[ClusterReassignment(features)])

    Reference: Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features", ECCV
    2018.
    """

    relu = True
    may_repeat_images = True
    _has_warned = False

    def __init__(
        self,
        encoder: keras.Model,
        num_samples: int,
        num_classes: int,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(encoder, num_samples, num_classes, seed, **kwargs)
        self.assigned_epoch = self.add_weight(
            name="assigned_epoch",
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(NEVER),
            trainable=False,
            autocast=False,
        )

    def begin_epoch(self, epoch: int, clusters: np.ndarray) -> None:
        """Sets the clusters (N,) int of an epoch, redraws the top and resets its momentum."""
        self.classes.assign(clusters)
        self.draw_top(epoch)
        optimizer: Any = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if hasattr(optimizer, "forget"):
            optimizer.forget(self.top.trainable_variables)
        elif not self._has_warned:
            self._has_warned = True
            logger.warning(
                "%s keeps the previous top layer's momentum when a new one is drawn: TorchSGD "
                "forgets it.", type(optimizer).__name__,
            )  # fmt: skip
        self.assigned_epoch.assign(epoch)

    def order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch, 1])
        return uniform_over_clusters(self.classes.numpy(), rng)

    def state(self) -> dict[str, keras.Variable]:
        return super().state() | {"clusters": self.classes, "assigned_epoch": self.assigned_epoch}

    def state_ranges(self) -> dict[str, tuple[float, float]]:
        of_clusters = {"clusters": (0, self.num_classes - 1), "assigned_epoch": (NEVER, np.inf)}
        return super().state_ranges() | of_clusters


def uniform_over_clusters(clusters: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws N images in random order, equally many from each cluster.

    If N is not a multiple of the number of clusters, randomly chosen clusters contribute one more.
    The images of a cluster that has too few are repeated equally often, give or take one.

    Args:
        clusters: (N,) int; empty clusters are ignored.
        rng: for all random choices.

    Returns:
        (N,) int64 indices of images.
    """
    num_images = len(clusters)
    by_cluster = np.argsort(clusters, kind="stable")
    _, starts = np.unique(clusters[by_cluster], return_index=True)
    groups = np.split(by_cluster, starts[1:])
    counts = np.full(len(groups), num_images // len(groups))
    counts[rng.permutation(len(groups))[: num_images % len(groups)]] += 1
    drawn = [
        np.resize(rng.permutation(group), count)
        for group, count in zip(groups, counts, strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))
