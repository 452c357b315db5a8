"""Some rows, compared by TensorFlow with blocks of others: on GPUs, or in half precision."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from and_tf.data.partition import share
from and_tf.search.accumulators import Accumulators
from and_tf.search.precision import full_float32
from and_tf.search.row_blocks import block_rows, product


class PartOnDevices:
    """Rows that one process holds of all, in equal parts on its devices.

    Args:
        rows: (n, D) float32, of length 1 or 0.
        first: number of the first one among all rows.
        num_neighbours: k, from 1 on.
        temperature: tau, above 0.
        precision: of the factors of similarities, see `compare_rows`.
        devices: names.
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
        self.parts = []  # device, rows on it, number of the first one
        for number, device in enumerate(devices):
            start, stop = share(len(rows), number, len(devices))
            if start < stop:
                with tf.device(device):
                    here = tf.cast(tf.constant(rows[start:stop]), precision)
                self.parts.append((device, here, first + start))

    def compare(self, queries: np.ndarray, numbers: range) -> Accumulators:
        """What queries (Q, D) float32, of length 1 or 0, find among the rows held here.

        Of nearest rows there is one more than neighbours, for the query may be among them.
        """
        found = Accumulators(len(queries), self.num_candidates)
        if not self.parts:
            return found
        step = block_rows(max(len(rows) for _, rows, _ in self.parts))
        for start in range(0, len(queries), step):
            place = slice(start, min(start + step, len(queries)))
            # All devices are given their work before the first is waited for.
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
    """Totals (q,), moments (q,), similarities (q, count) and numbers (q, count) of the nearest."""
    similarities = product(queries, rows)  # (q, n)
    nearest, places = tf.math.top_k(similarities, count)
    logits = (similarities - 1) / temperature  # relative to that of a row with itself
    weights = tf.exp(logits)
    moments = tf.reduce_sum(weights * logits, axis=1)
    return tf.reduce_sum(weights, axis=1), moments, nearest, first + places
