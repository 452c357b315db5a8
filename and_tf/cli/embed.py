"""embed.py: embeddings, neighbours and clusters of a folder of images."""

import functools
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.commands import command
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.collection.page.commands import Command
from and_tf.collection.settings import EmbedSettings, embed_settings
from and_tf.collection.too_few import check_folder
from and_tf.runs.places import expanded
from and_tf.settings import SettingError


def flags() -> Flags:
    """The flags of embed.py."""
    return Flags(
        "embed.py",
        "Embeds a folder of images.",
        (
            "python embed.py --images=PHOTOS",
            "python embed.py --images=PHOTOS --model=runs/photos",
            "python embed.py --images=PHOTOS --neighbours=10 --clusters=20 --gallery=near.png",
        ),
        [EmbedSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs embed.py, also called and-embed, and returns the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    settings = embed_settings(values)
    if log := settings.duplicates.undo_moves:
        return functools.partial(_undo, log, settings.duplicates.dry_run)
    if not settings.collection.images:
        raise SettingError(
            "say which folder of photos to embed: `python embed.py --images=PHOTOS`; nothing else "
            "is needed."
        )
    if not (settings.collection.model or settings.collection.init or settings.collection.update):
        check_folder(settings.collection.folder)

    def start() -> None:
        from and_tf.collection.embed import embed_folder

        embed_folder(settings, _commands(values, settings.collection.output))

    return start


def _undo(log: str, dry_run: bool) -> None:
    from and_tf.collection.duplicates.moving import print_undone

    print_undone(expanded(log), dry_run)


def _commands(values: dict[str, Any], table: str) -> list[Command]:
    """The commands on the page: the one that wrote it, a search of its table, and a move."""
    given = shlex.join([_written(name, value) for name, value in values.items()])
    search = f"{command('search')} {shlex.join([f'--index={table}'])} --query=PHOTO"
    return [
        Command("This page was written by:", f"{command('embed')} {given}"),
        Command("To find the photos that are most like one:", search),
        *_move_commands(values),
    ]


def _move_commands(values: dict[str, Any]) -> list[Command]:
    """How to move duplicates; none if pixels were not compared, as such groups are not moved."""
    if values.get("duplicate_similarity"):
        return []
    target = f"{expanded(values.get('images', '')).absolute()}-duplicates"
    moved = {k: v for k, v in values.items() if k not in ("move_duplicates_to", "dry_run")}
    moved |= {"move_duplicates_to": target}
    given = shlex.join([_written(name, value) for name, value in moved.items()])
    return [
        Command(
            "To move all but the ones to keep to a separate folder: this lists what would be moved "
            "where; the same command without --dry_run moves the files and writes a log there, "
            "with which --undo_moves moves them back.",
            f"{command('embed')} {given} --dry_run",
            section="duplicates",
        )
    ]


def _written(name: str, value: Any) -> str:
    """A flag as a user writes it."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={value}"
