"""The method AND: its settings, and what they build."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from and_tf.errors import Argument
from and_tf.methods.anchor_neighbourhoods.selection import RULES
from and_tf.methods.bank_method import BankMethod
from and_tf.methods.method import TrainingContext
from and_tf.search.choices import PRECISIONS, SEARCHES
from and_tf.settings import SettingError, at_least, between, setting

if TYPE_CHECKING:
    import keras

    from and_tf.data.sources.source import Source
    from and_tf.methods.method_model import MethodModel


@dataclasses.dataclass(frozen=True)
class AnchorNeighbourhoods(BankMethod):
    """Anchor neighbourhoods.

    Reference: Huang et al., ICML 2019.
    """

    title = "Anchor Neighbourhood Discovery"
    published_name = "AND"

    neighbourhood_size: int = setting(1, "Neighbours of an anchor.", at_least(1))
    anchors: str = setting(
        "entropy",
        "Anchors are the images of lowest entropy (the method) or random ones (its control).",
        choices=tuple(RULES),
    )
    anchor_share: float = setting(
        1.0, "Fraction of the images that are anchors in the last round.", between(0, 1, True)
    )
    discovery_features: str = setting(
        "bank",
        "Neighbours come from the bank (the authors') or from embeddings of clean images.",
        choices=("bank", "clean"),
    )
    neighbour_search: str = setting(
        "exact",
        "Discovery compares all images with one another; faiss: approximate, for tens of millions.",
        choices=SEARCHES,
    )
    discovery_precision: str = setting(
        "float32",
        "Precision of the similarities in discovery; half precision is for GPUs.",
        choices=PRECISIONS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbour_search != "exact" and self.discovery_precision != "float32":
            raise SettingError(
                Argument("discovery_precision", self.discovery_precision),
                " is for ", Argument("neighbour_search", "exact"), ": leave one of them out.",
            )  # fmt: skip

    def build_model(self, encoder: keras.Model, train: Source, seed: int | None) -> MethodModel:
        from and_tf.methods.anchor_neighbourhoods.model import AND

        return AND(
            encoder,
            neighbourhood_size=self.neighbourhood_size,
            **self.model_arguments(train, seed),
        )

    @property
    def variations(self) -> tuple[str, ...]:
        most = f"at most {100 * self.anchor_share:g} % of the images as anchors"
        choices = {
            "random anchors": self.anchors == "random",
            most: self.anchor_share != 1,
            "neighbours of clean images": self.discovery_features == "clean",
        }
        return (*super().variations, *(words for words, is_on in choices.items() if is_on))

    def callbacks(self, context: TrainingContext) -> list[keras.callbacks.Callback]:
        is_clean = self.discovery_features == "clean"
        return [
            *self.options.callbacks(self.plan, context.steps_per_epoch),
            self.curriculum(
                context,
                anchors=self.anchors,
                anchor_share=self.anchor_share,
                features=context.extract_features if is_clean else None,
                search=self.neighbour_search,
                precision=self.discovery_precision,
            ),
        ]
