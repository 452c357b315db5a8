"""The figures of the papers, and whether a run's may be held against them."""

import dataclasses

AND_PAPER = "https://arxiv.org/abs/1904.11567"  # Huang et al., ICML 2019
SUPER_AND_PAPER = "https://arxiv.org/abs/2002.12158"  # Han et al., 2020, for ResNet18
ISL_PAPER = "https://arxiv.org/abs/2108.02721"  # Wang et al., ICCV 2021: its small AlexNet


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a figure depends on besides the method.

    Attributes:
        data: `CIFAR-10`, `CIFAR-100`, `SVHN`, `ImageNet`, or another data set's own name.
        images, held_out_images: how many are trained on and classified.
        encoder: name of the network.
        image_size: side of its input in pixels.
        embedding_dim: length of an embedding.
        epochs: of training; None where it does not matter or is not known.
    """

    data: str
    images: int
    held_out_images: int
    encoder: str
    image_size: int = 32
    embedding_dim: int = 128
    epochs: int | None = 1000


@dataclasses.dataclass(frozen=True)
class Table:
    """Published top-1 figures in percent, all of one setting.

    Attributes:
        setting: theirs.
        source: address of the paper.
        columns: the protocol and layer of each figure, as `("weighted kNN", "fc")`.
        rows: figures by method, None where the paper has none.
    """

    setting: Setting
    source: str
    columns: tuple[tuple[str, str], ...]
    rows: dict[str, tuple[float | None, ...]]

    def figure(self, method: str, column: tuple[str, str]) -> float | None:
        """A method's figure by a protocol on a layer, or None."""
        if method not in self.rows or column not in self.columns:
            return None
        return self.rows[method][self.columns.index(column)]


KNN, LINEAR = ("weighted kNN", "fc"), "linear"


def _small_alexnet(data: str, images: int, held_out: int, **rows) -> Table:
    setting = Setting(data, images, held_out, "alexnet")
    rows = {name.replace("_", "-"): figures for name, figures in rows.items()}
    return Table(setting, AND_PAPER, (KNN, (LINEAR, "conv5")), rows)


def _resnet18(data: str, images: int, held_out: int, **rows) -> Table:
    setting = Setting(data, images, held_out, "resnet18")
    rows = {name.replace("_", "-"): (figure,) for name, figure in rows.items()}
    return Table(setting, SUPER_AND_PAPER, (KNN,), rows)


CIFAR10, CIFAR100 = ("CIFAR-10", 50_000, 10_000), ("CIFAR-100", 50_000, 10_000)
SVHN = ("SVHN", 73_257, 26_032)

TABLES = (
    _small_alexnet(
        *CIFAR10, Split_Brain=(11.7, 67.1), DeepCluster=(62.3, 77.9), Instance=(60.3, 70.1),
        AND=(74.8, 77.6), supervised=(91.9, 91.8),
    ),
    _small_alexnet(
        *CIFAR100, Split_Brain=(1.3, 39.0), DeepCluster=(22.7, 41.9), Instance=(32.7, 39.4),
        AND=(41.5, 47.9), supervised=(69.7, 71.0),
    ),
    _small_alexnet(
        *SVHN, Split_Brain=(19.7, 77.3), DeepCluster=(84.9, 92.0), Instance=(79.8, 89.3),
        AND=(90.9, 93.7), supervised=(96.5, 96.1),
    ),
    _resnet18(*CIFAR10, Instance=80.8, AND=86.3, Super_AND=89.2),
    _resnet18(*CIFAR100, Instance=50.7, AND=57.2, Super_AND=61.5),
    _resnet18(*SVHN, Instance=93.6, AND=94.4, Super_AND=94.9),
    Table(
        Setting("ImageNet", 1_281_167, 50_000, "alexnet", image_size=224, epochs=None),
        AND_PAPER,
        (*((LINEAR, f"conv{i}") for i in range(1, 6)), (LINEAR, "fc"), KNN),
        {
            "random": (11.6, 17.1, 16.9, 16.3, 14.1, None, 3.5),
            "Split-Brain": (17.7, 29.3, 35.4, 35.2, 32.8, None, 11.8),
            "DeepCluster": (13.4, 32.3, 41.0, 39.6, 38.2, None, 26.8),
            "Instance": (16.8, 26.5, 31.8, 34.1, 35.6, None, 31.3),
            "AND": (15.6, 27.0, 35.9, 39.7, 37.9, 36.7, 31.3),
            "supervised": (19.3, 36.3, 44.2, 48.3, 50.5, None, None),
        },
    ),
)  # fmt: skip

_DATA_NAMES = {
    "tfds:cifar10": "CIFAR-10",
    "tfds:cifar100": "CIFAR-100",
    "tfds:svhn_cropped": "SVHN",
    "tfds:imagenet2012": "ImageNet",
}


def data_name(spec: str) -> str:
    """The papers' name of a data set given by `--data`, else that name itself."""
    if spec.startswith("mat:"):
        return "SVHN"
    return _DATA_NAMES.get(spec.split("/")[0].lower(), spec)


def nearest_table(setting: Setting) -> Table:
    """The published table whose data set, else whose size of images and network, is nearest."""

    def distance(table: Table) -> tuple:
        theirs = table.setting
        return (
            theirs.data != setting.data,
            (theirs.image_size > 64) != (setting.image_size > 64),
            theirs.encoder.startswith("resnet") != setting.encoder.startswith("resnet"),
        )

    return min(TABLES, key=distance)  # of equally near ones the first: CIFAR-10


def differences(ours: Setting, theirs: Setting) -> list[str]:
    """Why figures of one setting may not be held against those of another; empty: they may."""
    if ours.data != theirs.data:
        return [f"the data set is {ours.data}, not {theirs.data}"]
    reasons = []
    for name, here, there in (
        ("training", ours.images, theirs.images),
        ("test", ours.held_out_images, theirs.held_out_images),
    ):
        if here != there:
            reasons.append(f"{here:,} {name} images, not {there:,}")
    if ours.encoder != theirs.encoder:
        reasons.append(f"the encoder is {ours.encoder}, not {theirs.encoder}")
    if ours.image_size != theirs.image_size:
        reasons.append(f"images of {ours.image_size} pixels, not {theirs.image_size}")
    if ours.embedding_dim != theirs.embedding_dim:
        reasons.append(f"embeddings of {ours.embedding_dim} values, not {theirs.embedding_dim}")
    if theirs.epochs and ours.epochs != theirs.epochs:
        reasons.append(f"{ours.epochs:,} epochs, not {theirs.epochs:,}")
    return reasons
