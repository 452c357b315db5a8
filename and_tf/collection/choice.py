"""Chooses the encoder for a folder of photos if none is named."""

import logging
from pathlib import Path

from and_tf.collection.quick_run import SUFFIX, refuse_training, train_quickly
from and_tf.data.sources.opening import absolute_spec
from and_tf.encoders.pretrained.applications import cached_applications
from and_tf.errors import Argument, UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_settings

logger = logging.getLogger(__name__)


def choose_model(model: str, images: Path, skip_broken: bool = True, may_train: bool = True) -> str:
    """The encoder to embed with: the first of these that exists.

    The one that is named; the newest run that the user trained on these images; pretrained weights
    in Keras' cache; a short run on the images, which is trained first if there is none yet.

    Args:
        model: as `open_encoder` takes it; empty if none is named.
        images: the folder.
        skip_broken: setting of a run that is trained first.
        may_train: False to refuse if an encoder would have to be trained.

    Returns:
        The model, as `open_encoder` takes it.

    Raises:
        Stopped: if that training was stopped on request.
        UserError: if a run cannot or may not be trained.
    """
    if model:
        return model
    if run := newest_run_on(images):
        return _chosen(run)
    if names := cached_applications():
        logger.info(
            "Pretrained weights of %s are in Keras' cache and embed the photos; choose others with "
            "%s.", names[0], Argument("model"),
        )  # fmt: skip
        return names[0]
    if run := newest_run_on(images, are_quick=True):
        return _chosen(run)
    train = train_quickly if may_train else refuse_training
    return str(train(images, skip_broken))


def _chosen(run: Workdir) -> str:
    logger.info("The newest run that was trained on these photos embeds them: %s.", run.path)
    return str(run.path)


def newest_run_on(
    images: Path, root: Path = Path("runs"), are_quick: bool = False
) -> Workdir | None:
    """The run with the newest checkpoint among those trained on a folder or a parent of it.

    Args:
        images: the folder.
        root: folder that is searched for runs.
        are_quick: consider only quick runs; False: only the others. A quick run counts once it is
            finished; until then it should be continued.
    """
    files = [path for path in root.glob("**/checkpoints/last.npz") if path.is_file()]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        run = Workdir(file.parent.parent)
        if (SUFFIX in run.path.name) != are_quick or (are_quick and not run.summary.is_file()):
            continue
        if _was_trained_on(run, images):
            return run
    return None


def _was_trained_on(run: Workdir, images: Path) -> bool:
    try:
        settings = read_settings(run)
    except UserError:  # of another version, or corrupt: never a default
        return False
    if settings.keeps_random_weights:
        return False
    kind, _, path = absolute_spec(settings.data.data).partition(":")
    return kind == "folder" and images.resolve().is_relative_to(Path(path).resolve())
