"""Compares a process's rows with blocks of queries in TensorFlow: on GPUs or in half precision."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from and_tf.data.partition import share
from and_tf.search.accumulators import Accumulators
from and_tf.search.precision import full_float32
from and_tf.search.row_blocks import block_rows, product


class PartOnDevices:
    """The part of all rows that one process holds, split equally over its devices.

    Args:
        rows: (n, D) float32, of length 1 or 0.
        first: index of the first one among all rows.
        num_neighbours: k, at least 1.
        temperature: tau, above 0.
        precision: of the factors of similarities, see `compare_rows`.
        devices: their names.
    """

    def __init__(
        self,
        rows: np.ndarray,
        first: int,
        num_neighbours: int,
        temperature: float,
        precision: str,
        devices: Sequence[str],
    ):
        self.num_candidates, self.temperature = num_neighbours + 1, temperature
        self.parts = []  # device, rows on it, index of the first one
        for number, device in enumerate(devices):
            start, stop = share(len(rows), number, len(devices))
            if start < stop:
                with tf.device(device):
                    here = tf.cast(tf.constant(rows[start:stop]), precision)
                self.parts.append((device, here, first + start))

    def compare(self, queries: np.ndarray, numbers: range) -> Accumulators:
        """Compares queries (Q, D) float32, of length 1 or 0, with the rows held here.

        Finds one more nearest row than there are neighbours, since it may be the query itself.
        """
        found = Accumulators(len(queries), self.num_candidates)
        if not self.parts:
            return found
        step = block_rows(max(len(rows) for _, rows, _ in self.parts))
        for start in range(0, len(queries), step):
            place = slice(start, min(start + step, len(queries)))
            # Start the work of all devices before waiting for the first.
            given = [self._on_device(*part, queries[place]) for part in self.parts]
            for totals, moments, similarities, indices in given:
                found.totals[place] += totals.numpy()
                found.moments[place] += moments.numpy()
                found.nearest.add(place, similarities.numpy(), indices.numpy())
        return found

    def _on_device(
        self, device: str, rows: tf.Tensor, first: int, queries: np.ndarray
    ) -> tuple[tf.Tensor, ...]:
        with tf.device(device), full_float32():
            return _compare(
                tf.cast(tf.constant(queries), rows.dtype),
                rows,
                tf.constant(first),
                tf.constant(self.temperature, tf.float32),
                min(self.num_candidates, len(rows)),
            )


@tf.function(reduce_retracing=True)
def _compare(
    queries: tf.Tensor, rows: tf.Tensor, first: tf.Tensor, temperature: tf.Tensor, count: int
) -> tuple[tf.Tensor, ...]:
    """Totals (q,), moments (q,), and similarities and indices (q, count) of the nearest rows."""
    similarities = product(queries, rows)  # (q, n)
    nearest, places = tf.math.top_k(similarities, count)
    logits = (similarities - 1) / temperature  # relative to the logit of a row with itself
    weights = tf.exp(logits)
    moments = tf.reduce_sum(weights * logits, axis=1)
    return tf.reduce_sum(weights, axis=1), moments, nearest, first + places
