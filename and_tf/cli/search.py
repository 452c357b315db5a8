"""search.py: the photos of a table that are like a given one."""

from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.collection.search_settings import SearchSettings
from and_tf.settings import SettingError, build


def flags() -> Flags:
    """The flags of search.py."""
    return Flags(
        "search.py",
        "Finds the photos in a table that are similar to a given one.",
        (
            "python search.py --query=a.jpg",
            "python search.py --index=features.parquet --query=holiday/beach.jpg --nearest=50",
        ),
        [SearchSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs search.py, also called and-search, and returns the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    settings = build(SearchSettings, values)
    if not settings.query:
        raise SettingError(
            "say which photo to find similar ones to: `python search.py --query=a.jpg`; it may be "
            "a file, a folder, or a path in the table."
        )

    def start() -> None:
        from and_tf.collection.search import search_table

        search_table(settings)

    return start
