"""The memory bank: one slowly moving embedding for every training image."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("and_tf")
class MemoryBank(keras.layers.Layer):
    """Non-trainable embeddings of all images, the classes of the non-parametric softmax.

    Row i belongs to image i of the source in every epoch, process and resumed run. The rows start
    uniform in +-1/sqrt(dim // 3), as in the authors' code, so they have unit length only once they
    have been updated.

    Args:
        num_samples: number of images N, one row each.
        dim: length D of an embedding.
        rate: share of the new embedding in an update, eta of the paper, in (0, 1].
        temperature: tau of the paper, above 0.
        seed: integer that makes the start reproducible, or None.

    Reference: Wu et al., CVPR 2018, section 3.1; Huang et al., ICML 2019, eq. 2 and 8.
    """

    def __init__(self, num_samples, dim, rate=0.5, temperature=0.1, seed=None, **kwargs):
        super().__init__(autocast=False, **({"trainable": False} | kwargs))
        if num_samples < 1 or dim < 1:
            raise ValueError(
                "num_samples and dim must be at least 1. "
                f"Received num_samples={num_samples}, dim={dim}."
            )
        if not 0 < rate <= 1:
            raise ValueError(f"rate must be in (0, 1]. Received rate={rate}.")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0. Received temperature={temperature}.")
        self.num_samples, self.dim, self.seed = int(num_samples), int(dim), seed
        self.rate, self.temperature = float(rate), float(temperature)
        limit = max(self.dim // 3, 1) ** -0.5
        self.rows = self.add_weight(
            name="rows",
            shape=(self.num_samples, self.dim),
            dtype="float32",
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=seed),
            trainable=False,
            autocast=False,
        )
        self.built = True

    def logits(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Dot products with all rows over the temperature: (B, D) to (B, N) float32."""
        embeddings = tf.cast(embeddings, tf.float32)
        return tf.matmul(embeddings, self.rows.value, transpose_b=True) / self.temperature

    def update(self, indices: tf.Tensor, embeddings: tf.Tensor) -> None:
        """Moves the rows of a batch towards its embeddings and back to unit length.

        row <- normalise((1 - rate) row + rate embedding). Under a `tf.distribute` strategy every
        replica applies the rows of all replicas, so that its copies of the bank stay identical.

        Args:
            indices: (B,) int, the rows of this replica's images, each at most once.
            embeddings: (B, D) float.
        """
        embeddings = tf.cast(embeddings, tf.float32)
        indices, embeddings = gather_replicas(indices, embeddings)
        self.write(indices, self.moved(read_rows(self.rows.value, indices), embeddings))

    def moved(self, rows: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
        """What `update` makes of rows (B, D) and the embeddings (B, D) of the same images."""
        embeddings = tf.cast(embeddings, tf.float32)
        return tf.math.l2_normalize((1 - self.rate) * rows + self.rate * embeddings, axis=1)

    def write(self, indices: tf.Tensor, rows: tf.Tensor) -> None:
        """Puts rows (B, D) at `indices` (B,), each at most once. Not within XLA, which would copy
        the whole bank."""
        self.rows.value.scatter_update(tf.IndexedSlices(rows, indices))

    def call(self, embeddings):
        return self.logits(embeddings)

    def get_config(self):
        return super().get_config() | {
            "num_samples": self.num_samples,
            "dim": self.dim,
            "rate": self.rate,
            "temperature": self.temperature,
            "seed": self.seed,
        }


def read_rows(variable: tf.Variable, indices: tf.Tensor) -> tf.Tensor:
    """Rows of this replica's copy of a variable: (N, ...) and (B,) to (B, ...).

    A dense read of a variable that was scattered to copies all of it; this one does not. It is what
    `tf.Variable.sparse_read` does, which the variables of a `tf.distribute` strategy lack.
    """
    return tf.raw_ops.ResourceGather(
        resource=variable.handle, indices=indices, dtype=variable.dtype
    )


def gather_replicas(*values: tf.Tensor) -> list[tf.Tensor]:
    """Concatenates each value over all replicas along axis 0; unchanged where there is one."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return list(values)
    return [context.all_gather(value, axis=0) for value in values]
