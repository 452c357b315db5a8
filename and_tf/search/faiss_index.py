"""Approximate nearest neighbours among very many rows: an inverted-file index of faiss."""

from types import ModuleType

import numpy as np

from and_tf.data.progress import progress_bar
from and_tf.errors import Argument, MissingPackage
from and_tf.search.native import call_natively
from and_tf.search.rows import is_other

RECALL = 95.0  # percent of the true nearest rows that the search must find on a sample
ROWS_PER_LIST = 39  # at least: with fewer, faiss considers the lists' centres poorly trained
TRAINING_ROWS_PER_LIST = 64
ADDED_ROWS = 50_000  # per call


def import_faiss() -> ModuleType:
    """Imports faiss.

    Raises:
        MissingPackage: if it is not installed; the message contains the install line.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingPackage(
            Argument("neighbour_search", "faiss"),
            " needs faiss: `pip install -r requirements-faiss.txt`",
        ) from error
    return faiss


class FaissIndex:
    """Unit rows in lists around k-means centres; a search reads only the few nearest lists.

    Args:
        rows: (N, D) float32, of length 1 or 0.
        seed: of the centres.
        lists_per_root: number of lists over the square root of N: more lists make a search faster,
            fewer make the index faster to build.
        progress: show a bar while the rows are added.
    """

    def __init__(
        self, rows: np.ndarray, seed: int, lists_per_root: float = 4, progress: bool = False
    ):
        faiss = import_faiss()
        num_rows, dim = rows.shape
        num_lists = int(min(lists_per_root * np.sqrt(num_rows), num_rows / ROWS_PER_LIST)) or 1
        self.rows = rows
        self.index = faiss.index_factory(dim, f"IVF{num_lists},Flat", faiss.METRIC_INNER_PRODUCT)
        self.index.cp.seed = seed % 2**31
        self.index.cp.min_points_per_centroid = 1  # no warning: there are no more rows
        self.index.cp.max_points_per_centroid = TRAINING_ROWS_PER_LIST
        call_natively(self.index.train, rows)
        with progress_bar(num_rows, "indexing", "row", progress, unit_scale=True) as bar:
            for start in range(0, num_rows, ADDED_ROWS):
                part = rows[start : start + ADDED_ROWS]
                call_natively(self.index.add, part)
                bar.update(len(part))

    @property
    def num_lists(self) -> int:
        return self.index.nlist

    @property
    def lists_searched(self) -> int:
        return self.index.nprobe

    def search(self, indices: np.ndarray, k: int) -> np.ndarray:
        """Finds the nearest other rows of some rows, nearest first.

        Args:
            indices: (Q,) int, the rows used as queries.
            k: how many; fewer if there are no more rows.

        Returns:
            (Q, k) int32, -1 where the lists searched contain too few rows.
        """
        queries, count = self.rows[indices], min(k + 1, len(self.rows))
        _, found = call_natively(self.index.search, queries, count)
        return found[is_other(found, indices)].reshape(len(found), -1).astype(np.int32)

    def widen_search(
        self, indices: np.ndarray, nearest: np.ndarray, enough: float = RECALL
    ) -> float:
        """Doubles the number of lists searched until the recall suffices or all are searched.

        Args:
            indices: (S,) int, rows on which to measure the recall.
            nearest: (S, k) int, their true nearest other rows.
            enough: required recall in percent.

        Returns:
            The recall reached, in percent.
        """
        self.index.nprobe = 1
        while True:
            recall = self._recall(indices, self.search(indices, nearest.shape[1]), nearest)
            if recall >= enough or self.lists_searched == self.num_lists:
                return recall
            self.index.nprobe = min(2 * self.lists_searched, self.num_lists)

    def _recall(self, indices: np.ndarray, found: np.ndarray, nearest: np.ndarray) -> float:
        """Percent of the rows found, (S, k), at least as near as the true k-th nearest.

        Comparing cosines instead of indices treats exact copies as equal.
        """
        cosines, true_cosines = (
            np.einsum("sd,skd->sk", self.rows[indices], self.rows[rows])  # (S, k)
            for rows in (found, nearest)
        )
        is_near = cosines >= true_cosines.min(axis=1, keepdims=True) - 1e-6
        return 100.0 * float(np.mean(is_near & (found >= 0)))
