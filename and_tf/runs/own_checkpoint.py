"""Checks that a checkpoint belongs to the run in whose folder it is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from and_tf.errors import Argument, BrokenFile
from and_tf.runs.flag_file import is_same_text
from and_tf.runs.last_steps import last_steps
from and_tf.settings.former import FORMER


def check_checkpoint(
    metadata: Mapping[str, Any],
    path: Path,
    number: int | None,
    texts: Mapping[str, str],
    known: Mapping[str, Any],
) -> None:
    """Refuses a checkpoint of another run; those of earlier versions cannot be told apart.

    Args:
        metadata: of the checkpoint.
        path: of the checkpoint.
        number: the round that ends with it; None for any other checkpoint.
        texts: the run's settings as text, by name; empty if there are none.
        known: the contents of run.json; empty if there is none.

    Raises:
        BrokenFile: if its images or settings are not those of this run, or if it has no step or one
            that the run, or the round, does not reach.
    """
    fault = "" if "step" in metadata else "there is no 'step'"
    if not fault and number is not None and metadata.get("round", number) != number:
        fault = f"it is of round {metadata['round']}"
    if not fault and (last := last_steps(texts, known, number)):
        fault = last.fault(metadata)
    if fault:
        raise BrokenFile(
            f"The checkpoint {path} is corrupt ({fault}): restore it from a copy, or remove it."
        )
    _check_origin(metadata.get("origin", {}), path, texts, known)


def _check_origin(
    origin: Mapping[str, Any], path: Path, texts: Mapping[str, str], known: Mapping[str, Any]
) -> None:
    parts: list[Any] = []
    kept = {name: former.kept for name, former in FORMER.items()}  # where flags.cfg has none
    here = kept | dict(texts) if texts else {}
    for name, text in origin.get("settings", {}).items():
        if name in here and not is_same_text(text, here[name]):
            separator = ", " if parts else ""
            parts += [separator, Argument(name, text), f", here {here[name]}"]
    content = known.get("content")
    if content is not None and origin.get("images", content) != content:
        parts = ["other images"]
    if parts:
        raise of_another_run(path, parts)


def of_another_run(path: Path, parts: Sequence[Any]) -> BrokenFile:
    """The error for a checkpoint that does not belong to the run in whose folder it is.

    Args:
        path: of the checkpoint.
        parts: parts of the message that describe what differs.
    """
    return BrokenFile(
        f"The checkpoint {path} is of another run (", *parts, "): put the run's own back (or its "
        "flags.cfg and run.json, if they were changed), or remove it, to continue from an older "
        "one if there is one.",
    )  # fmt: skip
