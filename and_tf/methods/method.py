"""The contract of a method: its settings, its model, what it does beside the steps.

Training loop, checkpoints, evaluation, report and export know a method by this alone.
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


# Of each image: its neighbourhood's entropy (N,) in nats, all 0 before any is known; its neighbours
# (N, k), nearest first; whether it is an anchor (N,).
NEIGHBOURHOOD_ARRAYS = ("entropy", "neighbours", "is_anchor")


@runtime_checkable
class KeepsMetadata(Protocol):
    """A callback that keeps more between two runs than the model's variables do."""

    def metadata(self) -> dict[str, Any]:
        """What JSON can hold, to be put among the metadata of a checkpoint as it is."""

    def restore(self, metadata: Mapping[str, Any]) -> None:
        """Takes its part of the metadata of a checkpoint, all of which it is given."""


@dataclasses.dataclass(frozen=True)
class TrainingContext:
    """What a method may look at beside the steps.

    Attributes:
        train: the training images. Their labels serve metrics only, unless the method learns
            from them.
        steps_per_epoch: optimiser steps of an epoch.
        seed: of the run.
        extract_features: embeds all training images, clean, by the encoder as it stands, or by a
            model that shares its layers: () or (model,) to (N, F) float32. A model is traced once:
            pass the same one each time.
        interruptible: opens a block that a request to stop ends at once, by raising `Stopped`:
            for long work, whose results are assigned after the block.
        sharing: the processes that train together; all call the method's callbacks alike.
        discovery_blocks: where a long discovery keeps what it has done; None for nowhere.
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
        plan: which epoch belongs to which round; of a method without a curriculum a `SingleRound`.
        title: in headings.
        published_name: of its row in the papers' tables.
        metric_titles: the metrics that it adds to an epoch's logs, and their titles in the report,
            in order.
        labelled_metrics: those of them that need labels; they stand beside kNN.
        metric_meanings: what those of them are whose titles do not tell, as after a colon.
        bank_array: name in the model's `state` of the array that `image_embeddings` returns; None
            for a method that keeps no embeddings.
        neighbourhood_arrays: which of `NEIGHBOURHOOD_ARRAYS` are in the model's `round_state`,
            under these names; the report draws them.
        trains: whether it takes any step; one that does not is evaluated as it is built.
        learns_from_labels: whether the training images' labels are what it learns: its accuracy on
            those images then says nothing on others.
        fc_holds: what the layer `fc` holds in place of features, in words; empty where `fc` is what
            the method is to be judged by.
        recipe: by name, settings of augmentation or optimisation that the method is meant for. They
            are its defaults, and a run that differs begins with a warning.
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
        """The encoder that a run trains; a method that needs another than the usual one makes it.

        It is a functional model of built-in layers, whose layers have the names of the usual one's.

        Args:
            build: `and_tf.build_encoder` with what the run's settings say; arguments given to it
                take their place.
        """
        return build()

    @property
    def has_own_encoder(self) -> bool:
        """Whether it makes an encoder of its own: a run then keeps its layers, as of `init`."""
        return type(self).build_encoder is not Method.build_encoder

    @property
    def views(self) -> int:
        """Augmented views of each image in a step; above 1, the images of a step are
        (B, V, H, W, 3)."""
        return 1

    @property
    def variations(self) -> tuple[str, ...]:
        """What these settings change of the published method, in words, as after "with"."""
        return ()

    def is_neighbour(self, neighbours: np.ndarray) -> np.ndarray | None:
        """Which of the kept neighbours, (N, k), count in training: (N, k) bool, or None for all."""
        return None

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        """The model that `fit` trains, not yet compiled.

        Args:
            encoder: of `build_encoder`, or pretrained.
            train: N training images; a method that learns without labels takes their number alone.
            seed: of whatever the model draws.

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
            encoder: of a run's checkpoint.
            load: gives the arrays of the same checkpoint whose names begin so, by name.
            images: (n, H, W, 3) uint8, of the encoder's size.

        Returns:
            What they are, in a sentence; and by caption (n, H, W, 3) uint8 each.
        """
        return "", {}

    def counters(self, epoch: int) -> dict[str, int]:
        """Whole numbers in the model's `state` that follow from the epoch of its last step, by name
        there: a checkpoint that holds others is refused."""
        return {}

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        """What the method does between steps, in order; none by default.

        One that keeps state of its own is `KeepsMetadata` too.
        """
        return []
