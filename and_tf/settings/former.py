"""Settings that earlier versions had, in the runs and flagfiles that they wrote."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from and_tf.errors import Argument, UserError


class Former(NamedTuple):
    """A setting that no longer exists.

    Attributes:
        kept: the value that does what this version does without the setting.
        removed: its other values.
        version: the last one that had it.
    """

    kept: str
    removed: tuple[str, ...]
    version: str


FORMER = {"neighbours": Former("nearest", ("mutual",), "0.4")}


def without_former(texts: Mapping[str, str], path: Path) -> dict[str, str]:
    """The texts of a run's settings by name, without former settings; unknown values stay.

    Args:
        texts: by name.
        path: of the file that holds them.

    Raises:
        UserError: if one has a removed value.
    """
    left = {}
    for name, text in texts.items():
        former = FORMER.get(name)
        if former is not None and text in former.removed:
            raise UserError(
                f"{path} has ", Argument(name, text), ", which was removed after version "
                f"{former.version}: continue with that version, or train again in another ",
                Argument("workdir"), ". Its encoder can still be evaluated and exported.",
            )  # fmt: skip
        if former is None or text != former.kept:
            left[name] = text
    return left


def words_without_former(words: Iterable[str]) -> Iterator[str]:
    """The words of a command line without former flags; those with unknown values stay.

    Raises:
        UserError: if one has a removed value.
    """
    words = iter(words)
    for word in words:
        name, is_equal, text = word.lstrip("-").partition("=")
        former = FORMER.get(name) if word.startswith("-") else None
        if former is None:
            yield word
            continue
        text = text if is_equal else next(words, "")
        if text in former.removed:
            raise UserError(
                Argument(name, text), f" was removed after version {former.version}, because it "
                "gained nothing: leave it out, or use that version.",
            )  # fmt: skip
        if text != former.kept:
            yield f"--{name}={text}"
