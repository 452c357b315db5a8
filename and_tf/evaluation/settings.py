"""All settings of an evaluation: which run, images, features and protocol."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from and_tf.data.settings import LABELS, DataSettings
from and_tf.encoders.stages import EMBEDDING
from and_tf.errors import Argument
from and_tf.evaluation.protocols import PROTOCOLS, Protocol
from and_tf.runs.settings import RunChoice
from and_tf.settings import (
    SettingError,
    Settings,
    at_least,
    build,
    flat_values,
    refuse_unused,
    setting,
    unused,
)

ALL_LAYERS = "all"


@dataclasses.dataclass(frozen=True)
class EvaluationImageSettings(Settings):
    """Images; by default those of the run.

    None stands for the run's own value; an empty text clears it.
    """

    data: str | None = setting(None, "Images of the reference bank.")
    data_dir: str | None = setting(None, "Folder of prepared TFDS data sets.")
    train_split: str | None = setting(None, "Labelled reference images.")
    eval_split: str | None = setting(
        None, "Images to evaluate on; empty: validation, else test, where they exist."
    )
    eval_data: str | None = setting(
        None, "Source of the images to evaluate on; empty: that of the reference images."
    )
    labels: str | None = setting(None, "Where the labels of a folder come from.", choices=LABELS)

    crop_to_box: bool | None = setting(
        None, "Crop images to the bounding box that the data set gives; by default as the run does."
    )

    def applied_to(self, of_run: DataSettings) -> DataSettings:
        """The settings of a run, replaced by those that are given here."""
        given = {name: value for name, value in flat_values(self).items() if value is not None}
        return dataclasses.replace(of_run, **given)


@dataclasses.dataclass(frozen=True)
class ProtocolChoice(Settings):
    """Protocol."""

    classifier: str = setting(
        "knn",
        "The protocol. "
        + "; ".join(f"{name}: {protocol.summary}" for name, protocol in PROTOCOLS.items())
        + ".",
        choices=tuple(PROTOCOLS),
    )


@dataclasses.dataclass(frozen=True)
class FeatureSettings(Settings):
    """Features."""

    layer: str = setting(
        EMBEDDING,
        "Layer whose features are used: fc, the embedding that was trained; conv1..conv5, which "
        "mean stem..stage4 on a ResNet, or any other layer of the run's network by its name; auto, "
        "the one that embed.py uses; all: each in turn, from one pass over the images.",
    )
    bank: str = setting(
        "recomputed",
        "Features of the reference images: recomputed from clean images, or the training bank.",
        choices=("recomputed", "memory"),
    )
    max_values: int | None = setting(
        None,
        "Feature maps are pooled to at most this many values; by default 9000, and 9600 for a "
        "linear classifier by SGD, which gives the published sizes.",
        at_least(1),
    )
    memory_mb: int = setting(
        4096, "Features and similarities held in memory at once.", at_least(64)
    )


@dataclasses.dataclass(frozen=True)
class EvaluationSettings(Settings):
    """All settings of an evaluation.

    Attributes:
        protocol: the settings of the chosen protocol, which also measures; see `PROTOCOLS`.
    """

    run: RunChoice = dataclasses.field(default_factory=RunChoice)
    images: EvaluationImageSettings = dataclasses.field(default_factory=EvaluationImageSettings)
    choice: ProtocolChoice = dataclasses.field(default_factory=ProtocolChoice)
    protocol: Protocol = dataclasses.field(default_factory=lambda: PROTOCOLS["knn"]())
    features: FeatureSettings = dataclasses.field(default_factory=FeatureSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.features.bank == "recomputed":
            return
        if self.features.layer != EMBEDDING or not self.protocol.takes_bank:
            names = [name for name, protocol in PROTOCOLS.items() if protocol.takes_bank]
            raise SettingError(
                Argument("bank", self.features.bank),
                " holds embeddings of reference images only: use it with ",
                Argument("layer", "fc"),
                f" and the protocols {', '.join(names)}. Received ",
                Argument("layer", self.features.layer),
                " and ",
                Argument("classifier", self.choice.classifier),
                ".",
            )


def evaluation_settings(values: Mapping[str, Any]) -> EvaluationSettings:
    """Settings from flat values, such as those of flags; missing ones take their default.

    Raises:
        SettingError: if a value is not valid, or a setting belongs to a protocol other than the
            chosen one.
    """
    choice = build(ProtocolChoice, values)
    refuse_unused(values, EvaluationSettings, Argument("classifier", choice.classifier), PROTOCOLS)
    return EvaluationSettings(
        run=build(RunChoice, values),
        images=build(EvaluationImageSettings, values),
        choice=choice,
        protocol=build(PROTOCOLS[choice.classifier], values),
        features=build(FeatureSettings, values),
    )


def unused_names(values: Mapping[str, Any]) -> list[str]:
    """Names of the flat values that belong to protocols other than the chosen one."""
    chosen = build(ProtocolChoice, values).classifier
    return list(unused(values, EvaluationSettings, chosen, PROTOCOLS))
