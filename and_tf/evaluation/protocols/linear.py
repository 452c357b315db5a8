"""A linear classifier on the features, with all labels of the reference images or with a few.

Trained by L-BFGS on features that are extracted once, or by SGD on random crops of the images, as
in the protocol of ImageNet.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from and_tf.errors import Argument, UserError
from and_tf.evaluation.protocols.protocol import (
    EncoderInput,
    Outcome,
    Protocol,
    ProtocolInput,
    describe_seeds,
    distinct,
    hyphenated,
)
from and_tf.evaluation.sgd_settings import CROPPED_FROM, SgdSettings
from and_tf.settings import SettingError, at_least, defaults, flat_values, setting

if TYPE_CHECKING:
    from and_tf.evaluation.images import EvaluationImages

FEW_STEPS = 5_000  # of SGD; 216 on digits ended up to 15 points below the optimum's accuracy


@dataclasses.dataclass(frozen=True)
class Linear(Protocol):
    """Linear classifier."""

    summary = "logistic regression"
    setting_titles: ClassVar = {
        "shots": "labels per class",
        "regularisation": "C",
        "epochs": "epochs",
        "crops": "crops",
    }
    metric_titles: ClassVar = {"top1": "top-1 %", "top5": "top-5 %"}

    solver: str = setting(
        "lbfgs",
        "lbfgs: the optimum on features of clean images, which are kept; sgd: the protocol of "
        "ImageNet, on random crops and flips of the images, of which no features are kept.",
        choices=("lbfgs", "sgd"),
    )
    crops: int = setting(
        1,
        "Crops of an image to classify: 1, the centre; 10, also the corners and the mirror images "
        "of all, with the mean of their probabilities.",
        at_least(1),
    )
    crop_from: int = setting(
        0,
        "With the solver sgd or with 10 crops: pixels that the shorter side of an image is resized "
        "to before it is cropped; by default 8/7 of the image size, 256 for 224.",
        at_least(0),
    )
    few_shot: tuple[int, ...] = setting(
        (), "Train on this many labels per class: 1,5,10,50; by default on all.", at_least(1)
    )
    few_shot_seeds: int = setting(5, "Random draws of these labels.", at_least(1))
    sgd: SgdSettings = dataclasses.field(default_factory=SgdSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crops not in (1, 10):
            raise SettingError(Argument("crops", self.crops), " must be 1 or 10.")
        self._refuse_without_use()
        if not self.few_shot and self.few_shot_seeds != Linear.few_shot_seeds:
            raise SettingError(
                Argument("few_shot_seeds", self.few_shot_seeds),
                " is for few labels: add ", Argument("few_shot", (1, 5, 10, 50)), ".",
            )  # fmt: skip

    def _refuse_without_use(self) -> None:
        """Refuses settings that would have no influence."""
        by_sgd = Argument("solver", "sgd")
        if self.solver != "sgd":
            for name, value in flat_values(self.sgd).items():
                if value != defaults(SgdSettings)[name]:
                    raise SettingError(Argument(name, value), " is for ", by_sgd, ": add it.")
        if self.crop_from and not self.takes_images:
            raise SettingError(
                Argument("crop_from", self.crop_from), " is for ", by_sgd, " or ",
                Argument("crops", 10), ": add one of them.",
            )  # fmt: skip
        if self.few_shot and self.takes_images:
            used = by_sgd if self.solver == "sgd" else Argument("crops", self.crops)
            raise SettingError(
                Argument("few_shot", self.few_shot),
                " takes features of whole images, once: leave out ", used, ".",
            )  # fmt: skip

    @property
    def takes_images(self) -> bool:
        return self.solver == "sgd" or self.crops > 1

    @property
    def max_values(self) -> int:
        # 96 x 10 x 10, 256 x 6 x 6 and 384 x 5 x 5 are the published sizes of conv1 to conv5.
        return 9600 if self.solver == "sgd" else super().max_values

    def check(self, images: EvaluationImages) -> None:
        """Refuses images with too few labels for the requested shots; see `Protocol.check`."""
        if not self.few_shot:
            return
        labels = images.labels
        counts = np.bincount(labels[labels >= 0], minlength=len(images.class_names))
        if counts.min() < max(self.few_shot):
            raise UserError(
                Argument("few_shot", max(self.few_shot)),
                " needs as many labelled images of each class, and "
                f"{images.reference.name} has {counts.min()} of the class "
                f"{images.class_names[counts.argmin()]!r}: lower it or add images.",
            )

    def check_cost(self, given: EncoderInput) -> None:
        """Logs the memory that classifiers and features take; see `Protocol.check_cost`."""
        from and_tf.evaluation import linear_memory

        if self.solver == "sgd":
            linear_memory.log_sgd(given, self.sgd.sgd_batch_size, self.resized(given.image_size))
        elif not self.few_shot:
            linear_memory.check_lbfgs(given)

    def resized(self, image_size: int) -> int:
        """Side in pixels of the square that crops are cut from.

        Raises:
            UserError: if it is smaller than a crop.
        """
        side = self.crop_from or round(image_size * CROPPED_FROM)
        if side < image_size:
            raise UserError(
                Argument("crop_from", side), f" is smaller than the crops, of {image_size} pixels, "
                "the run's image size: raise it.",
            )  # fmt: skip
        return side

    def run_on_images(self, given: EncoderInput) -> list[Outcome]:
        """One outcome for each layer, trained by SGD or measured on ten crops."""
        from and_tf.evaluation.protocols.linear_on_images import linear_outcomes

        return linear_outcomes(self, given)

    def run(self, given: ProtocolInput) -> list[Outcome]:
        """One outcome, or one for each number of labels per class."""
        if self.few_shot:
            return self._run_few_shot(given)
        from and_tf.evaluation.knn import accuracy
        from and_tf.evaluation.linear import fit_linear

        classifier = fit_linear(
            given.reference,
            given.images.labels,
            num_classes=len(given.images.class_names),
            memory_mb=given.memory_bytes >> 21,  # half of it
        )
        scores = classifier.predict_scores(given.queries)
        row = {"regularisation": classifier.regularisation, "converged": classifier.converged}
        row |= accuracy(scores, given.images.query_labels)
        return [Outcome(row, scores.argmax(axis=1))]

    def _run_few_shot(self, given: ProtocolInput) -> list[Outcome]:
        from and_tf.evaluation.few_shot import few_shot_accuracy

        found = few_shot_accuracy(
            given.reference,
            given.images.labels,
            given.queries,
            given.images.query_labels,
            shots=self.few_shot,
            num_seeds=self.few_shot_seeds,
            class_names=given.images.class_names,
        )
        outcomes = []
        for shots, (mean, std) in found.items():
            row = {"shots": shots, "seeds": self.few_shot_seeds}
            outcomes.append(Outcome(row | {"top1": mean, "top1_deviation": std}))
        return outcomes

    def describe(self, images: EvaluationImages, rows: list[dict]) -> str:
        """The classifier, with its regularisation and the number of labels."""
        if self.solver == "sgd":
            return f"linear classifier by SGD ({self._recipe()}), {self._crops()}"
        words = "logistic regression on standardised features"
        if self.crops > 1:
            words += f", {self._crops()}"
        if self.few_shot:
            return f"{words}, {distinct(rows, 'shots')} labels per class" + describe_seeds(rows)
        several = len({row["regularisation"] for row in rows}) > 1
        words += ", C of each layer" if several else f", C = {distinct(rows, 'regularisation')}"
        words += " chosen on a tenth of the training images"
        return words if all(row["converged"] for row in rows) else f"{words} (not converged)"

    def remarks(self, images: EvaluationImages, rows: list[dict]) -> list[str]:
        """Whether SGD took too few steps for its result to show how good the features are."""
        steps = self.sgd.sgd_epochs * -(-int((images.labels >= 0).sum()) // self.sgd.sgd_batch_size)
        remarks = []
        if self.solver == "sgd" and steps < FEW_STEPS:
            remarks.append(
                f"SGD took only {steps:,} steps (ImageNet: 180,000), from weights of 0: more "
                "epochs or smaller batches will raise the accuracy, and L-BFGS finds the optimum."
            )
        return remarks + super().remarks(images, rows)

    def _recipe(self) -> str:
        sgd = self.sgd
        return (
            f"{sgd.sgd_epochs} epochs, learning rate {sgd.sgd_learning_rate:g}, weight decay "
            f"{sgd.sgd_weight_decay:g}, batch {sgd.sgd_batch_size}, seed {sgd.sgd_seed}, random "
            "crops and flips"
        )

    def _crops(self) -> str:
        return "centre crop" if self.crops == 1 else f"mean of {self.crops} crops"

    def file_name_parts(self) -> list[str]:
        """The numbers of labels per class, if given; else the settings that were changed."""
        if self.few_shot:
            return [f"shots{hyphenated(self.few_shot)}_seeds{self.few_shot_seeds}"]
        return super().file_name_parts()
