"""The sharded memory bank: each replica of a strategy keeps the rows of some of the images."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import gather_replicas
from and_tf.bank.memory_bank import MemoryBank
from and_tf.bank.rows import in_float32, read_rows
from and_tf.bank.shards import Shard, shard_size
from and_tf.data.exchange import row_blocks
from and_tf.errors import Argument, UserError

BLOCK_BYTES = 64 << 20  # of rows that are drawn or sent at once
COUNTED_AT_ONCE = 4  # random numbers for each step of the generator's counter


@keras.saving.register_keras_serializable("and_tf")
class ShardedBank(MemoryBank):
    """A `MemoryBank` of which replica r keeps the rows i with i mod R = r.

    It is created in the scope of a strategy, whose R replicas are the devices of one process, or
    one device in each of several processes. Rows, updates and checkpoints are those of the whole
    bank: row i has the same initial values, and what is stored does not depend on R. There is no
    weight `rows`; `read_all` returns them.

    Args:
        Those of `MemoryBank`.

    Attributes:
        part: variable (`shard_size`, D) with different contents on each replica. It is not a Keras
            weight, since Keras assumes that all copies of a weight are equal.
    """

    is_sharded = True

    def _make_rows(self, start: keras.initializers.RandomUniform) -> None:
        self._strategy = tf.distribute.get_strategy()
        self.num_shards = self._strategy.num_replicas_in_sync
        size = shard_size(self.num_samples, self.num_shards)
        self.part = tf.Variable(
            tf.zeros((size, self.dim), self.rows_dtype), trainable=False, name="part"
        )
        of_processes = self._strategy.experimental_distribute_values_from_function(
            lambda context: context.replica_id_in_sync_group
        )
        self.own_numbers = self._strategy.experimental_local_results(of_processes)
        for first, rows in start_in_blocks(start, self.num_samples, self.dim):
            self.assign_rows(first, rows)

    # In a replica context.

    def shard(self) -> Shard:
        """The rows that this replica keeps."""
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        return Shard(self.part, number, self.num_shards, self.num_samples)

    def logits(self, embeddings: tf.Tensor) -> tf.Tensor:
        raise UserError(
            Argument("shard_bank", True), " leaves no replica with all rows to multiply with: use "
            "the loss of a model, or a `MemoryBank`.",
        )  # fmt: skip

    def updated_rows(
        self, indices: tf.Tensor, embeddings: tf.Tensor, is_applied: bool | tf.Tensor = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """As in `MemoryBank`; rows that this replica does not keep have arbitrary values."""
        embeddings = tf.cast(embeddings, tf.float32)
        indices, embeddings = gather_replicas(indices, embeddings).values
        shard = self.shard()
        places = tf.where(shard.has(indices), shard.places(indices), 0)
        rows = in_float32(read_rows(self.part, places))  # (B, D)
        return indices, self.moved(rows, embeddings, is_applied)

    def write(self, indices: tf.Tensor, rows: tf.Tensor) -> None:
        """As in `MemoryBank`; each replica writes only the rows that it keeps."""
        shard = self.shard()
        is_here = shard.has(indices)
        places = tf.boolean_mask(shard.places(indices), is_here)
        rows = tf.boolean_mask(tf.cast(rows, self.rows_dtype), is_here)
        self.part.scatter_update(tf.IndexedSlices(rows, places))

    # Between steps, on all processes together.

    def read_all(self) -> np.ndarray:
        rows = np.empty((self.num_samples, self.dim), self.rows_dtype)
        for block in row_blocks(rows):
            rows[block] = self.read(block)
        return rows

    def give_parts(self) -> None:
        """Takes part in another process's `read_all`, without building the whole bank here."""
        if len(self.own_numbers) < self.num_shards:
            whole = np.broadcast_to(np.zeros((), self.rows_dtype), (self.num_samples, self.dim))
            for block in row_blocks(whole):
                self.read(block)

    def read(self, rows: slice) -> np.ndarray:
        """A block of rows (n, D), in the dtype in which they are stored."""
        return self.read_rows(np.arange(rows.start, rows.stop))

    def read_rows(self, indices: np.ndarray) -> np.ndarray:
        """Rows (n, D) at `indices` (n,), as stored. All processes must call this together."""
        found = np.zeros((len(indices), self.dim), self.rows_dtype)
        for number, part in self._own_parts():
            is_here = indices % self.num_shards == number
            # Not a slice of the variable, which would copy all of it.
            found[is_here] = read_rows(part, indices[is_here] // self.num_shards).numpy()
        if len(self.own_numbers) < self.num_shards:
            return self._of_all_processes(found)
        return found

    def _of_all_processes(self, rows: np.ndarray) -> np.ndarray:
        """Combines rows of which each process has some, and zeros for the others."""
        # Summed as integers: with floats, -0 plus 0 would become 0.
        width = np.dtype(self.rows_dtype).itemsize
        bits = rows.view(f"int{8 * width}").astype(np.int32)
        with tf.device("CPU:0"):
            total = self._strategy.reduce("SUM", tf.constant(bits), axis=None)
        return total.numpy().astype(f"int{8 * width}").view(self.rows_dtype)

    def assign_all(self, rows: np.ndarray) -> None:
        if rows.shape != (self.num_samples, self.dim):
            expected = (self.num_samples, self.dim)
            raise ValueError(f"The bank has rows of shape {expected}. Received {rows.shape}.")
        for block in row_blocks(rows):
            self.assign_rows(block.start, rows[block])

    def assign_rows(self, start: int, rows: np.ndarray) -> None:
        """Replaces the rows from `start` on by `rows` (n, D), which every process must pass."""
        rows = np.asarray(rows, self.rows_dtype)
        for number, part in self._own_parts():
            first = (number - start) % self.num_shards
            if len(own := rows[first :: self.num_shards]):
                place = (start + first) // self.num_shards
                part[place : place + len(own)].assign(np.ascontiguousarray(own))

    def _own_parts(self) -> Iterator[tuple[int, tf.Variable]]:
        """Number and part of each replica of this process."""
        return zip(
            self.own_numbers, self._strategy.experimental_local_results(self.part), strict=True
        )

    @property
    def stored(self) -> "WholeBank":
        return WholeBank(self)

    # What Keras writes to model files: the whole bank.

    def save_own_variables(self, store: Any) -> None:
        store["0"] = self.read_all()

    def load_own_variables(self, store: Any) -> None:
        self.assign_all(np.asarray(store["0"]))


class WholeBank:
    """All rows of a sharded bank with the interface of a variable; can also be read in blocks."""

    def __init__(self, bank: ShardedBank):
        self.bank, self.dtype = bank, bank.rows_dtype
        self.shape: tuple[int, ...] = (bank.num_samples, bank.dim)

    def numpy(self) -> np.ndarray:
        return self.bank.read_all()

    def take_part(self) -> None:
        self.bank.give_parts()

    def read(self, rows: slice) -> np.ndarray:
        return self.bank.read(rows)

    def assign(self, value: np.ndarray) -> None:
        self.bank.assign_all(value)


def start_in_blocks(
    start: keras.initializers.RandomUniform, num_rows: int, dim: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Draws what a seeded initializer draws for a variable (N, D), without an array of that size.

    Yields:
        The index of the first row of a block, and its rows (n, D) float32. They equal those of
        `start((N, D))` bit for bit, since the random number generator is counter-based.
    """
    # The seed as Keras passes it to TensorFlow.
    seed = tf.cast(
        tf.math.floormod(tf.constant([start.seed, 0], tf.int64), tf.int32.max - 1), tf.int32
    )
    low, high = tf.constant(start.minval), tf.constant(start.maxval)
    with tf.device("CPU:0"):
        key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
        size = max(BLOCK_BYTES // (4 * dim * COUNTED_AT_ONCE), 1) * COUNTED_AT_ONCE
        for first in range(0, num_rows, size):
            skipped = tf.constant([first * dim // COUNTED_AT_ONCE, 0], tf.uint64)
            drawn = tf.raw_ops.StatelessRandomUniformV2(
                shape=[min(size, num_rows - first), dim],
                key=key,
                counter=counter + skipped,
                alg=tf.random.Algorithm.PHILOX.value,
                dtype=tf.float32,
            )
            yield first, (drawn * (high - low) + low).numpy()
