"""The method Split-Brain: each half of an encoder predicts the input of the other half."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from and_tf.errors import BrokenFile
from and_tf.methods.method import Method, TrainingContext
from and_tf.methods.rounds import SingleRound

if TYPE_CHECKING:
    import keras
    import numpy as np

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class SplitBrain(Method):
    """Split-Brain autoencoder.

    One half of the encoder predicts the colour of an image from its lightness, the other its
    lightness from its colour. Colour augmentation spoils both and is off unless requested.

    Reference: Zhang et al., CVPR 2017.
    """

    title = "Split-Brain autoencoder"
    published_name = "Split-Brain"
    fc_holds = "what the halves of the encoder predict of each other"
    recipe: ClassVar = {"color_jitter": 0.0, "grey": 0.0}

    plan: SingleRound = dataclasses.field(default_factory=SingleRound)

    def build_encoder(self, build: Callable[..., keras.Model]) -> keras.Model:
        return build(split=True)

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.split_brain.model import SplitBrainModel

        return SplitBrainModel(encoder, len(train), seed)

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        from and_tf.methods.split_brain.grey import GreyWarning

        return [GreyWarning(context.train, context.sharing)]

    def rebuild(
        self,
        encoder: keras.Model,
        load: Callable[[str], dict[str, np.ndarray]],
        images: np.ndarray,
    ) -> tuple[str, dict[str, np.ndarray]]:
        from and_tf.methods.split_brain.model import HEADS, build_predictor, head_state
        from and_tf.methods.split_brain.rebuilding import rebuilt_images

        predictor, arrays = build_predictor(encoder), load(HEADS)
        for name, variable in head_state(predictor).items():
            if name not in arrays or arrays[name].shape != tuple(variable.shape):
                raise BrokenFile(
                    f"The run's checkpoint is corrupt ({name} is missing or of another shape): "
                    "restore it from a copy."
                )
            variable.assign(arrays[name])
        sentence = f"Rebuilt from {self.fc_holds}: the mean of the predicted distribution."
        return sentence, rebuilt_images(predictor, images)
