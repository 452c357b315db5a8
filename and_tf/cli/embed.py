"""embed.py: embeddings, neighbours and clusters of a folder of images."""

import functools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from and_tf.cli.commands import command
from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.collection.settings import EmbedSettings, embed_settings
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
    """Runs embed.py, also called and-embed; gives the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    settings = embed_settings(values)
    if log := settings.duplicates.undo_moves:
        return functools.partial(_undo, log)
    if not settings.collection.images:
        raise SettingError(
            "say which folder of photos to embed: `python embed.py --images=PHOTOS`; nothing else "
            "is needed."
        )

    def start() -> None:
        from and_tf.collection.embed import embed_folder

        embed_folder(settings, [("This page was written by:", _command(values))])

    return start


def _undo(log: str) -> None:
    from and_tf.collection.duplicates.moving import print_undone

    print_undone(Path(log).expanduser())


def _command(values: dict[str, Any]) -> str:
    """The command that writes table and page again."""
    given = (f"--{name}={value}" for name, value in values.items())
    return f"{command('embed')} {shlex.join(given)}"
