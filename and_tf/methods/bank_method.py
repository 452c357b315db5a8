"""The common base of the methods on a memory bank, AND and Instance."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from and_tf.bank.settings import BankSettings
from and_tf.methods.anchor_neighbourhoods.diagnostics import (
    LABELLED_METRICS,
    METRIC_MEANINGS,
    METRIC_TITLES,
)
from and_tf.methods.method import NEIGHBOURHOOD_ARRAYS, Method, TrainingContext
from and_tf.methods.options import BankOptions

if TYPE_CHECKING:
    from and_tf.data.sources.source import Source
    from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum


@dataclasses.dataclass(frozen=True)
class BankMethod(Method):
    """Methods on a memory bank."""

    metric_titles = METRIC_TITLES
    labelled_metrics = LABELLED_METRICS
    metric_meanings = METRIC_MEANINGS
    bank_array = "bank"
    neighbourhood_arrays = NEIGHBOURHOOD_ARRAYS

    bank: BankSettings = dataclasses.field(default_factory=BankSettings)
    options: BankOptions = dataclasses.field(default_factory=BankOptions)

    @property
    def views(self) -> int:
        return self.options.views

    @property
    def variations(self) -> tuple[str, ...]:
        return self.options.variations

    def model_arguments(self, train: Source, seed: int | None) -> dict[str, Any]:
        """Arguments of `InstanceModel` and `AND` other than the encoder."""
        return {
            "num_samples": len(train),
            "temperature": self.bank.temperature,
            "rate": self.bank.bank_rate,
            "seed": seed,
            "logits_budget_mb": self.bank.logits_mb,
            "bank_dtype": self.bank.bank_dtype,
            "shard_bank": self.bank.shard_bank,
            **dataclasses.asdict(self.options),
        }

    def counters(self, epoch: int) -> dict[str, int]:
        return {"round": self.plan.round_of(epoch)}

    def curriculum(self, context: TrainingContext, **of_method: Any) -> NeighbourhoodCurriculum:
        """The callback that discovers neighbourhoods; a method may pass it further arguments."""
        from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum

        return NeighbourhoodCurriculum(
            rounds=self.plan.rounds,
            epochs_per_round=self.plan.epochs_per_round,
            first_round_epochs=self.plan.first_round_epochs,
            steps_per_epoch=context.steps_per_epoch,
            labels=context.train.labels,
            seed=context.seed,
            progress=True,
            interruptible=context.interruptible,
            sharing=context.sharing,
            blocks=context.discovery_blocks,
            **of_method,
        )
