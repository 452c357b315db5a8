"""Which encoder embeds a folder of photos where none is named."""

import logging
from pathlib import Path

from and_tf.collection.quick_run import SUFFIX, train_quickly
from and_tf.data.sources.opening import absolute_spec
from and_tf.encoders.pretrained.applications import cached_applications
from and_tf.errors import Argument, UserError
from and_tf.runs.workdir import Workdir
from and_tf.training.settings import read_settings

logger = logging.getLogger(__name__)


def choose_model(model: str, images: Path, skip_broken: bool = True) -> str:
    """The encoder to embed with: of these the first that there is.

    The one that is named; pretrained weights in Keras' cache; the newest run that was trained on
    these images; a short run on them, which is trained first.

    Args:
        model: as `open_encoder` takes it; empty where none is named.
        images: the folder.
        skip_broken: of a run that is trained first.

    Returns:
        What `open_encoder` takes.

    Raises:
        Stopped: if a stop was asked for in that training.
        UserError: if it cannot be trained.
    """
    if model:
        return model
    if names := cached_applications():
        logger.info(
            "Pretrained weights of %s are in Keras' cache and embed the photos; choose others by "
            "%s.", names[0], Argument("model"),
        )  # fmt: skip
        return names[0]
    if run := newest_run_on(images):
        logger.info("The newest run that was trained on these photos embeds them: %s.", run.path)
        return str(run.path)
    return str(train_quickly(images, skip_broken))


def newest_run_on(images: Path, root: Path = Path("runs")) -> Workdir | None:
    """The run whose checkpoint is the newest of those trained on a folder, or on one around it.

    A quick run counts once it is finished: until then it is to be continued.
    """
    files = [path for path in root.glob("**/checkpoints/last.npz") if path.is_file()]
    for file in sorted(files, key=lambda file: file.stat().st_mtime, reverse=True):
        run = Workdir(file.parent.parent)
        is_quick = SUFFIX in run.path.name
        if _was_trained_on(run, images) and (run.summary.is_file() or not is_quick):
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
