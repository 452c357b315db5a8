"""The interface of a method: its settings, its model, and what it does between steps.

Training loop, checkpoints, evaluation, report and export use a method only through this interface.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from and_tf.data.exchange import ALONE, Sharing
from and_tf.methods.rounds import RoundPlan
from and_tf.settings import Settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel
    from and_tf.runs.discovery_blocks import DiscoveryBlocks


# For each image: its neighbourhood's entropy (N,) in nats, all 0 until discovered; its neighbours
# (N, k), nearest first; whether it is an anchor (N,).
NEIGHBOURHOOD_ARRAYS = ("entropy", "neighbours", "is_anchor")


@runtime_checkable
class KeepsMetadata(Protocol):
    """A callback with state, other than the model's variables, that a checkpoint must store."""

    def metadata(self) -> dict[str, Any]:
        """Returns values that JSON can represent, to be merged into a checkpoint's metadata."""

    def restore(self, metadata: Mapping[str, Any]) -> None:
        """Restores its own part from all the metadata of a checkpoint."""


@dataclasses.dataclass(frozen=True)
class TrainingContext:
    """What a method's callbacks may use between steps.

    Attributes:
        train: the training images. Their labels serve metrics only, unless the method learns
            from them.
        steps_per_epoch: optimiser steps of an epoch.
        seed: of the run.
        extract_features: embeds all training images, without augmentation, by the encoder in its
            current state, or by a model that shares its layers: () or (model,) to (N, F) float32.
            A model is traced once: pass the same one each time.
        interruptible: opens a block that a request to stop ends at once by raising `Stopped`; for
            long work whose results are assigned after the block.
        sharing: the processes that train together; all call the method's callbacks alike.
        discovery_blocks: where a long discovery saves its progress; None for nowhere.
    """

    train: Source
    steps_per_epoch: int
    seed: int
    extract_features: Callable[..., np.ndarray]
    interruptible: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    sharing: Sharing = ALONE
    discovery_blocks: DiscoveryBlocks | None = None


@dataclasses.dataclass(frozen=True)
class Method(Settings):
    """A method: frozen settings, which build its model and callbacks.

    Attributes:
        plan: which epoch belongs to which round; a `SingleRound` for a method without a curriculum.
        title: used in headings.
        published_name: the name of its row in the papers' tables.
        metric_titles: the metrics that it adds to an epoch's logs, and their titles in the report,
            in order.
        labelled_metrics: those of them that need labels; the report shows them next to kNN.
        metric_meanings: explanations of metrics whose titles do not suffice, worded to follow a
            colon.
        bank_array: name in the model's `state` of the array that `image_embeddings` returns; None
            for a method that keeps no embeddings.
        neighbourhood_arrays: which of `NEIGHBOURHOOD_ARRAYS` are in the model's `round_state`,
            under these names; the report draws them.
        trains: whether it takes any step; a method that does not is evaluated as built.
        learns_from_labels: whether it learns the training images' labels: its accuracy on those
            images then tells nothing about others.
        fc_holds: a description of what the layer `fc` contains instead of features; empty if the
            method is to be judged by `fc`.
        recipe: settings of augmentation or optimisation, by name, for which the method is meant.
            They are its defaults, and a run that differs begins with a warning.
    """

    title: ClassVar[str]
    published_name: ClassVar[str]
    metric_titles: ClassVar[dict[str, str]] = {}
    labelled_metrics: ClassVar[tuple[str, ...]] = ()
    metric_meanings: ClassVar[dict[str, str]] = {}
    bank_array: ClassVar[str | None] = None
    neighbourhood_arrays: ClassVar[tuple[str, ...]] = ()
    trains: ClassVar[bool] = True
    learns_from_labels: ClassVar[bool] = False
    fc_holds: ClassVar[str] = ""
    recipe: ClassVar[Mapping[str, Any]] = {}

    plan: RoundPlan = dataclasses.field(default_factory=RoundPlan)

    def build_encoder(self, build: Callable[..., keras.Model]) -> keras.Model:
        """Builds the encoder that a run trains; overridden by methods that need a special one.

        It is a functional model of built-in layers, named like those of the usual encoder.

        Args:
            build: `and_tf.build_encoder` with the run's settings bound; arguments passed to it
                override them.
        """
        return build()

    @property
    def has_own_encoder(self) -> bool:
        """Whether it builds its own encoder; a run then saves its layers, as it does for `init`."""
        return type(self).build_encoder is not Method.build_encoder

    @property
    def views(self) -> int:
        """Augmented views V of each image in a step; if V > 1, its images are (B, V, H, W, 3)."""
        return 1

    @property
    def variations(self) -> tuple[str, ...]:
        """How these settings differ from the published method, worded to follow "with"."""
        return ()

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        """Builds the model that `fit` trains, not yet compiled.

        Args:
            encoder: from `build_encoder`, or pretrained.
            train: N training images; a method that learns without labels uses only their number.
            seed: of whatever the model draws at random.

        Raises:
            UserError: if the images do not suit the method.
        """
        raise NotImplementedError

    def rebuild(
        self,
        encoder: keras.Model,
        load: Callable[[str], dict[str, np.ndarray]],
        images: np.ndarray,
    ) -> tuple[str, dict[str, np.ndarray]]:
        """Images as the method predicts them, for the report; none by default.

        Args:
            encoder: from a run's checkpoint.
            load: returns, by name, the arrays of the same checkpoint whose names start with its
                argument.
            images: (n, H, W, 3) uint8, of the encoder's size.

        Returns:
            A sentence that describes the images; and the images by caption, each (n, H, W, 3)
            uint8.
        """
        return "", {}

    def counters(self, epoch: int) -> dict[str, int]:
        """Integers in the model's `state`, by name, that follow from the epoch of its last step.

        A checkpoint with other values is refused.
        """
        return {}

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        """Callbacks for what the method does between steps, in order; none by default.

        A callback with state of its own also implements `KeepsMetadata`.
        """
        return []
