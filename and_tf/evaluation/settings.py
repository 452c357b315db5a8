"""What an evaluation compares, and by which protocol."""

import dataclasses

from and_tf.settings import Settings, at_least, setting


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
    labels: str | None = setting(
        None, "Where the labels of a folder come from.", choices=("folders", "none")
    )


LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")
LAYERS += ("stem", "stage1", "stage2", "stage3", "stage4", "fc", "all")


@dataclasses.dataclass(frozen=True)
class EvaluationSettings(Settings):
    """Evaluation."""

    classifier: str = setting(
        "knn",
        "The protocol. knn: nearest images vote by similarity; nn: the single nearest image; "
        "linear: logistic regression; retrieval: recall and mean average precision; clusters: "
        "k-means, with or without labels.",
        choices=("knn", "nn", "linear", "retrieval", "clusters"),
    )
    layer: str = setting(
        "fc",
        "Layer whose features are used; conv1..conv5 mean stem..stage4 on a ResNet; all: each in "
        "turn, from one pass over the images.",
        choices=LAYERS,
    )
    bank: str = setting(
        "recomputed",
        "Features of the reference images: recomputed from clean images, or the training bank.",
        choices=("recomputed", "memory"),
    )
    max_values: int = setting(9000, "Feature maps are pooled to this many values.", at_least(1))
    memory_mb: int = setting(
        4096, "Features and similarities held in memory at once.", at_least(64)
    )


@dataclasses.dataclass(frozen=True)
class ProtocolSettings(Settings):
    """Protocols."""

    k: tuple[int, ...] | None = setting(
        None, "Neighbours of weighted kNN, one or several: 1,5,20,200; by default 200.",
        at_least(1),
    )  # fmt: skip
    knn_temperature: tuple[float, ...] | None = setting(
        None, "Temperatures of weighted kNN, one or several; by default 0.1.", at_least(1 / 690)
    )
    few_shot: tuple[int, ...] | None = setting(
        None, "Train the linear classifier on so many labels a class: 1,5,10,50.", at_least(1)
    )
    few_shot_seeds: int | None = setting(None, "Draws of these labels; by default 5.", at_least(1))
    clusters: int | None = setting(None, "Clusters; by default the number of classes.", at_least(2))
