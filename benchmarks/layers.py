"""Which layer finds similar images best: python -m benchmarks.layers RUN [RUN ...]

For every layer of a run's encoder, and for four ways to make one vector of its map (its mean, the
means of its four quarters, those of the cells of `pooled_features`, and all of its values, or of
cells that give no more than 10,000), it measures

- on the training images, each without itself: nearest neighbour and weighted kNN top-1. A default
  may be chosen by these;
- on the held-out images against the training images: the same. They confirm it;
- without labels: how often an augmented training image finds the other augmentation of the same
  image first (`same`, percent), and RankMe (`rank`). Could these choose a layer?
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from and_tf import encoders
from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.pipeline import augmented_images
from and_tf.data.progress import progress_bar
from and_tf.data.settings import AugmentationSettings, DataSettings
from and_tf.data.sources import opening
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced
from and_tf.encoders import pooling
from and_tf.evaluation.knn import accuracy, weighted_knn
from and_tf.evaluation.label_free import effective_rank
from and_tf.runs.restore import restore_encoder
from and_tf.runs.workdir import Workdir
from and_tf.search.nearest import nearest_others, nearest_rows
from and_tf.search.rows import unit_rows
from and_tf.search.votes import TEMPERATURE, class_votes

VOTERS = 20  # in weighted kNN: a class of a small folder has fewer than 200 images
SAMPLE = 1000  # training images that are augmented twice
BATCH = 128
MOST_VALUES = 10_000  # of a map that is compared unpooled

Features = dict[str, np.ndarray]  # (N, F) by `layer way number of values`


class Result(NamedTuple):
    """Results of one layer and way, in percent except for the rank."""

    train_nn: float
    train_knn: float
    test_nn: float
    test_knn: float
    same: float
    rank: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("--data_dir", default="", help="prepared TFDS sets")
    parser.add_argument("--layers", default="", help="as stage3,stage4,fc; by default all")
    parser.add_argument("--checkpoint", default="last", help="last, best or round_N")
    options = parser.parse_args()
    for run in options.runs:
        layers = [name for name in options.layers.split(",") if name]
        show(run, *measure(Workdir(run), options.checkpoint, options.data_dir, layers))


def measure(
    run: Workdir, checkpoint: str, data_dir: str, layers: Sequence[str]
) -> tuple[dict[str, Result], int, int]:
    """A result for every layer and way; the numbers of training and of held-out images."""
    data = run.read_settings(DataSettings)
    if data_dir:
        data = DataSettings(**vars(data) | {"data_dir": data_dir})
    train, held_out = opening.open_train_and_held_out(data)
    if held_out is None or train.labels is None:
        raise SystemExit(f"{run.path}: the layers are compared on labelled, held-out images.")
    augmentation = run.read_settings(AugmentationSettings)
    encoder = restore_encoder(run, checkpoint).encoder
    model = all_features(encoder, layers or encoders.layer_names(encoder))
    rows, queries = (
        features(model, source, augmentation.image_size) for source in (train, held_out)
    )
    sample = train.take(evenly_spaced(len(train), SAMPLE))
    one, other = (augmented_features(model, sample, augmentation, seed) for seed in (1, 2))
    results = {
        name: Result(
            *leave_one_out(rows[name], train.labels),
            *held_out_top1(rows[name], train.labels, queries[name], held_out.labels),
            same_image_first(one[name], other[name]),
            effective_rank(unit_rows(rows[name])) if " all " not in name else float("nan"),
        )
        for name in rows
    }
    return results, len(train), len(held_out)


def all_features(encoder: keras.Model, layers: Sequence[str]) -> keras.Model:
    """A model that outputs each layer's features in every way, by layer, way, number of values."""
    outputs = {}
    for layer in layers:
        output = encoders.features(encoder, layer).output
        if len(output.shape) == 2:
            outputs[layer] = output
            continue
        quarters, grid = 4 * output.shape[-1], pooling.MOST_VALUES
        most_values = {"mean": 1, "quarters": quarters, "grid": grid, "all": MOST_VALUES}
        for way, values in most_values.items():
            rows = pooling.pool(output, values)
            outputs[f"{layer} {way} {rows.shape[-1]}"] = rows
    return keras.Model(encoder.input, outputs)


def features(model: keras.Model, source: Source, size: int) -> Features:
    """Features of clean images."""
    return _features(model, len(source), lambda indices: source.load(indices, size))


def augmented_features(
    model: keras.Model, source: Source, augmentation: AugmentationSettings, seed: int
) -> Features:
    """Features of each image, augmented once."""
    noise = augmentation_noise(len(source), seed, 0).numpy()

    def load(indices: np.ndarray) -> np.ndarray:
        return augmented_images(source, indices, noise[indices], augmentation)

    return _features(model, len(source), load)


def _features(model, number, load) -> Features:
    parts: dict[str, list[np.ndarray]] = {name: [] for name in model.output}
    with progress_bar(number, "features") as bar:
        for start in range(0, number, BATCH):
            indices = np.arange(start, min(start + BATCH, number))
            for name, values in model.predict_on_batch(load(indices)).items():
                # Halves the memory of large maps; the rounding does not change neighbours here.
                parts[name].append(
                    np.asarray(values, np.float16 if " all " in name else np.float32)
                )
            bar.update(len(indices))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def leave_one_out(rows: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Nearest-neighbour and weighted kNN top-1 of rows among all others."""
    found, cosines = nearest_others(rows, VOTERS)
    return _top1(labels, found, cosines, labels)


def held_out_top1(
    rows: np.ndarray, labels: np.ndarray, queries: np.ndarray, true: np.ndarray
) -> tuple[float, float]:
    """Nearest-neighbour and weighted kNN top-1 of queries among rows."""
    classes = int(max(labels.max(), true.max())) + 1
    scores = weighted_knn(rows, labels, queries, k=VOTERS, num_classes=classes)
    nearest = labels[nearest_rows(rows, queries, 1)[0][:, 0]]
    return 100 * float(np.mean(nearest == true)), accuracy(scores, true)["top1"]


def _top1(labels, found, cosines, true) -> tuple[float, float]:
    votes = class_votes(cosines, labels[found], TEMPERATURE, int(labels.max()) + 1)
    nearest, voted = labels[found[:, 0]] == true, votes.argmax(axis=1) == true
    return 100 * float(nearest.mean()), 100 * float(voted.mean())


def same_image_first(one: np.ndarray, other: np.ndarray) -> float:
    """How often row i of `other` is nearest to row i of `one`, in percent."""
    nearest = nearest_rows(other, one, 1)[0][:, 0]
    return 100 * float(np.mean(nearest == np.arange(len(one))))


def standard_error(percent: float, number: int) -> float:
    """Standard error of a percentage over this number of images, in points."""
    return 100 * float(np.sqrt(percent / 100 * (1 - percent / 100) / number))


def show(run: Path, results: dict[str, Result], num_train: int, num_held_out: int) -> None:
    errors = standard_error(50, num_train), standard_error(50, num_held_out)
    print(
        f"\n{run}: {num_train:,} training and {num_held_out:,} held-out images, standard "
        f"error of a value at most {errors[0]:.1f} and {errors[1]:.1f} points; "
        f"kNN with K = {VOTERS}.\n"
    )
    print("| layer | train NN | train kNN | held-out NN | held-out kNN | same | rank |")
    print("|---|---|---|---|---|---|---|")
    for name, result in results.items():
        print(f"| {name} | {' | '.join(f'{value:.1f}' for value in result)} |")


if __name__ == "__main__":
    main()
