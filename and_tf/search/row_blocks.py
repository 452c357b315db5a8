"""Compares rows with all rows in TensorFlow, in blocks: on GPUs, in half precision, or a sample."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from and_tf.search.precision import full_float32
from and_tf.search.progress import PairProgress
from and_tf.search.rows import is_other

BLOCK_BYTES = 64 << 20  # similarities held at once
GPU_BLOCK_BYTES = 256 << 20  # larger: a GPU waits for the host between blocks
FEWEST = 16  # rows in a block, even if they exceed that budget: each block reads all rows


def compare_rows(
    unit_rows: np.ndarray,
    indices: np.ndarray,
    num_neighbours: int,
    temperature: float,
    block_size: int | None = None,
    precision: str = "float32",
    progress: PairProgress | None = None,
    devices: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Entropy and nearest neighbours of some rows among all.

    Args:
        unit_rows: (N, D) float32, of length 1 or 0.
        indices: (Q,) int, the rows to compare with all; may be empty.
        num_neighbours: k, from 1 to N - 1.
        temperature: tau, above 0.
        block_size: rows in a block; None for as many as keep the similarities within a budget.
        precision: float32, bfloat16 or float16, of the factors of the matrix product; sums and
            everything else are float32.
        progress: counts the pairs compared.
        devices: names of the devices that take turns at the blocks, each with a copy of all rows;
            by default the one that TensorFlow chooses.

    Returns:
        (Q,) float32 entropy in nats, the row itself included, and (Q, k) int32 neighbours.
    """
    if not len(indices):
        return np.zeros(0, np.float32), np.zeros((0, num_neighbours), np.int32)
    num_rows = len(unit_rows)
    block_size = block_size or block_rows(num_rows)
    held = [_on_device(device, unit_rows, precision) for device in devices or (None,)]
    blocks = [indices[n : n + block_size] for n in range(0, len(indices), block_size)]
    entropies, nearest = [], []
    for first in range(0, len(blocks), len(held)):
        # Give every device a block before waiting for the first.
        given = [
            _compare_on(*on_device, block, temperature, num_neighbours)
            for on_device, block in zip(held, blocks[first:], strict=False)
        ]
        for entropy, candidates in given:
            entropies.append(entropy.numpy())
            nearest.append(candidates.numpy())
            if progress:
                progress.add(len(entropy) * num_rows)
    candidates = np.concatenate(nearest)  # (Q, k+1)
    neighbours = candidates[is_other(candidates, indices)].reshape(-1, num_neighbours)
    return np.maximum(np.concatenate(entropies), 0), neighbours.astype(np.int32)


def _on_device(
    device: str | None, unit_rows: np.ndarray, precision: str
) -> tuple[str | None, tf.Tensor]:
    """A device, and the rows copied to it."""
    with tf.device(device):
        return device, tf.cast(tf.constant(unit_rows), precision)


def _compare_on(
    device: str | None,
    rows: tf.Tensor,
    indices: np.ndarray,
    temperature: float,
    num_neighbours: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Entropy (b,) of some rows, and their nearest rows (b, k + 1), including themselves."""
    with tf.device(device), full_float32():
        return _compare_block(
            rows,
            tf.gather(rows, indices),
            tf.constant(temperature, tf.float32),
            num_neighbours + 1,
        )


def block_rows(num_rows: int) -> int:
    """How many rows to compare at once with `num_rows` others."""
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    return max(FEWEST, (GPU_BLOCK_BYTES if on_gpu else BLOCK_BYTES) // (4 * num_rows))


@tf.function(reduce_retracing=True)
def _compare_block(
    rows: tf.Tensor, queries: tf.Tensor, temperature: tf.Tensor, num_candidates: int
) -> tuple[tf.Tensor, tf.Tensor]:
    similarities = product(queries, rows)  # (b, N)
    _, candidates = tf.math.top_k(similarities, num_candidates)  # (b, k+1)
    # Relative to the largest logit, nothing overflows, and p log p is 0 where p underflows to 0.
    logits = similarities / temperature
    logits -= tf.reduce_max(logits, axis=1, keepdims=True)
    weights = tf.exp(logits)
    total = tf.reduce_sum(weights, axis=1)
    entropy = tf.math.log(total) - tf.reduce_sum(weights * logits, axis=1) / total  # (b,)
    return entropy, candidates


def product(queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Similarities (b, N) float32 of rows (b, D) and (N, D) of the same dtype."""
    if rows.dtype == tf.float32:
        return tf.matmul(queries, rows, transpose_b=True)
    return _half_product(queries, rows)


@tf.function(jit_compile=True)
def _half_product(queries: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """`product` of half-precision rows, (b, N) float32, by XLA.

    `tf.matmul` would round the sums to half precision, too.
    """
    return tf.raw_ops.BatchMatMulV3(x=queries, y=rows, Tout=tf.float32, adj_y=True)
