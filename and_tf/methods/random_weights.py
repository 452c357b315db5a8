"""Random weights: the encoder as built, the lower baseline of every comparison."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from and_tf.methods.method import Method

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class RandomWeights(Method):
    """Random weights.

    No step is taken, whatever the plan: the encoder is evaluated and exported as built.
    """

    title = "Random weights"
    published_name = "random"
    trains = False

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.method_model import MethodModel

        return MethodModel(encoder, len(train))
