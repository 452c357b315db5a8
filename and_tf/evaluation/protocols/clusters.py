"""k-means clusters, with or without labels to compare them with."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from and_tf.data.subsets import has_labels
from and_tf.errors import Argument, UserError
from and_tf.evaluation.protocols.protocol import (
    Outcome,
    Protocol,
    ProtocolInput,
    describe_seeds,
    distinct,
)
from and_tf.settings import at_least, setting

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages

SEEDS = 5
MANY_PRODUCTS = 2**29  # multiplications per step of k-means, above which one seed has to do


@dataclasses.dataclass(frozen=True)
class Clusters(Protocol):
    """Clusters."""

    summary = "k-means, with or without labels"
    needs_labels = False
    needs_queries = False
    uses_reference = False
    setting_titles: ClassVar = {"clusters": "clusters"}
    metric_titles: ClassVar = {
        "nmi": "NMI",
        "ari": "ARI",
        "hungarian_accuracy": "accuracy %",
        "silhouette": "silhouette",
    }

    clusters: int | None = setting(
        None, "Number of clusters; by default that of the classes.", at_least(2)
    )

    def check(self, images: EvaluationImages) -> None:
        """Refuses a number of clusters that the images do not allow; see `Protocol.check`."""
        name, number = images.queries.name, self._number(images)
        remedy = (": name the number of ", Argument("clusters"), ".")
        if self.clusters is None and not has_labels(images.query_labels):
            raise UserError(
                f"{name} has no labels that would give the number of clusters",
                *remedy,
            )
        if number < 2:
            raise UserError(f"{name} shows a single class", *remedy)
        if number > len(images.queries):
            raise UserError(
                Argument("clusters", number),
                f" exceeds the number of images, {len(images.queries)} from {name}: lower it.",
            )

    def _number(self, images: EvaluationImages) -> int:
        """The requested number of clusters, or the number of classes."""
        labels = images.query_labels
        return self.clusters or len(np.unique(labels[labels >= 0]))

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """One outcome: k-means on the features, and how its clusters agree with the labels."""
        from and_tf.evaluation.clustering import cluster_metrics, clusters

        _check_memory(given.queries, given.memory_bytes)
        number = self._number(given.images)
        seeds = SEEDS if number * given.queries.size <= MANY_PRODUCTS else 1
        found = [clusters(given.queries, number, seed) for seed in range(seeds)]
        metrics = [
            cluster_metrics(given.queries, each, given.images.query_labels) for each in found
        ]
        filled = min(len(np.unique(each)) for each in found)
        row: dict[str, Any] = {"clusters": number, "seeds": seeds, "filled": filled}
        for name in metrics[0]:
            values = [each[name] for each in metrics if name in each]
            row[name] = float(np.mean(values))
            if len(values) > 1:
                row[f"{name}_deviation"] = float(np.std(values, ddof=1))
        return [Outcome(row)]

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """k-means, with the number of clusters and of seeds."""
        number = distinct(rows, "clusters")
        return f"k-means on L2-normalised features, {number} clusters" + describe_seeds(rows)

    def remarks(self, images: EvaluationImages, rows: list[dict]) -> list[str]:
        """Which layers have empty clusters."""
        return [
            f"Layer {row['layer']} fills {row['filled']} of {row['clusters']} clusters: many "
            "embeddings are equal."
            for row in rows
            if row["filled"] < row["clusters"]
        ]


def _check_memory(features: np.ndarray, memory_bytes: int) -> None:
    needed = 12 * features.size  # as given, normalised, and in k-means
    if needed > memory_bytes:
        raise UserError(
            f"k-means on {features.shape[0]} features of {features.shape[1]} values needs "
            f"{needed >> 20} MB: raise ", Argument("memory_mb", memory_bytes >> 20),
            ", lower ", Argument("max_values"), " or choose ", Argument("layer", "fc"), ".",
        )  # fmt: skip
