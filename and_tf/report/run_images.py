"""The images of a run, if they are still those that it began with."""

import dataclasses

from and_tf.data.manifest import changes, manifest
from and_tf.data.sources.opening import open_images_of_run
from and_tf.data.sources.source import Source
from and_tf.errors import UserError
from and_tf.report.settings import ReportSettings
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_settings


def open_run_images(run: Workdir, settings: ReportSettings) -> tuple[Source, Source | None]:
    """The images that a run was trained on, and those it was evaluated on.

    Args:
        run: the folder.
        settings: where the images lie, if not where the run had them.

    Raises:
        NotFound: if there is no run or no image.
        BrokenFile: if a file of the run is corrupt.
        UserError: if the images have changed: each row of the run's arrays is one of them.
    """
    given = {n: v for n in ("data", "data_dir") if (v := getattr(settings, n)) is not None}
    chosen = dataclasses.replace(read_settings(run).data, **given)
    metadata = run.read_metadata()
    train, held_out = open_images_of_run(chosen, metadata)
    if metadata["fingerprint"] != train.fingerprint:
        raise UserError(
            f"{train.name} has changed since the run in {run.path} began: "
            f"{_different(run, metadata, train)}. A report looks at all images of its run: put "
            "them back (moved duplicates by embed.py's undo_moves), and write the report before a "
            "folder is cleaned."
        )
    return train, held_out


def _different(run: Workdir, metadata: dict, train: Source) -> str:
    """What has changed, in words."""
    if run.images.is_file() and (named := changes(run.read_images(), manifest(train))):
        return named
    return f"it held {metadata['images']} images and holds {len(train)}, or names or sizes differ"
