"""pack.py: the images of a data set in a few large files."""

from collections.abc import Callable, Sequence
from typing import Any

from and_tf.cli.flags import Flags
from and_tf.cli.runner import run_program
from and_tf.data.pack_settings import PackSettings
from and_tf.settings import SettingError, build


def flags() -> Flags:
    """The flags of pack.py."""
    return Flags(
        "pack.py",
        "Packs the images of a data set into a few large files.",
        (
            "python pack.py --data=/data/imagenet --output=/fast/imagenet",
            "python train.py --data=records:/fast/imagenet",
        ),
        [PackSettings],
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs pack.py, also called and-pack, and returns the exit status."""
    return run_program(flags(), _prepare, argv)


def _prepare(values: dict[str, Any]) -> Callable[[], object]:
    settings = build(PackSettings, values)
    if not settings.data or not settings.output:
        raise SettingError(
            "say which images to pack, and where to: `python pack.py --data=PHOTOS --output=DIR`."
        )

    def start() -> None:
        from and_tf.data.pack import pack

        pack(settings)

    return start
