"""The papers' results, from published.json, and whether a run's may be compared with them."""

import dataclasses
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.json")

Column = tuple[str, str]  # protocol and layer
KNN: Column = ("weighted kNN", "fc")
LINEAR = "linear"


@dataclasses.dataclass(frozen=True)
class Setting:
    """What a result depends on apart from the method; None for what is not known.

    Attributes:
        data: `CIFAR-10`, `CIFAR-100`, `SVHN`, `ImageNet`, or another data set's own name.
        images, held_out_images: how many are trained on, and how many are classified.
        encoder: name of the network.
        image_size: side of its input in pixels.
        embedding_dim: length of an embedding.
        epochs: of training.
        variations: what was changed in the published method, as phrases that follow "with".
    """

    data: str
    images: int
    held_out_images: int
    encoder: str | None
    image_size: int | None = 32
    embedding_dim: int | None = 128
    epochs: int | None = 1000
    variations: tuple[str, ...] = ()

    def __str__(self) -> str:
        names = {"alexnet": "AlexNet", "resnet18": "ResNet18"}
        network = names.get(self.encoder or "", self.encoder)
        return f"{self.data} with {network}" if network else self.data


@dataclasses.dataclass(frozen=True)
class Row:
    """The published results of a method.

    Attributes:
        values: top-1 in percent by each protocol, None for no result.
        source: address.
        epochs: of training; None if not recorded.
        recipe: settings of its training, by their names here; empty if not recorded.
    """

    values: tuple[float | None, ...]
    source: str
    epochs: int | None = None
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Caveat:
    """What to bear in mind when comparing, and the address of its source."""

    text: str
    source: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Published results, all for one setting.

    Attributes:
        setting: theirs, without epochs, which differ between rows.
        columns: the protocol and layer of each result, as `("weighted kNN", "fc")`.
        rows: by method.
        caveats: of this setting.
    """

    setting: Setting
    columns: tuple[Column, ...]
    rows: Mapping[str, Row]
    caveats: tuple[Caveat, ...]

    def result(self, method: str, column: Column | None) -> float | None:
        """A method's result by a protocol on a layer, or None."""
        if method not in self.rows or column not in self.columns:
            return None
        return self.rows[method].values[self.columns.index(column)]


@functools.cache
def tables() -> tuple[Table, ...]:
    """All published tables."""
    contents = _contents()
    return tuple(_table(contents, entry) for entry in contents["tables"])


@functools.cache
def _contents() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def _table(contents: dict[str, Any], entry: dict[str, Any]) -> Table:
    url = {name: source["url"] for name, source in contents["sources"].items()}
    counts = contents["data_sets"][entry["data"]]
    fields = ("data", "encoder", "image_size", "embedding_dim")
    setting = Setting(
        images=counts["images"],
        held_out_images=counts["held_out_images"],
        epochs=None,
        **{name: entry[name] for name in fields},
    )
    return Table(
        setting,
        tuple((protocol, layer) for protocol, layer in entry["columns"]),
        {row["method"]: _row(contents, row) for row in entry["rows"]},
        tuple(
            Caveat(caveat["text"], url[caveat["source"]])
            for caveat in contents["caveats"]
            if caveat["applies_to"].items() <= _conditions(entry).items()
        ),
    )


def _row(contents: dict[str, Any], row: dict[str, Any]) -> Row:
    recipe = contents["recipes"][row["recipe"]] if "recipe" in row else {}
    url = contents["sources"][row["source"]]["url"]
    return Row(tuple(row["values"]), url, row.get("epochs"), recipe)


def _conditions(entry: dict[str, Any]) -> dict[str, Any]:
    """The properties of a table that decide whether a caveat applies."""
    return {name: entry[name] for name in ("data", "encoder", "image_size")}


def data_name(spec: str) -> str:
    """The papers' name of a data set given as for `open_source`; any other spec unchanged."""
    kind = spec.split(":")[0]
    found = spec.split("/")[0].lower() if kind == "tfds" else kind
    for name, data_set in _contents()["data_sets"].items():
        if found in data_set["specs"]:
            return name
    return spec


def nearest_table(setting: Setting) -> Table:
    """The published table with the same data set, or else the nearest image size and network."""

    def distance(table: Table) -> tuple[bool, ...]:
        theirs = table.setting
        return (
            theirs.data != setting.data,
            theirs.encoder is None,
            ((theirs.image_size or 0) > 64) != ((setting.image_size or 0) > 64),
            _is_resnet(theirs) != _is_resnet(setting),
        )

    return min(tables(), key=distance)  # the first of equally near ones: CIFAR-10


def _is_resnet(setting: Setting) -> bool:
    return (setting.encoder or "").startswith("resnet")


def differences(ours: Setting, theirs: Setting) -> list[str]:
    """Why results of one setting may not be compared with those of another; empty if they may."""
    if ours.data != theirs.data:
        return [f"the data set is {ours.data}, not {theirs.data}"]
    reasons = []
    for name, here, there in (
        ("training", ours.images, theirs.images),
        ("test", ours.held_out_images, theirs.held_out_images),
    ):
        if here != there:
            reasons.append(f"{here:,} {name} images, not {there:,}")
    if theirs.encoder is None:
        return [*reasons, "network and image size of the published results are not recorded here"]
    if ours.encoder != theirs.encoder:
        reasons.append(f"the encoder is {ours.encoder}, not {theirs.encoder}")
    if ours.image_size != theirs.image_size:
        reasons.append(f"images of {ours.image_size} pixels, not {theirs.image_size}")
    if ours.embedding_dim != theirs.embedding_dim:
        reasons.append(f"embeddings of {ours.embedding_dim} values, not {theirs.embedding_dim}")
    if theirs.epochs and ours.epochs != theirs.epochs:
        reasons.append(f"{ours.epochs:,} epochs, not {theirs.epochs:,}")
    return [*reasons, *(f"with {words}" for words in ours.variations)]


def departures(values: Mapping[str, Any], recipe: Mapping[str, Any]) -> list[str]:
    """Which settings of a run differ from a recipe, as phrases.

    Args:
        values: all its settings by name.
        recipe: of a `Row`; settings that the run does not have are left out.
    """
    return [
        f"{name} is {_in_words(values[name])}, not {_in_words(value)}"
        for name, value in recipe.items()
        if name in values and values[name] != value
    ]


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
