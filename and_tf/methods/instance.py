"""The method Instance: every image remains its own class."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from and_tf.methods.bank_method import BankMethod
from and_tf.methods.method import TrainingContext
from and_tf.settings import setting

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class Instance(BankMethod):
    """Instance discrimination.

    The same rounds and learning rates as AND, without neighbours.

    Reference: Wu et al., CVPR 2018, full softmax form.
    """

    title = "Instance discrimination"
    published_name = "Instance"

    diagnostics: bool = setting(
        False, "Discover neighbourhoods at each round's start anyway, only for metrics."
    )

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.anchor_neighbourhoods.model import AND
        from and_tf.methods.instance_model import InstanceModel

        # Without anchors, AND equals Instance, and it can store what discovery finds.
        model = AND if self.diagnostics else InstanceModel
        return model(encoder, **self.model_arguments(train, seed))

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        of_options = self.options.callbacks(self.plan, context.steps_per_epoch)
        if not self.diagnostics:
            return of_options
        return [*of_options, self.curriculum(context, anchor_share=0.0)]
