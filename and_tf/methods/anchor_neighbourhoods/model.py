"""AND as a Keras model: `fit` trains the encoder against the memory bank."""

from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from and_tf.bank.rows import read_rows
from and_tf.bank.settings import BankSettings
from and_tf.errors import Argument, UserError
from and_tf.methods.anchor_neighbourhoods.loss import bank_loss_and_gradient
from and_tf.methods.instance_model import InstanceModel
from and_tf.runs.checkpoint import Stored


@keras.saving.register_keras_serializable("and_tf")
class AND(InstanceModel):
    """Anchor Neighbourhood Discovery around an encoder.

    A step computes the non-parametric softmax of a batch against the bank: an anchor should match
    its neighbourhood, every other image its own row, as in `InstanceModel`, which AND is in round
    0. `NeighbourhoodCurriculum` sets `neighbours`, `is_anchor`, `entropy` and `round`, which are
    weights of the model, as is the bank, so one checkpoint contains everything.

    Args:
        encoder: any built `keras.Model` from images to rows (B, D), see `MethodModel`.
        num_samples: number of training images N.
        neighbourhood_size: k, neighbours besides the anchor itself, from 1 to N - 1.
        temperature: tau of the paper.
        rate: eta of the paper, the fraction of the new embedding in a bank update.
        seed: makes the bank's initial rows reproducible, or None.
        logits_budget_mb: memory in MiB for a replica's logits (B, N) float32; beyond it the loss
            passes over the bank in blocks (`bank_loss`). Their exponentials take as much again.
        **kwargs: the options of `InstanceModel`, such as `views`, and those of `keras.Model`.

    Example:
        model = AND(encoder, num_samples=len(source))
        model.compile(optimizer=TorchSGD(0.03, momentum=0.9, nesterov=True, weight_decay=5e-4))
        data = train_pipeline(source, step=model.optimizer.iterations)
        model.fit(data, epochs=1000, callbacks=[NeighbourhoodCurriculum()])

    Reference: Huang et al., "Unsupervised Deep Learning by Neighbourhood Discovery", ICML 2019.
    """

    def __init__(
        self,
        encoder: keras.Model,
        num_samples: int,
        neighbourhood_size: int = 1,
        temperature: float = BankSettings.temperature,
        rate: float = BankSettings.bank_rate,
        seed: int | None = None,
        logits_budget_mb: float = BankSettings.logits_mb,
        **kwargs: Any,
    ):
        if not 1 <= neighbourhood_size < num_samples:
            raise UserError(
                Argument("neighbourhood_size", neighbourhood_size), " must be at least 1 and "
                f"smaller than the number of images, {num_samples}: lower it or add images.",
            )  # fmt: skip
        super().__init__(encoder, num_samples, temperature, rate, seed, logits_budget_mb, **kwargs)
        self.neighbourhood_size = neighbourhood_size
        # Not int32, which TensorFlow keeps on the host, where XLA on a GPU could not read it.
        self.neighbours = self._weight("neighbours", (num_samples, neighbourhood_size), "int64")
        self.is_anchor = self._weight("is_anchor", (num_samples,), "bool")
        self.entropy = self._weight("entropy", (num_samples,), "float32")
        self.round = self._weight("round", (), "int32")

    def embedding_loss(
        self, embeddings: tf.Tensor, indices: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if self.bank.is_sharded:
            return self.sharded_loss(embeddings, indices)
        return bank_loss_and_gradient(
            embeddings,
            self.bank_rows(),
            indices,
            read_rows(self.neighbours.value, indices),  # (B, k)
            is_anchor=read_rows(self.is_anchor.value, indices),  # (B,)
            temperature=self.temperature,
            block_size=self.rows_at_once(tf.shape(indices)[0]),
            entropy_weight=self.weight_of_entropy(),
        )

    def positives(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        neighbours = read_rows(self.neighbours.value, indices)  # (B, k)
        return neighbours, read_rows(self.is_anchor.value, indices)

    def round_state(self) -> dict[str, Stored]:
        return {
            "neighbours": self.neighbours,
            "is_anchor": self.is_anchor,
            "entropy": self.entropy,
            "round": self.round,
        }

    def state_ranges(self) -> dict[str, tuple[float, float]]:
        rows = {"neighbours": (0, self.num_samples - 1)}
        return super().state_ranges() | rows | {"round": (0, np.inf)}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"neighbourhood_size": self.neighbourhood_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        config = dict(config)
        if config.pop("mutual_neighbours", False):  # models saved by version 0.4
            raise UserError(
                Argument("mutual_neighbours", True), " was removed after version 0.4: use that "
                "version, or train again without it.",
            )  # fmt: skip
        return super().from_config(config)
