"""A short run on a folder of photos that no encoder knows yet, sized to the folder."""

import logging
from pathlib import Path
from typing import NamedTuple

from and_tf.collection.printing import count_of
from and_tf.collection.too_few import SMALLEST, refuse_too_few
from and_tf.data.large_images import megapixel_limit
from and_tf.data.manifest import changes, manifest
from and_tf.data.sources.opening import open_train_and_held_out
from and_tf.data.sources.source import Source
from and_tf.data.workers import num_cores
from and_tf.errors import Argument, Stopped, UserError
from and_tf.methods import METHODS
from and_tf.runs.workdir import Workdir
from and_tf.settings import flat_values, parse_all
from and_tf.training.cards import read_card
from and_tf.training.durations import clock
from and_tf.training.loop import run_experiment
from and_tf.training.settings import ExperimentSettings, experiment_settings, read_settings

CARD = "folder_quick"
SUFFIX = "-quick"  # of the folder of such a run
LARGEST_BATCH = 64

VIEWS = 2  # of each photo in an epoch, for cross-level discrimination

# A look is a view of a photo in one epoch; a step takes time in proportion to its looks.
LOOKS_PER_PHOTO, FEWEST_LOOKS_PER_PHOTO = 100, 12
LOOKS = 100_000  # for a small folder: minutes on two cores
MOST_LOOKS = 2_000_000  # for a large one: one to three hours

# Looks per second and core with the card's settings: 113 were measured with AVX2 alone, 225 with
# AVX-512.
RATE_PER_CORE = 150
START_SECONDS = 60  # reading, compiling, evaluations and exports

logger = logging.getLogger(__name__)


class Size(NamedTuple):
    """How long a quick run is.

    Attributes:
        rounds: after round 0.
        epochs_per_round: of each round, including round 0.
        views: of each photo in an epoch.
        batch_size: photos per step.
    """

    rounds: int
    epochs_per_round: int
    views: int
    batch_size: int

    @property
    def epochs(self) -> int:
        """Epochs of all rounds together."""
        return (self.rounds + 1) * self.epochs_per_round


def size_for(images: int) -> Size:
    """The length of a run on N photos: minutes for a thousand, one to three hours for a million.

    Args:
        images: N.

    Raises:
        UserError: if there are too few to train on.
    """
    refuse_too_few(images)
    looks = min(LOOKS_PER_PHOTO, max(FEWEST_LOOKS_PER_PHOTO, LOOKS // images))
    epochs = max(1, min(looks, MOST_LOOKS // images) // VIEWS)
    rounds = min(1, epochs - 1)  # a single epoch is all of round 0
    # Several steps per epoch, so that batches of a small set differ between epochs.
    batch_size = min(LARGEST_BATCH, max(SMALLEST, images // 4))
    return Size(rounds, epochs // (rounds + 1), VIEWS, batch_size)


def expected_seconds(images: int, size: Size, cores: int) -> float:
    """Roughly how long a run on CPU cores will take."""
    return START_SECONDS + images * size.epochs * size.views / (RATE_PER_CORE * cores)


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
        seconds = expected_seconds(self.images, self.size, num_cores())
        return (
            f"{self.images:,} photos, {count_of(self.size.epochs, 'epoch')}, expected to take "
            f"about {clock(seconds)} on this CPU"
        )


def _plan(folder: Path, skip_broken: bool, root: Path) -> _Plan:
    values = {
        "data": f"folder:{folder.absolute()}",
        "skip_broken": skip_broken,
        "max_image_megapixels": megapixel_limit(),
    }
    settings, source = _open(values)
    run = _run_for(folder, source, root)
    values |= {"labels": settings.data.labels, "name": run.path.name, "workdir": str(run.path)}
    size = size_for(len(source))
    if not run.holds_state():
        return _Plan(run, size, len(source), _settings(values | size._asdict()))
    # An earlier version may have begun it with another card.
    begun = read_settings(run)
    plan, batch_size = begun.method.plan, begun.optimizer.batch_size
    size = Size(plan.rounds, plan.epochs_per_round, begun.method.views, batch_size)
    return _Plan(run, size, len(source), experiment_settings(flat_values(begun) | values))


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
