"""Whether a checkpoint is of the run in whose folder it lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from and_tf.errors import Argument, BrokenFile
from and_tf.runs.flag_file import is_same_text
from and_tf.runs.last_steps import last_steps


def check_checkpoint(
    metadata: Mapping[str, Any],
    path: Path,
    number: int | None,
    texts: Mapping[str, str],
    known: Mapping[str, Any],
) -> None:
    """Refuses a checkpoint of another run; those of earlier versions do not tell.

    Args:
        metadata: of the checkpoint.
        path: of the checkpoint.
        number: of the round that it is the end of; None of none.
        texts: of the run's settings, by name; empty where there are none.
        known: what run.json holds; empty where there is none.

    Raises:
        BrokenFile: if its images or settings are not those of this run, or it has no step, or
            one that the run, or the round, does not come to.
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
    for name, text in origin.get("settings", {}).items():
        if name in texts and not is_same_text(text, texts[name]):
            separator = ", " if parts else ""
            parts += [separator, Argument(name, text), f", here {texts[name]}"]
    content = known.get("content")
    if content is not None and origin.get("images", content) != content:
        parts = ["other images"]
    if parts:
        raise of_another_run(path, parts)


def of_another_run(path: Path, parts: Sequence[Any]) -> BrokenFile:
    """The error for a checkpoint that does not belong to the run in whose folder it lies.

    Args:
        path: of the checkpoint.
        parts: of the message, on what differs.
    """
    return BrokenFile(
        f"The checkpoint {path} is of another run (", *parts, "): put the run's own back (or its "
        "flags.cfg and run.json, if they were changed), or remove it, to go on from an older one "
        "if there is any.",
    )  # fmt: skip
