"""A short run on a folder of photos that no encoder knows yet, sized to the folder."""

import logging
from pathlib import Path
from typing import NamedTuple

from and_tf.collection.too_few import SMALLEST, refuse_too_few
from and_tf.data.large_images import megapixel_limit
from and_tf.data.manifest import changes, manifest
from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.data.sources.source import Source
from and_tf.data.workers import num_cores
from and_tf.errors import Argument, Stopped, UserError
from and_tf.methods import METHODS
from and_tf.runs.workdir import Workdir
from and_tf.settings import parse_all
from and_tf.training.cards import read_card
from and_tf.training.durations import clock
from and_tf.training.loop import run_experiment
from and_tf.training.settings import ExperimentSettings, experiment_settings

CARD = "folder_quick"
SUFFIX = "-quick"  # of the folder of such a run
LARGEST_BATCH = 64

EPOCHS, FEWEST_EPOCHS = 100, 10
LOOKS = 100_000  # photos times epochs for a small folder: minutes on two cores
MOST_LOOKS = 2_000_000  # for a large one: an hour or two

# Images per second and core with the card's settings: 951 at 32 pixels on two cores
# (docs/performance.md), divided by 2.25, because images of 48 pixels have 2.25 times as many.
RATE_PER_CORE = 211
START_SECONDS = 60  # reading, compiling, evaluations and exports

logger = logging.getLogger(__name__)


class Size(NamedTuple):
    """How long a quick run is.

    Attributes:
        rounds: after round 0.
        epochs_per_round: of each round, including round 0.
        batch_size: photos per step.
    """

    rounds: int
    epochs_per_round: int
    batch_size: int

    @property
    def epochs(self) -> int:
        """Epochs of all rounds together."""
        return (self.rounds + 1) * self.epochs_per_round


def size_for(images: int) -> Size:
    """The length of a run on N photos: minutes for a thousand, an hour or two for a million.

    Args:
        images: N.

    Raises:
        UserError: if there are too few to train on.
    """
    refuse_too_few(images)
    epochs = min(EPOCHS, max(FEWEST_EPOCHS, LOOKS // images))
    if images * epochs > MOST_LOOKS:
        epochs = max(2, MOST_LOOKS // images)
    # Several steps per epoch, so that batches of a small set differ between epochs.
    batch_size = min(LARGEST_BATCH, max(SMALLEST, images // 4))
    return Size(rounds=1, epochs_per_round=epochs // 2, batch_size=batch_size)


def expected_seconds(images: int, epochs: int, cores: int) -> float:
    """Roughly how long a run on CPU cores will take."""
    return START_SECONDS + images * epochs / (RATE_PER_CORE * cores)


def train_quickly(folder: Path, skip_broken: bool = True, root: Path = Path("runs")) -> Path:
    """Trains a quick run on a folder of photos, continues it or finds it finished.

    Args:
        folder: of photos.
        skip_broken: leave out those that cannot be decoded.
        root: folder of the runs.

    Returns:
        The folder of the run.

    Raises:
        Stopped: if it was stopped on request; another call continues it.
        UserError: if the photos cannot be read, or are too few.
    """
    plan = _plan(folder, skip_broken, root)
    if plan.run.summary.is_file():
        return plan.run.path
    logger.info(
        "No encoder knows these photos yet: a small one is trained on them first, in %s. "
        "%s. Ctrl-C is safe: the same command continues. Pretrained weights need no training and "
        "know more: %s.", plan.run.path, plan.describe(), Argument("model", "WEIGHTS"),
    )  # fmt: skip
    if not _train(plan.settings):
        raise Stopped
    return plan.run.path


def refuse_training(folder: Path, skip_broken: bool = True, root: Path = Path("runs")) -> Path:
    """The folder of a finished quick run, for which `train_quickly` would not have to train.

    Raises:
        UserError: if it would; the message says what it would train, and what to do instead.
    """
    plan = _plan(folder, skip_broken, root)
    if plan.run.summary.is_file():
        return plan.run.path
    raise UserError(
        f"No encoder knows the photos in {folder} yet, and a dry run trains none. Without ",
        Argument("dry_run", True), f" a small one would be trained first, in {plan.run.path}: "
        f"{plan.describe()}. Embed the photos first, without ", Argument("move_duplicates_to"),
        ", or name pretrained weights with ", Argument("model", "WEIGHTS"), ".",
    )  # fmt: skip


class _Plan(NamedTuple):
    """A quick run that is finished, begun or planned."""

    run: Workdir
    size: Size
    images: int
    settings: ExperimentSettings

    def describe(self) -> str:
        """The number of photos and epochs and the expected time, in one line."""
        seconds = expected_seconds(self.images, self.size.epochs, num_cores())
        return (
            f"{self.images:,} photos, {self.size.epochs} epochs, expected to take about "
            f"{clock(seconds)} on this CPU"
        )


def _plan(folder: Path, skip_broken: bool, root: Path) -> _Plan:
    values = {
        "data": f"folder:{folder.absolute()}",
        "skip_broken": skip_broken,
        "max_image_megapixels": megapixel_limit(),
    }
    settings, source = _open(values)
    run, size = _run_for(folder, source, root), size_for(len(source))
    values |= {"labels": settings.data.labels, "name": run.path.name, "workdir": str(run.path)}
    return _Plan(run, size, len(source), _settings(values | size._asdict()))


def _open(values: dict) -> tuple[ExperimentSettings, Source]:
    """The photos with the labels of their folders, or without labels if those are unusable."""
    settings = _settings(values)
    try:
        return settings, open_train_and_held_out(settings.data)[0]
    except UserError:  # such as classes of a test folder that the training folder lacks
        settings = _settings(values | {"labels": "none"})
        return settings, open_train_and_held_out(settings.data)[0]


def _settings(values: dict) -> ExperimentSettings:
    """The settings of the card, with these values instead of its own."""
    known = parse_all([ExperimentSettings, *METHODS.values()], read_card(CARD))
    return experiment_settings(known | values)


def _run_for(folder: Path, source: Source, root: Path) -> Workdir:
    """The run on exactly these photos, or a free folder: NAME-quick, NAME-quick-2 and so on."""
    name, number = f"{folder.absolute().name or 'photos'}{SUFFIX}", 1
    while True:
        run = Workdir(root / (name if number == 1 else f"{name}-{number}"))
        if not run.images.is_file() or not changes(run.read_images(), manifest(source)):
            return run
        number += 1


def _train(settings: ExperimentSettings) -> bool:
    from and_tf.export.run import export_finished_run
    from and_tf.report.conclusion import conclude_experiment

    return run_experiment(settings, export_finished_run, conclude_experiment)
