"""Instance discrimination as a Keras model: every image is its own class, a row of a bank."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.collectives import StrategyReplicas, gather_replicas, own_parts
from and_tf.bank.memory_bank import MemoryBank
from and_tf.bank.rows import gather_rows
from and_tf.bank.settings import BankSettings
from and_tf.bank.sharded_bank import ShardedBank
from and_tf.bank.shards import shard_size
from and_tf.bank.softmax import rows_at_once
from and_tf.errors import Argument
from and_tf.methods.group_head import with_group_head
from and_tf.methods.group_loss import group_losses_and_gradients
from and_tf.methods.method_model import MethodModel
from and_tf.methods.options import BankOptions
from and_tf.methods.sharded_loss import sharded_loss_and_gradient
from and_tf.methods.unification_entropy import softmax_and_entropy
from and_tf.methods.views import flat_views, mean_over_views, of_each_view
from and_tf.runs.checkpoint import Stored


@keras.saving.register_keras_serializable("and_tf")
class InstanceModel(MethodModel):
    """An encoder and the bank against which it is trained.

    A step computes the non-parametric softmax of a batch against all rows: an image should be
    nearest to its own. A subclass overrides `embedding_loss` and, for a sharded bank, `positives`.

    Args:
        encoder: any built `keras.Model` from images to rows (B, D), see `MethodModel`.
        num_samples: number of training images N.
        temperature: tau of the paper.
        rate: eta of the paper, the fraction of the new embedding in a bank update.
        seed: makes the bank's initial rows reproducible, or None.
        logits_budget_mb: memory in MiB for a replica's logits (B, N) float32; beyond it the loss
            passes over the bank in blocks. Their exponentials take as much again.
        views: V, augmented views of each image in a step, 1 or 2. With 2, `fit` takes images
            (B, 2, H, W, 3), as `train_pipeline(views=2)` yields them. They pass through the encoder
            together; the loss of an image is the mean over its views, and its row moves once,
            towards their mean embedding.
        group_weight: weight of cross-level discrimination (`group_loss`) between two views, on the
            embeddings of a second head that takes the input of the encoder's last layer; 0 for
            none. The head is not part of the encoder. On several replicas, clusters span the global
            batch.
        entropy_weight: weight of `unification_entropy`; 0 for none. `EntropySchedule` makes it
            start later in each round.
        bank_dtype: float32, or float16, which halves the memory of the bank.
        shard_bank: whether each replica of the strategy in whose scope the model is created keeps
            only a part of the bank (`ShardedBank`); with one replica that is the whole bank.
        **kwargs: of `keras.Model`.

    Reference: Wu et al., CVPR 2018, in its full softmax form.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_samples: int,
        temperature: float = BankSettings.temperature,
        rate: float = BankSettings.bank_rate,
        seed: int | None = None,
        logits_budget_mb: float = BankSettings.logits_mb,
        views: int = BankOptions.views,
        group_weight: float = BankOptions.group_weight,
        entropy_weight: float = BankOptions.entropy_weight,
        bank_dtype: str = BankSettings.bank_dtype,
        shard_bank: bool = BankSettings.shard_bank,
        **kwargs: object,
    ):
        BankOptions(views, group_weight, entropy_weight)  # checks them
        super().__init__(encoder, num_samples, **kwargs)
        self.views, self.group_weight, self.entropy_weight = views, group_weight, entropy_weight
        if group_weight:
            self.group_head, self._both_heads = with_group_head(self.encoder, seed)
        if entropy_weight:
            self.current_entropy_weight = self._weight("entropy_weight", (), "float32")
            self.current_entropy_weight.assign(entropy_weight)
        self.logits_budget_mb = logits_budget_mb
        dim = self.encoder.output_shape[-1]
        self.shard_bank = shard_bank
        has_replicas = tf.distribute.get_strategy().num_replicas_in_sync > 1
        make_bank = ShardedBank if shard_bank and has_replicas else MemoryBank
        self.bank: MemoryBank = make_bank(
            num_samples, dim, rate, temperature, seed=seed, rows_dtype=bank_dtype, name="bank"
        )
        self.temperature = self.bank.temperature

    def embedding_loss(
        self, embeddings: tf.Tensor, indices: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The method's loss against the bank.

        Args:
            embeddings: (B, D) float, of single views.
            indices: (B,) int.

        Returns:
            Losses (B,) float32 in nats, and the gradient (B, D) of each with respect to its
            embedding.
        """
        if self.bank.is_sharded:
            return self.sharded_loss(embeddings, indices)
        bank = self.bank_rows()  # (N, D)
        queries = tf.cast(embeddings, tf.float32) / self.temperature  # (B, D)
        block_size = self.rows_at_once(tf.shape(indices)[0])
        log_total, mean_row = softmax_and_entropy(  # (B,), (B, D)
            bank, queries, indices, block_size, self.weight_of_entropy()
        )
        own = gather_rows(bank, indices)  # (B, D)
        losses = log_total - tf.reduce_sum(queries * own, axis=1)  # (B,)
        return losses, (mean_row - own) / self.temperature

    def sharded_loss(
        self, embeddings: tf.Tensor, indices: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`embedding_loss` against a sharded bank.

        Every replica computes what its part contributes to the losses of all images of the step,
        and returns the combined losses of its own images.
        """
        size = tf.shape(indices)[0]
        (indices, embeddings), start = gather_replicas(indices, tf.cast(embeddings, tf.float32))
        neighbours, is_anchor = self.positives(indices)
        of_all = sharded_loss_and_gradient(
            embeddings,
            self.bank.shard(),
            indices,
            neighbours,
            is_anchor,
            self.temperature,
            self.rows_at_once(tf.shape(indices)[0]),
            StrategyReplicas(),
            self.weight_of_entropy(),
        )
        losses, gradient = own_parts(size, start, *of_all)
        return losses, gradient

    def positives(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows, other than their own, that images (B,) should be near to: none, shape (B, 0).

        Returns:
            (B, k) int, and (B,) bool, for which images they count.
        """
        return tf.zeros([tf.size(indices), 0], indices.dtype), tf.zeros_like(indices, tf.bool)

    def losses_and_gradients(
        self, images: tf.Tensor, indices: tf.Tensor, weights: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        views = self.views
        images = flat_views(images, views)  # (B V, H, W, 3)
        with tf.GradientTape() as tape:
            outputs = self._outputs(images)
        embeddings = outputs[0]  # (B V, D)
        losses, gradient = self.embedding_loss(embeddings, of_each_view(indices, views))
        losses = mean_over_views(losses, views)  # (B,)
        output_gradients = [of_each_view(weights / views, views)[:, None] * gradient]
        if self.group_weight:
            group_losses, gradient = group_losses_and_gradients(outputs[1])  # (B,), (B V, D)
            losses += self.group_weight * group_losses
            weights = of_each_view(self.group_weight * weights, views)  # (B V,)
            output_gradients.append(weights[:, None] * gradient)
        gradients = tape.gradient(
            outputs,
            self.trainable_variables,
            [tf.cast(g, x.dtype) for g, x in zip(output_gradients, outputs, strict=True)],
        )
        return losses, mean_over_views(embeddings, views), gradients

    def _outputs(self, images: tf.Tensor) -> list[tf.Tensor]:
        """Embeddings of images in training mode, and those of the second head if there is one."""
        if self.group_weight:
            return self._both_heads(images, training=True)
        return [self.encoder(images, training=True)]

    def losses(self, images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        return self.embedding_loss(self.encoder(images, training=False), indices)[0]

    def prepare_update(
        self, indices: tf.Tensor, outputs: tf.Tensor, is_finite: bool | tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.bank.updated_rows(indices, outputs, is_finite)

    def apply_update(self, update: tuple[tf.Tensor, tf.Tensor]) -> None:
        self.bank.write(*update)

    def bank_rows(self) -> tf.Variable | tf.Tensor:
        """The rows (N, D) in the form that a loss should take.

        XLA reads a tensor in place; without XLA a dense read would copy all rows, while a variable
        is read block by block.
        """
        rows = self.bank.rows.value
        return rows if self._compiled_step is None else rows.read_value()

    def rows_at_once(self, batch_size: int | tf.Tensor) -> tf.Tensor:
        """How many rows of the bank a replica compares with a batch at once: a scalar int32."""
        return rows_at_once(self.num_rows_here, batch_size, self.logits_budget_mb)

    @property
    def num_rows_here(self) -> int:
        """The number of rows that one replica keeps and compares with the images of a step."""
        return shard_size(self.num_samples, self.num_shards)

    @property
    def num_shards(self) -> int:
        """The number of parts of the bank."""
        return self.distribute_strategy.num_replicas_in_sync if self.bank.is_sharded else 1

    def weight_of_entropy(self) -> tf.Tensor | None:
        """The weight of unification entropy in this step; None if it is not used."""
        return self.current_entropy_weight.value if self.entropy_weight else None

    def state(self) -> dict[str, Stored]:
        state = self.round_state() | {"bank": self.bank.stored}
        if self.group_weight:
            head = self.group_head
            state |= {"group_head/kernel": head.kernel, "group_head/bias": head.bias}
        return state

    def _weight(self, name: str, shape: tuple[int, ...], dtype: str) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def start_from(self, embeddings: np.ndarray) -> None:
        # Random rows would destroy what was learned before.
        self.bank.assign_all(embeddings)

    def image_embeddings(self, indices: np.ndarray | None = None) -> np.ndarray:
        rows = self.bank.read_all() if indices is None else self.bank.read_rows(indices)
        return rows.astype(np.float32, copy=False)

    def describe_memory(self, batch_size: int) -> list[str]:
        batch_size *= self.views * self.num_shards  # a part meets the images of all devices
        num_rows, at_once = self.num_rows_here, int(self.rows_at_once(batch_size))
        bytes_per_value = np.dtype(self.bank.rows_dtype).itemsize
        bank_mb = 1e-6 * bytes_per_value * num_rows * self.bank.dim
        logits_mb = 4e-6 * batch_size * at_once
        of_parts = f" on each of {self.num_shards} devices" if self.bank.is_sharded else ""
        lines = [
            f"Memory bank (an embedding per image): {bank_mb:,.1f} MB{of_parts}; comparing a "
            f"step's images with it takes {2 * logits_mb:,.1f} MB more."
        ]
        if at_once < num_rows:
            lines.append(
                f"They are compared with {at_once:,} images at a time, so that this stays within "
                f"{self.logits_budget_mb:g} MiB."
            )
        return lines

    def remedies(self, learning_rate: Argument) -> list[Any]:
        temperature = Argument("temperature", self.temperature)
        return [*super().remedies(learning_rate), " or raise ", temperature]

    def get_config(self) -> dict[str, object]:
        return super().get_config() | {
            "temperature": self.bank.temperature,
            "rate": self.bank.rate,
            "seed": self.bank.seed,
            "logits_budget_mb": self.logits_budget_mb,
            "views": self.views,
            "group_weight": self.group_weight,
            "entropy_weight": self.entropy_weight,
            "bank_dtype": self.bank.rows_dtype,
            "shard_bank": self.shard_bank,
        }
