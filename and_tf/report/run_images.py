"""The images of a run, as far as they are still the ones that it began with."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from and_tf.data.manifest import changes, edited, manifest
from and_tf.data.sources.opening import open_images_of_run
from and_tf.data.sources.source import Source
from and_tf.errors import Argument, UserError
from and_tf.report.remaining_images import remaining_images
from and_tf.report.settings import ReportSettings
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_settings

LISTED = 3

logger = logging.getLogger(__name__)


class RunImages(NamedTuple):
    """The images that a report can use.

    Attributes:
        train: the N images that the run began with; row i of its arrays is image i.
        held_out: those that it was evaluated on, if any.
        present: (n,) int, ascending, which of the N are still there; None if all are.
        remarks: sentences about what has changed since.
    """

    train: Source
    held_out: Source | None
    present: np.ndarray | None = None
    remarks: tuple[str, ...] = ()


def open_run_images(run: Workdir, settings: ReportSettings) -> RunImages:
    """Opens a run's training and held-out images, and logs what has changed.

    Args:
        run: the folder.
        settings: where the images are, if not where the run had them.

    Raises:
        NotFound: if there is no run or no image.
        BrokenFile: if a file of the run is corrupt.
        UserError: if the images are different ones.
    """
    given = {n: v for n in ("data", "data_dir") if (v := getattr(settings, n)) is not None}
    chosen = dataclasses.replace(read_settings(run).data, **given)
    metadata = run.read_metadata()
    train, held_out = open_images_of_run(chosen, metadata)
    images = RunImages(train, held_out)
    if metadata["fingerprint"] != train.fingerprint or _edited(run, train):
        images = _remaining(run, metadata, train, held_out)
    images = images._replace(remarks=(*images.remarks, *_held_out_remarks(metadata, held_out)))
    for remark in images.remarks:
        logger.warning("%s", remark)
    return images


def _edited(run: Workdir, train: Source) -> bool:
    """Whether images have other bytes under the same name, which a fingerprint may not show."""
    return run.images.is_file() and bool(edited(run.read_images(), manifest(train)))


def _remaining(
    run: Workdir, metadata: Mapping[str, Any], train: Source, held_out: Source | None
) -> RunImages:
    """The images of a run whose folder has lost some."""
    found = remaining_images(run, metadata["fingerprint"], train, held_out)
    if found is None:
        raise UserError(
            f"{train.name} has changed since the run in {run.path} began: "
            f"{_different(run, metadata, train)}. A report shows the images that its run began "
            "with: put them back (moved duplicates with embed.py's undo_moves), or name a folder "
            "that holds them with ", Argument("data"), ". For a page of other photos, run "
            f"embed.py with {run.path} as its model.",
        )  # fmt: skip
    whole, present = found
    gone = np.setdiff1d(np.arange(len(whole)), present)
    names = [(whole.names or [])[row] for row in gone[:LISTED]]
    return RunImages(whole, held_out, present, (_describe_gone(names, len(gone), len(whole)),))


def _describe_gone(names: list[str], gone: int, count: int) -> str:
    from and_tf.report.page.originals import shown_name

    shown = ", ".join(map(shown_name, names)) + (", ..." if gone > len(names) else "")
    verb = "is" if gone == 1 else "are"
    return (
        f"{gone:,} of the {count:,} training images {verb} gone or edited since the run began "
        f"({shown}): pictures, neighbours and maps show the other {count - gone:,}; what the "
        "run measured itself covers all of them."
    )


def _held_out_remarks(metadata: Mapping[str, Any], held_out: Source | None) -> list[str]:
    """A remark if the held-out images are not those of the evaluations, as far as is recorded."""
    known = metadata.get("held_out_fingerprint")
    if known is None or (held_out is not None and _is_held_out(metadata, held_out)):
        return []
    if held_out is None:
        return [
            "The held-out images of the run are gone: its accuracy on them is reported as logged."
        ]
    return [
        "The held-out images have changed since the run began: its accuracy is of the original "
        f"ones, while standard errors and class sizes are of the {len(held_out):,} present now."
    ]


def _is_held_out(metadata: Mapping[str, Any], held_out: Source) -> bool:
    content = metadata.get("held_out_content")  # not recorded by earlier versions
    is_same = held_out.fingerprint == metadata["held_out_fingerprint"]
    return is_same and content in (None, manifest(held_out).content)


def _different(run: Workdir, metadata: Mapping[str, Any], train: Source) -> str:
    """What has changed, as text."""
    if run.images.is_file() and (named := changes(run.read_images(), manifest(train))):
        return named
    return f"it held {metadata['images']} images and holds {len(train)}, or names or sizes differ"
