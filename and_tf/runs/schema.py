"""Schemas of the files of runs and exports: names, types and ranges, in one place.

A folder may come from an untrusted source or have been edited, so whatever is read from it is
validated. Fields that a schema does not name must follow `others`: later versions may write more.
Fields that earlier versions did not write may be missing.
"""

import base64
import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from and_tf.errors import BrokenFile

MOST = 2**31 - 1  # the largest integer, as in settings
LARGEST = 1e30  # the largest other number: beyond it, computations in float32 overflow
# Of a JSON file. The largest that is written, a run's network, has less than 1 MB.
MOST_BYTES = 64 << 20
SHOWN = 60  # characters of a value in a message


class Rule(NamedTuple):
    """What one value may be.

    Attributes:
        words: description of valid values, worded to follow "not".
        takes: whether a value is valid.
    """

    words: str
    takes: Callable[[Any], bool]


class Schema(NamedTuple):
    """What an object of named values may contain.

    Attributes:
        fields: rules by name.
        required: names that must not be missing.
        others: rule for fields that are not in `fields`; None to accept anything.
    """

    fields: Mapping[str, Rule]
    required: Collection[str] = ()
    others: Rule | None = None

    def fault(self, found: object) -> str:
        """Describes what is wrong with an object, with field and value; empty if nothing is."""
        if not isinstance(found, dict):
            return f"it holds {_shown(found)}, not an object of named values"
        for name in self.required:
            if name not in found:
                return f"there is no {name!r}"
        for name, value in found.items():
            rule = self.fields.get(name, self.others)
            if rule is not None and not rule.takes(value):
                return f"{_shown(name)[1:-1]} is {_shown(value)}, not {rule.words}"
        return ""


def whole(lowest: int = 0, highest: int = MOST) -> Rule:
    """An integer in a range."""
    return Rule(
        f"a whole number from {lowest} to {highest}",
        lambda v: isinstance(v, int) and not isinstance(v, bool) and lowest <= v <= highest,
    )


def number(lowest: float = -LARGEST, highest: float = LARGEST) -> Rule:
    """A finite number in a range."""
    if (lowest, highest) == (-LARGEST, LARGEST):
        return Rule("a number", lambda v: _is_number(v) and abs(v) <= LARGEST)
    return Rule(
        f"a number from {lowest:g} to {highest:g}",
        lambda v: _is_number(v) and lowest <= v <= highest,
    )


def list_of(rule: Rule, shortest: int = 0, longest: int = MOST) -> Rule:
    """A list of values that each follow a rule."""
    return Rule(
        f"a list whose items are each {rule.words}",
        lambda v: isinstance(v, list) and shortest <= len(v) <= longest and all(map(rule.takes, v)),
    )


def object_of(schema: Schema) -> Rule:
    """An object that follows its own schema."""
    names = ", ".join(schema.fields) or "values"
    return Rule(f"an object of {names}", lambda v: not schema.fault(v))


def or_null(rule: Rule) -> Rule:
    """A value, or null."""
    return Rule(f"{rule.words} or null", lambda v: v is None or rule.takes(v))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not _is_nan(value)


def _is_nan(value: float) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_base64(text: str) -> bool:
    try:
        return len(base64.b64decode(text)) % 4 == 0  # of float32
    except ValueError:
        return False


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = f'"{type(value).__name__}"'
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


TEXT = Rule("a string", lambda v: isinstance(v, str))
FLAG = Rule("true or false", lambda v: isinstance(v, bool))
CHECKSUM = or_null(whole(0, 2**32 - 1))
NUMBER = number()
PERCENT = number(-1e-6, 100 + 1e-6)  # allows for rounding
# NaN and infinity are valid results of a metric, for instance if all embeddings are equal.
METRIC = Rule(
    "a number", lambda v: NUMBER.takes(v) or (isinstance(v, float) and not math.isfinite(v))
)
METRICS_OF_EPOCH = object_of(Schema({}, others=METRIC))

RUN = Schema(
    {
        "images": whole(1),
        "fingerprint": TEXT,
        "content": TEXT,
        "held_out_fingerprint": TEXT,
        "held_out_content": TEXT,
        "labels": CHECKSUM,
        "held_out_labels": CHECKSUM,
        "boxes": CHECKSUM,
        "mean": list_of(number(-1e6, 1e6), 1, 4),
        "std": list_of(number(1e-9, 1e6), 1, 4),  # it is divided by
        "tensorflow": TEXT,
        "keras": TEXT,
        "python": TEXT,
        "onednn": TEXT,
        "loaded_layers": list_of(TEXT),
        "raw_pixels_knn_top1": PERCENT,
        "raw_pixels_knn_top1_train": PERCENT,
        "init_knn_top1": PERCENT,
    },
    required=("mean", "std"),
)

# A run's origin in its checkpoints: its images, and the settings that change its result.
ORIGIN = Schema({"images": TEXT, "settings": object_of(Schema({}, others=TEXT))})

CHECKPOINT = Schema(
    {
        "step": whole(),
        "epoch": whole(),
        "round": whole(),
        "best": number(-1, 100 + 1e-6),  # -1 before any was measured
        "knn_top1_train": PERCENT,
        "origin": object_of(ORIGIN),
        "interrupted": object_of(
            Schema({"epoch": whole(), "logs": METRICS_OF_EPOCH}, required=("epoch", "logs"))
        ),
        "curriculum": METRICS_OF_EPOCH,
        "clusters": object_of(Schema({"kmeans": TEXT}, others=METRIC)),
    }
)

RECORD = Schema(  # a line of metrics.jsonl
    {"step": whole(), "epoch": whole(), "round": whole()}, required=("step",), others=METRIC
)


ENCODER = Schema(  # encoder.json of an export
    {
        "image_size": whole(1, 8192),
        "embedding_dim": whole(1, 1 << 24),
        "normalised": FLAG,
        "encoder": TEXT,
        "layer": TEXT,
        "format": TEXT,
        "precision": TEXT,
        "checksum": TEXT,
        "and_tf_version": TEXT,
        "keras_version": TEXT,
        "lowest_keras_version": TEXT,
        "reference": object_of(Schema({"image": TEXT, "embedding": list_of(NUMBER), "use": TEXT})),
    }
)


TABLE = Schema(  # of a table of embeddings
    {
        "rows": TEXT,
        "images": TEXT,
        "model": TEXT,
        "checkpoint": TEXT,
        "layer": TEXT,
        "image_size": whole(1, 8192),
        "batch_size": whole(1),
        "reference": Rule("a base64 string", lambda v: isinstance(v, str) and _is_base64(v)),
        "version": TEXT,
    }
)

PACKED_SPLIT = Schema(
    {
        "ends": list_of(whole(1), shortest=1),
        "fingerprint": TEXT,
        "identity": TEXT,
        "class_names": or_null(list_of(TEXT)),
        "has_names": FLAG,
        "broken": list_of(list_of(TEXT, shortest=2, longest=2)),
        "boxed": or_null(TEXT),
    },
    required=(
        "ends", "fingerprint", "identity", "class_names", "has_names", "broken", "boxed",
    ),
)  # fmt: skip

PACK = Schema(  # of a packed folder
    {"version": whole(1), "splits": object_of(Schema({}, others=object_of(PACKED_SPLIT)))},
    required=("version", "splits"),
)

INDEX = Schema(  # of a faiss index next to a table, after what faiss has written
    {"fingerprint": TEXT, "recall": number(0, 100 + 1e-6), "nprobe": whole(1)},
    required=("fingerprint", "recall", "nprobe"),
)


def evaluation(numbers: Collection[str]) -> Schema:
    """The schema of a results file of evaluate.py.

    Args:
        numbers: names of the settings and metrics that it may contain.
    """
    measured = dict.fromkeys(numbers, NUMBER)
    row = Schema({"layer": TEXT, "values": whole(), **measured})
    texts = dict.fromkeys(("protocol", "classifier", "layer", "checkpoint", "reference"), TEXT)
    return Schema(
        {
            **texts,
            "queries": TEXT,
            "step": whole(),
            "epoch": whole(),
            "rows": list_of(object_of(row)),
            "notes": list_of(TEXT),
            "files": list_of(TEXT),
            **measured,
        },
        required=("protocol",),
    )


def parse(text: str | bytes) -> Any:
    """Parses JSON.

    Raises:
        ValueError: if the text is not valid JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_object(path: Path, schema: Schema, remedy: str = "restore it") -> dict[str, Any]:
    """Reads the object in a JSON file and checks it against a schema.

    Raises:
        BrokenFile: if it is invalid or cannot be read; names the file, the field and the value.
    """
    try:
        found = parse(read_regular(path))
        fault = schema.fault(found)
    except (OSError, ValueError) as error:
        fault = str(error)
    if fault:
        raise BrokenFile(f"{path} cannot be read ({fault}): {remedy}.")
    return found


def read_regular(path: Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Reads the bytes of a file; refuses a pipe or a device, which may never end.

    Args:
        path: of the file.
        most_bytes: largest size to read; a larger file is refused.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it is not a regular file, or is larger than `most_bytes`.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        is_larger = os.fstat(file.fileno()).st_size > most_bytes  # read only if it is not
        content = b"" if is_larger else file.read(most_bytes + 1)
    if is_larger or len(content) > most_bytes:
        raise ValueError(f"it has more than {most_bytes >> 20:,} MB")
    return content
