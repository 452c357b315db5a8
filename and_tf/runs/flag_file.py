"""A run's flags.cfg: every setting with its value, one per line, readable by `--flagfile`."""

from pathlib import Path
from typing import Any

from and_tf.errors import Argument, BrokenFile, UserError
from and_tf.runs.schema import read_regular
from and_tf.settings import Settings, flat_values

MOST_BYTES = 1 << 20  # a hundred times as large as a real one


def flag_file_text(settings: Settings) -> str:
    """The text of flags.cfg.

    Raises:
        UserError: if reading the file would not return the same value.
    """
    lines = []
    for name, value in flat_values(settings).items():
        text = _text_of(value)
        if text != text.rstrip() or len(text.splitlines()) > 1 or not _is_unicode(text):
            raise UserError(
                Argument(name, value),
                " ends in a space, or holds a line break or bytes that are not UTF-8: rename it, "
                "or name a link to it.",
            )
        lines.append(f"--{name}={text}\n")
    return "".join(lines)


def _text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a file name that Python could not decode
        return False
    return True


def read_flag_file(path: Path) -> dict[str, str]:
    """Reads the text of each setting by its name, for `settings.parse_all`.

    Raises:
        BrokenFile: if the file is not a regular one, is too large or not UTF-8, or if a line is not
            a flag.
    """
    texts = {}
    try:
        for line in read_regular(path, MOST_BYTES).decode("utf-8-sig").splitlines():
            name, is_equal, text = line.partition("=")
            if not name.startswith("--") or not is_equal:
                raise BrokenFile(f"{path} is corrupt (the line {line!r}): restore it.")
            texts[name[2:]] = text
    except ValueError as error:
        raise BrokenFile(f"{path} is corrupt ({error}): restore it.") from error
    return texts


def is_same_text(one: str, other: str) -> bool:
    """Whether two texts of a setting have the same meaning, as 0.1 and 0.10 do."""
    if one == other:
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        return one.lower() == other.lower()
