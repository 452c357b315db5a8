"""The control of a run: a run of Instance that shows what the neighbours have gained."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from and_tf.errors import UserError
from and_tf.report.record import Record
from and_tf.runs.workdir import Workdir
from and_tf.settings import fields_of, flat_values
from and_tf.training.settings import ExperimentSettings, read_settings

METHOD = "instance"  # of a control, in METHODS
# May change within a run, but must not differ between a run and its control.
OF_EVALUATION = ("eval_data", "eval_images")
# What run.json records about the images; earlier versions recorded less.
OF_IMAGES = (
    "fingerprint", "content", "labels", "boxes", "held_out_fingerprint", "held_out_content",
    "held_out_labels",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Control:
    """A finished run without neighbours whose settings are otherwise the same.

    Attributes:
        name: of its folder.
        knn_top1: in percent, at its end, on the same held-out images.
    """

    name: str
    knn_top1: float


def find_control(run: Workdir, record: Record) -> Control | None:
    """Finds the control of a finished run among the folders next to its own, or returns None.

    Args:
        run: the folder.
        record: of its last checkpoint.
    """
    if not record.is_finished or record.settings.choice.method == METHOD:
        return None
    for other in _beside(run):
        with contextlib.suppress(UserError, OSError):  # a broken run is not a control
            if _is_same_without_neighbours(record, other):
                accuracy = _last_accuracy(other, record.plan.total_epochs)
                if accuracy is not None:
                    return Control(other.path.name, accuracy)
    return None


def _beside(run: Workdir) -> Iterator[Workdir]:
    """The other runs in the same parent folder."""
    own = run.path.resolve()
    with contextlib.suppress(OSError):
        for folder in sorted(own.parent.iterdir()):
            if folder != own and (folder / run.flags.name).is_file():
                yield Workdir(folder)


def settings_of_control(run: Workdir) -> dict[str, str]:
    """The settings to change in a run's flags.cfg to train its control."""
    own = run.path.resolve()
    folder = own.with_name(f"{own.name}-{METHOD}")  # where `find_control` looks
    if folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    return {"method": METHOD, "workdir": str(folder)}


def _is_same_without_neighbours(record: Record, other: Workdir) -> bool:
    settings = read_settings(other)
    if settings.choice.method != METHOD:
        return False
    ours, theirs = (_decisive(each) for each in (record.settings, settings))
    is_same = all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())
    return is_same and _are_same_images(record.metadata, other.read_metadata())


def _are_same_images(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    """Whether two runs were trained and evaluated on the same images and labels."""
    known = [name for name in OF_IMAGES if name in ours and name in theirs]
    return "fingerprint" in known and all(ours[name] == theirs[name] for name in known)


def _decisive(settings: ExperimentSettings) -> dict[str, Any]:
    """The settings that results depend on, except for the method."""
    fields = {field.name: field.details for field in fields_of(settings) if field.name != "method"}
    names = {n for n, details in fields.items() if not details.may_change or n in OF_EVALUATION}
    return {name: value for name, value in flat_values(settings).items() if name in names}


def _last_accuracy(run: Workdir, epochs: int) -> float | None:
    """kNN top-1 after `epochs`; None if the run is not finished or kNN was not measured."""
    values = [m["knn_top1"] for m in run.read_metrics() if m["epoch"] == epochs and "knn_top1" in m]
    return values[-1] if values else None
