"""The memory bank: one slowly moving embedding for every training image."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import gather_replicas
from and_tf.bank.rows import in_float32, read_rows
from and_tf.bank.settings import DTYPES, BankSettings
from and_tf.errors import Argument, UserError
from and_tf.runs.checkpoint import Stored


@keras.saving.register_keras_serializable("and_tf")
class MemoryBank(keras.layers.Layer):
    """Non-trainable embeddings of all images, the classes of the non-parametric softmax.

    Row i belongs to image i of the source in every epoch, process and resumed run. The rows start
    uniform in +-1/sqrt(dim // 3), as in the authors' code, so they have unit length only once they
    have been updated.

    Args:
        num_samples: number of images N, one row each.
        dim: length D of an embedding.
        rate: fraction of the new embedding in an update, eta of the paper, in (0, 1].
        temperature: tau of the paper, above 0.
        seed: integer that makes the initial rows reproducible, or None.
        rows_dtype: float32 or float16. With float16 rows are only stored in it: they are read and
            updated in float32, and rounded to the nearest value when written.

    Attributes:
        rows: (N, D), a weight; a sharded bank (`ShardedBank`) has none.
        is_sharded: whether each replica keeps only a part of the rows.

    Reference: Wu et al., CVPR 2018, section 3.1; Huang et al., ICML 2019, eq. 2 and 8.
    """

    is_sharded = False

    def __init__(
        self,
        num_samples: int,
        dim: int,
        rate: float = BankSettings.bank_rate,
        temperature: float = BankSettings.temperature,
        seed: int | None = None,
        rows_dtype: str = BankSettings.bank_dtype,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **({"trainable": False} | kwargs))
        for name, size in (("num_samples", num_samples), ("dim", dim)):
            if size < 1:
                raise UserError(Argument(name, size), " must be at least 1.")
        if not 0 < rate <= 1:
            raise UserError(Argument("rate", rate), " must be above 0 and at most 1.")
        if not temperature > 0:
            raise UserError(Argument("temperature", temperature), " must be above 0.")
        if rows_dtype not in DTYPES:
            raise UserError(
                Argument("rows_dtype", rows_dtype), f" must be one of {', '.join(DTYPES)}."
            )
        self.rows_dtype = rows_dtype
        self.num_samples, self.dim, self.seed = int(num_samples), int(dim), seed
        self.rate, self.temperature = float(rate), float(temperature)
        limit = max(self.dim // 3, 1) ** -0.5
        self._make_rows(keras.initializers.RandomUniform(-limit, limit, seed=seed))
        self.built = True

    def _make_rows(self, start: keras.initializers.RandomUniform) -> None:
        self.rows = self.add_weight(
            name="rows",
            shape=(self.num_samples, self.dim),
            dtype=self.rows_dtype,
            # Always drawn in float32: float16 would give different, coarser numbers.
            initializer=lambda shape, dtype: keras.ops.cast(start(shape, "float32"), dtype),
            trainable=False,
            autocast=False,
        )

    def read_all(self) -> np.ndarray:
        """All rows (N, D), in the dtype in which they are stored."""
        return self.rows.numpy()

    def read_rows(self, indices: np.ndarray) -> np.ndarray:
        """Rows (n, D) at `indices` (n,), in the dtype in which they are stored."""
        return self.rows.numpy()[indices]

    def assign_all(self, rows: np.ndarray) -> None:
        """Replaces all rows by `rows` (N, D)."""
        self.rows.assign(np.asarray(rows, self.rows_dtype))

    @property
    def stored(self) -> Stored:
        """What a checkpoint stores: all rows (N, D), however they are held."""
        return self.rows

    def logits(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Dot products with all rows, divided by the temperature: (B, D) to (B, N) float32."""
        embeddings = tf.cast(embeddings, tf.float32)
        rows = in_float32(self.rows.value)
        return tf.matmul(embeddings, rows, transpose_b=True) / self.temperature

    def update(self, indices: tf.Tensor, embeddings: tf.Tensor) -> None:
        """Moves the rows of a batch towards its embeddings and rescales them to unit length.

        row <- normalise((1 - rate) row + rate embedding). Under a `tf.distribute` strategy every
        replica applies the rows of all replicas, so all copies of the bank stay identical.

        Args:
            indices: (B,) int, the rows of this replica's images, each at most once.
            embeddings: (B, D) float.
        """
        self.write(*self.updated_rows(indices, embeddings))

    def updated_rows(
        self, indices: tf.Tensor, embeddings: tf.Tensor, is_applied: bool | tf.Tensor = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes what `update` would write; reads only the rows concerned, even within XLA.

        Args:
            indices: (B,) int, as in `update`.
            embeddings: (B, D) float.
            is_applied: scalar bool; if False, the rows are returned unchanged.

        Returns:
            Indices (B,) and rows (B, D) float32, of the images of all replicas.
        """
        embeddings = tf.cast(embeddings, tf.float32)
        indices, embeddings = gather_replicas(indices, embeddings).values
        rows = in_float32(read_rows(self.rows.value, indices))  # (B, D)
        return indices, self.moved(rows, embeddings, is_applied)

    def moved(
        self, rows: tf.Tensor, embeddings: tf.Tensor, is_applied: bool | tf.Tensor
    ) -> tf.Tensor:
        """Rows (B, D) float32 updated by embeddings (B, D), or unchanged if not `is_applied`."""
        updated = tf.math.l2_normalize((1 - self.rate) * rows + self.rate * embeddings, axis=1)
        if is_applied is not True:
            updated = tf.where(is_applied, updated, rows)
        return updated

    def write(self, indices: tf.Tensor, rows: tf.Tensor) -> None:
        """Writes rows (B, D) at `indices` (B,), each at most once.

        Not to be called within XLA, which would copy the whole bank.
        """
        rows = tf.cast(rows, self.rows_dtype)
        self.rows.value.scatter_update(tf.IndexedSlices(rows, indices))

    def call(self, embeddings: tf.Tensor) -> tf.Tensor:
        return self.logits(embeddings)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_samples": self.num_samples,
            "dim": self.dim,
            "rate": self.rate,
            "temperature": self.temperature,
            "seed": self.seed,
            "rows_dtype": self.rows_dtype,
        }
