"""Which encoder embeds a folder of photos where none is named."""

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
    """The encoder to embed with: of these the first that there is.

    The one that is named; the newest run that the user trained on these images; pretrained weights
    in Keras' cache; a short run on the images, which is trained first if there is none yet.

    Args:
        model: as `open_encoder` takes it; empty where none is named.
        images: the folder.
        skip_broken: of a run that is trained first.
        may_train: False to refuse where there would be none without training.

    Returns:
        What `open_encoder` takes.

    Raises:
        Stopped: if a stop was asked for in that training.
        UserError: if it cannot or may not be trained.
    """
    if model:
        return model
    if run := newest_run_on(images):
        return _chosen(run)
    if names := cached_applications():
        logger.info(
            "Pretrained weights of %s are in Keras' cache and embed the photos; choose others by "
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
    """The run whose checkpoint is the newest of those trained on a folder, or on one around it.

    Args:
        images: the folder.
        root: where runs are looked for.
        are_quick: whether only the quick runs are looked at, or only the others. A quick run counts
            once it is finished: until then it is to be continued.
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
    except UserError:  # another version's, or corrupt: not one to choose unasked
        return False
    if settings.keeps_random_weights:
        return False
    kind, _, path = absolute_spec(settings.data.data).partition(":")
    return kind == "folder" and images.resolve().is_relative_to(Path(path).resolve())
