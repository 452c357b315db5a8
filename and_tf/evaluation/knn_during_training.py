"""Which training images weighted kNN uses during training, and how many of them vote."""

import dataclasses

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.search.votes import NEIGHBOURS

QUERIES = 2_000  # training images that are classified by the others, at most


@dataclasses.dataclass(frozen=True)
class ChosenImages:
    """The training images that kNN uses.

    Attributes:
        rows: (V,) int64, indices of the training images, ascending.
        is_query: (V,) bool, which of them the others classify for `knn_top1_train`. All V vote on
            held-out images.
    """

    rows: np.ndarray
    is_query: np.ndarray

    def query_labels(self, labels: np.ndarray | None) -> np.ndarray:
        """(Q,) int, labels of those queries that have one.

        Args:
            labels: (N,) int, of all training images, -1 where unknown; or None.
        """
        chosen = self._labels(labels)[self.is_query]
        return chosen[chosen >= 0]

    def votes(self, labels: np.ndarray | None) -> int:
        """K for the kNN of held-out images; `labels` as in `query_labels`."""
        return count_votes(self._labels(labels))

    def votes_for_queries(self, labels: np.ndarray | None) -> int:
        """K for the kNN of the queries among the others; `labels` as in `query_labels`."""
        return count_votes(self._labels(labels)[~self.is_query])

    def _labels(self, labels: np.ndarray | None) -> np.ndarray:
        return np.full(len(self.rows), -1) if labels is None else np.asarray(labels)[self.rows]


def choose_images(num_images: int, at_most: int) -> ChosenImages:
    """Chooses up to `at_most` training images, evenly spaced, and the queries among them.

    Args:
        num_images: N, training images.
        at_most: the setting `eval_images`.
    """
    rows = evenly_spaced(num_images, at_most)
    is_query = np.zeros(len(rows), bool)
    is_query[evenly_spaced(len(rows), min(QUERIES, len(rows) // 2))] = True
    return ChosenImages(rows, is_query)


def count_votes(labels: np.ndarray) -> int:
    """K for weighted kNN: the paper's, or the number of labelled images if that is smaller.

    Args:
        labels: (n,) int, of the images that may vote, -1 where unknown.
    """
    return min(NEIGHBOURS, int((labels >= 0).sum()))
