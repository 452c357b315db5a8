"""Outliers, blurred photos and wrong labels found: python -m benchmarks.planted --photos=FOLDER

Four folders of 1,000 photos: with 20 foreign pictures (CIFAR-10, upscaled, and pages of text), with
20 blurred photos (Gaussian, radius 3 pixels at full size), and in class folders of which 5 % of the
photos lie in a wrong one. Measured is the precision among the first 20 by score.

    python -m benchmarks.planted --photos=clothing --folders=train --seed=0 --model=MODEL
    python -m benchmarks.planted --photos=clothing --folders=validation,test,train --seed=1

The first draw is for choosing settings, the second for reporting.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from and_tf.collection.outliers import find_outliers
from and_tf.collection.quality import measure_quality
from and_tf.collection.suspect_labels import find_suspect_labels
from benchmarks.duplicates import collected
from benchmarks.photo_sets import (
    documents,
    exchange_labels,
    photos_below,
    plant_blurred,
    plant_foreign,
)

FIRST = 20
FOREIGN_SIDE = 128  # pixels that CIFAR-10 pictures are upscaled to


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    photos = photos_below(options.photos, options.folders.split(","))
    draw = np.random.default_rng(options.seed)
    photos = [photos[i] for i in draw.permutation(len(photos))[: options.count]]
    chosen = options.cases.split(",") if options.cases else list(CASES)
    results = {name: CASES[name](photos, options) for name in chosen}
    print(f"Model: {options.model or 'random vectors'}; seed {options.seed}")
    print(
        "| case | planted | precision at 20, % | flagged | of them planted |\n|---|---|---|---|---|"
    )
    for name, result in results.items():
        print(f"| {name} | " + " | ".join(f"{value:g}" for value in result.values()) + " |")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="folder with the sub-folders")
    parser.add_argument("--folders", default="validation,test,train", help="sub-folders, or .")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="", help="as in embed.py; by default random vectors")
    parser.add_argument("--data_dir", help="of TensorFlow Datasets")
    parser.add_argument("--work", type=Path, default=Path("/tmp/planted"), help="made anew")
    parser.add_argument("--cases", default="", help=f"some of: {', '.join(CASES)}")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    return parser.parse_args(argv)


def outliers(photos: list[Path], foreign: list[Image.Image], options: argparse.Namespace) -> dict:
    """Foreign pictures among the outliers."""
    planted = plant_foreign(options.work, photos, foreign)
    collection, _ = collected(options.work, options.model)
    found = find_outliers(collection)
    return _counts(collection.names, found.scores, found.is_outlier, planted)


def pictures_of_cifar(photos: list[Path], options: argparse.Namespace) -> dict:
    """CIFAR-10 test pictures among photos."""
    import tensorflow_datasets as tfds

    data = tfds.load("cifar10", split="test", data_dir=options.data_dir, download=False)
    some = [row["image"] for row in tfds.as_numpy(data.skip(100 * options.seed).take(FIRST))]
    size = (FOREIGN_SIDE, FOREIGN_SIDE)
    foreign = [Image.fromarray(i).resize(size, Image.Resampling.BICUBIC) for i in some]
    return outliers(photos, foreign, options)


def pages(photos: list[Path], options: argparse.Namespace) -> dict:
    """Generated pages of text among photos."""
    return outliers(photos, documents(FIRST, options.seed), options)


def blurred(photos: list[Path], options: argparse.Namespace) -> dict:
    """Blurred photos among the least sharp; does not need an encoder."""
    planted = plant_blurred(options.work, photos, FIRST, options.seed)
    collection, pictures = collected(options.work, "")
    found = measure_quality(pictures)
    return _counts(
        collection.names, -found.measurements["sharpness"], found.flags["blurred"], planted
    )


def wrong_labels(photos: list[Path], options: argparse.Namespace) -> dict:
    """Photos in a wrong class folder among the suspect labels."""
    _, planted = exchange_labels(options.work, photos, 0.05, options.seed)
    collection, _ = collected(options.work, options.model)
    found = find_suspect_labels(collection)
    assert found is not None
    return _counts(collection.names, found.margin, found.is_suspect, planted)


def _counts(names: list[str], scores: np.ndarray, flags: np.ndarray, planted: set[str]) -> dict:
    is_planted = np.array([name in planted for name in names])
    first = np.argsort(-scores, kind="stable")[:FIRST]
    return {
        "planted": int(is_planted.sum()),
        "precision": 100 * float(is_planted[first].mean()),
        "flagged": int(flags.sum()),
        "right": int((flags & is_planted).sum()),
    }


CASES: dict[str, Callable[[list[Path], argparse.Namespace], dict]] = {
    "CIFAR-10 pictures": pictures_of_cifar,
    "pages of text": pages,
    "blurred": blurred,
    "wrong labels": wrong_labels,
}

if __name__ == "__main__":
    main()
