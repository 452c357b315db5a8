"""Settings that earlier versions had, in the runs and flagfiles that they wrote."""

from collections.abc import Iterable, Iterator, Mapping

from and_tf.errors import Argument, UserError

# Each with the value that is what this version does, and the last version that had another.
FORMER = {"neighbours": ("nearest", "0.4")}


def without_former(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of settings by name, without former settings.

    Raises:
        UserError: if one has a value that this version no longer has.
    """
    for name in texts.keys() & FORMER.keys():
        _check(name, texts[name])
    return {name: text for name, text in texts.items() if name not in FORMER}


def words_without_former(words: Iterable[str]) -> Iterator[str]:
    """The words of a command line, without former flags.

    Raises:
        UserError: as `without_former`.
    """
    for word in words:
        name, _, text = word.lstrip("-").partition("=")
        if word.startswith("-") and name in FORMER:
            _check(name, text)
        else:
            yield word


def _check(name: str, text: str) -> None:
    remaining, version = FORMER[name]
    if text.lower() != remaining:
        raise UserError(
            Argument(name, text), f" was removed after version {version}, because it gained "
            "nothing (docs/results.md): leave it out, or use that version.",
        )  # fmt: skip
