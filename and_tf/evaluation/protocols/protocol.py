"""The interface of a protocol: its settings, what it measures, and its description."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from and_tf.settings import Settings, fields_of, flat_values

if TYPE_CHECKING:
    import keras

    from and_tf.evaluation.images import EvaluationImages


@dataclasses.dataclass(frozen=True)
class EncoderInput:
    """What a protocol measures: layers of an encoder, and the images.

    Attributes:
        images: reference images and queries.
        encoder: whose layers are measured.
        layers: their names.
        image_size: side of the encoder's input in pixels.
        max_values: the most values of a feature; larger maps are pooled.
        memory_bytes: limit for features and their similarities together.
        folder: on the disk that stores features that exceed the memory.
    """

    images: EvaluationImages
    encoder: keras.Model
    layers: list[str]
    image_size: int
    max_values: int
    memory_bytes: int
    folder: Path


@dataclasses.dataclass(frozen=True)
class ProtocolInput:
    """What a protocol measures: the features of one layer.

    Attributes:
        images: reference images and queries.
        reference: (N, F) float32, features of the reference images.
        queries: (Q, F) float32, features of the images to evaluate on.
        memory_bytes: limit for features and their similarities together. Reference and queries
            take up to half of it.
    """

    images: EvaluationImages
    reference: np.ndarray
    queries: np.ndarray
    memory_bytes: int


@dataclasses.dataclass
class Outcome:
    """One row of the results.

    Attributes:
        row: settings and metrics by name; `NAME_deviation` is the standard deviation of a metric
            that is a mean over seeds.
        predictions: (Q,) int, the predicted class of each query; None if there are none.
    """

    row: dict[str, Any]
    predictions: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Protocol(Settings):
    """A protocol.

    A subclass is a frozen dataclass whose fields, made by `setting`, become flags. Its module
    imports neither TensorFlow nor scikit-learn: `run` does.

    Attributes:
        summary: what it does, for the help of the flag that chooses it.
        needs_labels: whether reference images and queries must have labels.
        needs_queries: whether there must be queries besides the reference images; if not, these
            are the queries if there are no others.
        uses_reference: whether it uses the reference images.
        takes_bank: whether embeddings of the reference images suffice, such as the training bank.
        setting_titles: column titles of the settings in its rows, in order.
        metric_titles: column titles of its metrics, in order; those in percent end in %.
    """

    summary: ClassVar[str] = ""
    needs_labels: ClassVar[bool] = True
    needs_queries: ClassVar[bool] = True
    uses_reference: ClassVar[bool] = True
    takes_bank: ClassVar[bool] = False
    setting_titles: ClassVar[dict[str, str]] = {}
    metric_titles: ClassVar[dict[str, str]] = {}

    @property
    def max_values(self) -> int:
        """The most values that a feature map is pooled to, by default."""
        return 9000

    @property
    def takes_images(self) -> bool:
        """Whether `run_on_images`, with images and encoder, is called in place of `run`; for
        protocols that use several crops of an image."""
        return False

    def check(self, images: EvaluationImages) -> None:
        """Refuses settings that the images do not allow, before features are extracted.

        Raises:
            UserError: if there are any; names the setting and the images.
        """

    def check_cost(self, given: EncoderInput) -> None:
        """Logs the memory and disk space that will be used, and refuses what does not fit.

        Raises:
            UserError: if something does not fit; names it, and the remedy.
        """

    def run_on_images(self, given: EncoderInput) -> list[Outcome]:
        """Measures all layers, if `takes_images` is True.

        Returns:
            An outcome for each layer, whose row begins with `layer` and `values`.
        """
        raise NotImplementedError

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """Measures the features of one layer.

        Returns:
            An outcome for each setting.
        """
        raise NotImplementedError

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """A short description of the protocol, with the settings of the rows."""
        raise NotImplementedError

    def remarks(self, images: EvaluationImages, rows: list[dict]) -> list[str]:
        """Sentences that a reader of the results must know."""
        if self.needs_queries and images.same:
            return ["The images to classify are the reference images: each knows its own label."]
        return []

    def file_name_parts(self) -> list[str]:
        """What distinguishes its files from those of the default settings; empty for these."""
        values = flat_values(self)
        changed = {f.name for f in fields_of(self) if values[f.name] != f.default}
        return [f"{name}{hyphenated(values[name])}" for name in values if name in changed]


def hyphenated(values: Any) -> str:
    """A value, or several with hyphens between, for a file name."""
    values = values if isinstance(values, tuple) else (values,)
    return "-".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def distinct(rows: Iterable[dict], name: str) -> str:
    """The different values of a setting in some rows, for a description."""
    return ", ".join(f"{value:g}" for value in dict.fromkeys(row[name] for row in rows))


def describe_seeds(rows: list[dict]) -> str:
    """Over how many seeds the metrics are averaged, for a description."""
    seeds = rows[0]["seeds"]
    return f", mean (standard deviation) of {seeds} seeds" if seeds > 1 else ", one seed"
