"""A run for TensorBoard: projector, neighbour images by round and hyperparameters.

Everything lies in one folder of its own inside the run's log directory, which the projector finds
by the event file that the hyperparameters leave there, so `tensorboard --logdir=RUN/tensorboard`
shows it beside the run's own curves.
"""

import math
import os
import shutil
import types
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams_api

from and_tf.data.picture import grid
from and_tf.settings import fields_of
from and_tf.training.settings import ExperimentSettings

MAX_POINTS = 2000  # the projector's t-SNE and UMAP run in the browser
MAX_SPRITE = 8192  # pixels a side; the projector refuses larger pictures
THUMBNAIL = 48  # pixels
TILE = 64
FRAME = 3
RED = (213, 0, 0)
CONFIG = "projector_config.pbtxt"


def write_tensorboard(
    folder: Path,
    embeddings: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray | None = None,
    names: list[str] | None = None,
    class_names: list[str] | None = None,
    galleries: dict[int, np.ndarray] | None = None,
    is_wrong: dict[int, np.ndarray] | None = None,
    experiment: dict[str, bool | int | float | str] | None = None,
    metrics: dict[str, float] | None = None,
    max_points: int = MAX_POINTS,
    seed: int = 0,
) -> None:
    """Writes a folder for TensorBoard, anew each time: nothing appears twice.

    Args:
        folder: RUN/tensorboard/report; replaced once the new one is complete.
        embeddings: (n, D) float, points of the projector. Of more than `max_points`, random ones.
        images: (n, H, W, 3) uint8, their thumbnails.
        labels: (n,) int, -1 where unknown; or None.
        names: name of each image; by default its number.
        class_names: name of each label; by default its number.
        galleries: by round, (m, 1 + k, H, W, 3) uint8: rows of a query and its nearest images.
        is_wrong: by round, (m, 1 + k) bool: tiles to frame in red; left out without labels.
        experiment: flags that define the experiment, see `experiment_flags`.
        metrics: figures to compare experiments by, such as knn_top1.
        max_points, seed: of the projector's sample.

    Raises:
        ValueError: if arrays do not fit each other or `folder` holds something else.
    """
    folder = Path(folder)
    _check(folder, embeddings, images, labels, names)
    _clean(folder)
    partial = _beside(folder, f"{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        rows = _sample(len(embeddings), max_points, seed)
        _write_projector(partial, embeddings[rows], images[rows])
        _write_metadata(partial / "metadata.tsv", rows, labels, names, class_names)
        writer = tf.summary.create_file_writer(str(partial))
        with writer.as_default():
            _write_galleries(galleries or {}, is_wrong or {})
            hparams_api.hparams(experiment or {})
            for name, value in (metrics or {}).items():
                tf.summary.scalar(name, value, step=0)
        writer.close()
        _replace_folder(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def experiment_flags(options: types.SimpleNamespace) -> dict[str, bool | int | float | str]:
    """The flags of a run that change its result, for TensorBoard's hyperparameters."""
    free = {field.name for field in fields_of(ExperimentSettings) if field.details.may_change}
    return {
        name: value
        for name, value in vars(options).items()
        if name not in free and value not in (None, "")
    }


def _beside(folder: Path, ending: str) -> Path:
    """A hidden path near a folder, on its disk but not where TensorBoard looks."""
    return folder.parent.parent / f".{folder.name}.{ending}"


def _clean(folder: Path) -> None:
    """Brings back what a kill had set aside, and removes what kills have left half written."""
    for left in sorted(folder.parent.parent.glob(f".{folder.name}.*[0-9].*")):
        pid, ending = left.name.split(".")[-2:]
        if ending not in ("old", "partial") or not pid.isdigit() or _is_another(int(pid)):
            continue
        if ending == "old" and not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(left, folder)
        shutil.rmtree(left, ignore_errors=True)


def _is_another(pid: int) -> bool:
    """Whether another process of that number is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's
    return pid != os.getpid()


def _replace_folder(new: Path, folder: Path) -> None:
    """Renames the old folder aside and the new one in, then deletes the old one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = _beside(folder, f"{os.getpid()}.old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def check_folder(folder: Path) -> None:
    """Raises ValueError if a folder holds something else than `write_tensorboard` wrote."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONFIG).is_file():
        raise ValueError(f"{folder} holds other files than a report's: move them away.")


def _check(folder, embeddings, images, labels, names) -> None:
    count = len(embeddings)
    for name, values in (("images", images), ("labels", labels), ("names", names)):
        if values is not None and len(values) != count:
            raise ValueError(f"Received {count} embeddings and {len(values)} {name}: pass as many.")
    if not count:
        raise ValueError("The projector needs at least one embedding. Received none.")
    check_folder(folder)


def _sample(count: int, most: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).permutation(count)[:most]
    return np.sort(rows)


def _write_projector(folder: Path, embeddings: np.ndarray, images: np.ndarray) -> None:
    """Points and thumbnails, and the file that tells the projector where they lie."""
    np.savetxt(folder / "embeddings.tsv", embeddings, fmt="%.6g", delimiter="\t")
    sprite, side = _sprite(images)
    sprite.save(folder / "sprite.png")
    config = projector.ProjectorConfig()
    points = config.embeddings.add()
    points.tensor_name = "embeddings"
    points.tensor_path = "embeddings.tsv"
    points.metadata_path = "metadata.tsv"
    points.sprite.image_path = "sprite.png"
    points.sprite.single_image_dim.extend([side, side])
    projector.visualize_embeddings(str(folder), config)


def _sprite(images: np.ndarray) -> tuple[Image.Image, int]:
    """All thumbnails in one picture, row by row in a square, and the side of one."""
    columns = math.ceil(math.sqrt(len(images)))
    side = min(THUMBNAIL, MAX_SPRITE // columns)
    sprite = Image.new("RGB", (columns * side, columns * side), "white")
    for number, image in enumerate(images):
        thumbnail = Image.fromarray(image).resize((side, side))
        sprite.paste(thumbnail, (number % columns * side, number // columns * side))
    return sprite, side


def _write_metadata(path: Path, rows, labels, names, class_names) -> None:
    """Columns label and name; the projector reads a header where there are two columns or more."""
    lines = ["label\tname"]
    for row in rows:
        label = -1 if labels is None else int(labels[row])
        known = class_names[label] if class_names and label >= 0 else str(label)
        cells = ["none" if label < 0 else known, str(row) if names is None else names[row]]
        lines.append("\t".join(" ".join(cell.split()) for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="replace")


def _write_galleries(galleries: dict[int, np.ndarray], is_wrong: dict[int, np.ndarray]) -> None:
    """One picture a round: the round is the step, so that the slider goes through the rounds."""
    for number, tiles in sorted(galleries.items()):
        wrong = is_wrong.get(number, np.zeros(tiles.shape[:2], bool))
        picture = np.asarray(gallery_picture(tiles, wrong))
        text = "A query and its nearest images, a row each; wrong ones framed in red."
        tf.summary.image("neighbours", picture[None], step=number, description=text)


def gallery_picture(tiles: np.ndarray, is_wrong: np.ndarray) -> Image.Image:
    """Rows of tiles (m, 1 + k, H, W, 3) uint8, those of `is_wrong` (m, 1 + k) framed in red."""
    columns = tiles.shape[1]
    framed = []
    for tile, wrong in zip(tiles.reshape(-1, *tiles.shape[2:]), is_wrong.ravel(), strict=True):
        large = np.array(Image.fromarray(tile).resize((TILE, TILE)))
        canvas = np.full((TILE + 2 * FRAME,) * 2 + (3,), RED if wrong else 255, np.uint8)
        canvas[FRAME:-FRAME, FRAME:-FRAME] = large
        framed.append(canvas)
    return grid(np.stack(framed), columns=columns, scale=1)
