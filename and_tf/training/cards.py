"""The cards of configs/: found by name in a checkout and in an installed package."""

from pathlib import Path

import and_tf
from and_tf.errors import NotFound
from and_tf.runs.places import expanded

SUFFIX = ".cfg"


def cards() -> dict[str, Path]:
    """The shipped cards by name."""
    return {path.stem: path for path in sorted(_folder().glob(f"*{SUFFIX}"))}


def _folder() -> Path:
    package = Path(and_tf.__file__).parent
    installed = package / "configs"  # pyproject.toml copies it there
    return installed if installed.is_dir() else package.parent / "configs"


def card(name: str) -> Path:
    """The file of a card.

    Args:
        name: of a shipped card, such as `folder`, or the path of a file.

    Raises:
        NotFound: if neither exists.
    """
    known = cards()
    if name in known:
        return known[name]
    path = expanded(name)
    if path.is_file():
        return path
    raise NotFound(
        f"There is no card {name!r}: name a file, or one of {', '.join(known) or 'none'}."
    )


def read_card(name: str) -> dict[str, str]:
    """Reads a card: the text of each setting by its name, for `settings.parse_all`.

    Args:
        name: as in `card`.

    Raises:
        NotFound: as in `card`.
    """
    texts = {}
    for line in card(name).read_text(encoding="utf-8-sig").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        flag, is_equal, text = line.strip().lstrip("-").partition("=")
        if not is_equal:  # a boolean
            flag, text = (flag[2:], "false") if flag.startswith("no") else (flag, "true")
        texts[flag] = text
    return texts


def describe_cards() -> str:
    """A line for each shipped card: its name, and the first line of its text."""
    known = cards()
    width = max((len(name) for name in known), default=0)
    return "\n".join(f"{name:{width}}  {_title(path)}" for name, path in known.items())


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig").partition("\n")[0].lstrip("# ")
