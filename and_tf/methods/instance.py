"""The method Instance: every image is a class of its own, for good."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from and_tf.bank.settings import BankSettings
from and_tf.methods.anchor_neighbourhoods.diagnostics import LABELLED_METRICS, METRIC_TITLES
from and_tf.methods.method import NEIGHBOURHOOD_ARRAYS, Method, TrainingContext
from and_tf.methods.options import BankOptions
from and_tf.settings import setting

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class Instance(Method):
    """Instance discrimination.

    The same rounds and learning rates as AND, without neighbours.

    Reference: Wu et al., CVPR 2018, full softmax form.
    """

    title = "Instance discrimination"
    published_name = "Instance"
    metric_titles = METRIC_TITLES
    labelled_metrics = LABELLED_METRICS
    bank_array = "bank"
    neighbourhood_arrays = NEIGHBOURHOOD_ARRAYS

    bank: BankSettings = dataclasses.field(default_factory=BankSettings)
    options: BankOptions = dataclasses.field(default_factory=BankOptions)
    diagnostics: bool = setting(
        False, "Discover neighbourhoods at each round's start all the same, for metrics alone."
    )

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.anchor_neighbourhoods.model import AND
        from and_tf.methods.instance_model import InstanceModel

        # Without an anchor AND is Instance, and holds what is discovered.
        model = AND if self.diagnostics else InstanceModel
        return model(
            encoder,
            num_samples=len(train),
            temperature=self.bank.temperature,
            rate=self.bank.bank_rate,
            seed=seed,
            logits_budget_mb=self.bank.logits_mb,
            **dataclasses.asdict(self.options),
        )

    @property
    def views(self) -> int:
        return self.options.views

    @property
    def variations(self) -> tuple[str, ...]:
        return self.options.variations

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        of_options = self.options.callbacks(self.plan, context.steps_per_epoch)
        if not self.diagnostics:
            return of_options
        from and_tf.methods.anchor_neighbourhoods.curriculum import NeighbourhoodCurriculum

        return [
            *of_options,
            NeighbourhoodCurriculum(
                rounds=self.plan.rounds,
                epochs_per_round=self.plan.epochs_per_round,
                first_round_epochs=self.plan.first_round_epochs,
                steps_per_epoch=context.steps_per_epoch,
                anchor_share=0.0,
                labels=context.train.labels,
                seed=context.seed,
                progress=True,
                interruptible=context.interruptible,
            ),
        ]
