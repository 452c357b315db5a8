"""AND and Instance from one checkpoint: python -m benchmarks.when_neighbours_pay --data=digits

Round 0, which both methods share, is trained once for each seed, for so many epochs that Instance
gains nothing more. From its end each variant trains the same number of rounds and epochs, with the
same images, crops and learning rates: Instance, and AND with other neighbourhoods. So a difference
between two variants is that of the neighbours alone.

    python -m benchmarks.when_neighbours_pay --data=tfds:cifar10 --data_dir=PREPARED \\
        --train='train[:5000]' --tune='train[5000:7000]' --test='test[:2000]' --image_size=16

What is finished is kept in --folder, and a repeated command goes on with the rest. kNN (K = 200) is
measured along the way on --tune, by which the number of epochs is chosen, and on --test only at
the start and the end of the rounds.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import and_tf
from and_tf.data import AugmentationSettings, channel_statistics, open_source
from and_tf.data.pipeline import steps_per_epoch
from and_tf.data.sources.source import Source
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.methods.instance_model import InstanceModel
from and_tf.runs import checkpoint
from and_tf.runs.atomic_files import replace_file
from and_tf.search.mutual import are_mutual
from benchmarks.timing import show

# What each variant trains with from the end of round 0.
VARIANTS: dict[str, dict[str, Any]] = {
    "Instance": {"anchor_share": 0.0},
    "AND, k = 1": {},
    "AND, k = 5": {"neighbourhood_size": 5},
    "AND, k = 10": {"neighbourhood_size": 10},
    "AND, k = 1, clean features": {"clean": True},
    "AND, k = 5, mutual": {"neighbourhood_size": 5, "mutual_neighbours": True},
    "AND, k = 1, neighbours by label": {"by_label": True},
}


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    results = Results(options)
    images = Images(options)
    variants = [name for name in VARIANTS if name in options.variants.split(";")]
    for seed in range(options.seeds):
        start = options.folder / f"round_0_seed_{seed}.npz"
        results.add(
            f"round 0, seed {seed}", lambda s=seed, p=start: train_round_0(options, images, s, p)
        )
        for name in variants:
            results.add(
                f"{name}, seed {seed}",
                lambda n=name, s=seed, p=start: train_rounds(options, images, VARIANTS[n], s, p),
            )
    show(
        f"kNN top-1 (K = 200) of {options.test} against {options.train}, {options.data}, "
        f"{options.image_size} px: after {options.first_round_epochs} epochs of Instance, "
        f"{options.rounds} rounds of {options.epochs_per_round}",
        [row(results.known, name, range(options.seeds)) for name in variants],
        options.json,
        results=results.known,
    )


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/when_neighbours_pay"))
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data_dir", default=None, help="of prepared TFDS data sets")
    parser.add_argument("--train", default="train", help="split to train on")
    parser.add_argument("--tune", default="test", help="split of the curve of round 0")
    parser.add_argument("--test", default="test", help="split of the table")
    parser.add_argument("--image_size", type=int, default=16, help="pixels")
    parser.add_argument("--crop_min_area", type=float, default=0.2)
    parser.add_argument("--color_jitter", type=float, default=0.4)
    parser.add_argument("--grey", type=float, default=0.2)
    parser.add_argument("--encoder", default="resnet_small")
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--learning_rate", type=float, default=0.03)
    parser.add_argument("--lr_policy", default="step")
    parser.add_argument("--first_round_epochs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--epochs_per_round", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", default=";".join(VARIANTS), help="with ; between")
    parser.add_argument("--json", type=Path, help="file to write the results to")
    return parser.parse_args(argv)


class Images:
    """The images of an experiment.

    Args:
        options: of the command line.
    """

    def __init__(self, options: argparse.Namespace):
        self.size = options.image_size
        self.augmentation = AugmentationSettings(
            image_size=options.image_size,
            crop_min_area=options.crop_min_area,
            color_jitter=options.color_jitter,
            grey=options.grey,
        )
        self.train, self.tune, self.test = (
            open_source(options.data, split, options.data_dir)
            for split in (options.train, options.tune, options.test)
        )
        self.mean, self.std = channel_statistics(self.train, self.size)

    def embed(self, encoder: keras.Model, source: Source) -> np.ndarray:
        """(N, D) unit rows."""
        return extract(encoder, source, self.size, progress=False)

    def top1(self, encoder: keras.Model, source: Source) -> float:
        """kNN against the training images, in percent."""
        rows, queries = self.embed(encoder, self.train), self.embed(encoder, source)
        assert self.train.labels is not None and source.labels is not None
        scores = weighted_knn(rows, self.train.labels, queries)
        return accuracy(scores, source.labels)["top1"]


class Results:
    """What is known, kept in a file after each part.

    Args:
        options: of the command line; a folder of others is refused.
    """

    def __init__(self, options: argparse.Namespace):
        free = ("folder", "json", "seeds", "variants", "data_dir", "test")
        self.settings = {k: v for k, v in vars(options).items() if k not in free}
        self.path = options.folder / "results.json"
        self.known: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            kept = json.loads(self.path.read_text())
            if kept["settings"] != self.settings:
                raise SystemExit(f"{self.path} is of other settings: {kept['settings']}.")
            self.known = kept["results"]

    def add(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measures a part unless it is known."""
        if name in self.known:
            return
        print(f"{time.strftime('%H:%M')} {name}", file=sys.stderr, flush=True)
        started = time.monotonic()
        self.known[name] = measure() | {"seconds": time.monotonic() - started}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"settings": self.settings, "results": self.known}
        replace_file(self.path, json.dumps(kept, indent=2) + "\n")


def train_round_0(
    options: argparse.Namespace, images: Images, seed: int, path: Path
) -> dict[str, Any]:
    """Trains as Instance and keeps the state; kNN on --tune at ten places of the way."""
    model = build(options, images, seed)
    curve = Curve(images, images.tune, max(1, options.first_round_epochs // 10))
    fit(options, images, model, seed, 0, options.first_round_epochs, [curve])
    checkpoint.save(path, checkpoint.values(checkpoint.training_state(model)), {})
    return {"curve": curve.found, "test": images.top1(model.encoder, images.test)}


def train_rounds(
    options: argparse.Namespace, images: Images, variant: dict[str, Any], seed: int, path: Path
) -> dict[str, Any]:
    """Trains the rounds of a variant from the end of round 0."""
    variant = dict(variant)
    is_clean, by_label = variant.pop("clean", False), variant.pop("by_label", False)
    share = variant.pop("anchor_share", 1.0)
    model = build(options, images, seed, **variant)
    arrays, _ = checkpoint.load(path)
    state = checkpoint.training_state(model)
    shared = {name: state[name] for name in state if name not in model.round_state()}
    checkpoint.restore(shared, arrays, path)
    curriculum = (ByLabel if by_label else and_tf.NeighbourhoodCurriculum)(
        rounds=options.rounds,
        epochs_per_round=options.epochs_per_round,
        first_round_epochs=options.first_round_epochs,
        anchor_share=share,
        features=(lambda: images.embed(model.encoder, images.train)) if is_clean else None,
        labels=images.train.labels,
        seed=seed,
    )
    curve = Curve(images, images.tune, options.epochs_per_round)
    discoveries = Discoveries(curriculum, images.train.labels)
    last = options.first_round_epochs + options.rounds * options.epochs_per_round
    fit(
        options, images, model, seed, options.first_round_epochs, last,
        [curriculum, curve, discoveries],
    )  # fmt: skip
    test = images.top1(model.encoder, images.test)
    return {"curve": curve.found, "discoveries": discoveries.found, "test": test}


def build(options: argparse.Namespace, images: Images, seed: int, **of_model: Any) -> and_tf.AND:
    """A new model, the same for all variants of a seed but for what it keeps of a round."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    shape = (images.size, images.size, 3)
    encoder = and_tf.build_encoder(
        options.encoder, shape, mean=images.mean, std=images.std, seed=seed
    )
    model = and_tf.AND(encoder, len(images.train), seed=seed, **of_model)
    plan = and_tf.RoundPlan(options.rounds, options.epochs_per_round, options.first_round_epochs)
    steps = steps_per_epoch(len(images.train), options.batch_size)
    rate = and_tf.RoundSchedule(options.learning_rate, options.lr_policy, steps, plan)
    model.compile(and_tf.TorchSGD(rate, momentum=0.9, nesterov=True, weight_decay=5e-4))
    model.optimizer.build(model.encoder.trainable_variables)
    return model


def fit(
    options: argparse.Namespace,
    images: Images,
    model: InstanceModel,
    seed: int,
    first: int,
    last: int,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Trains from one epoch to another."""
    data = and_tf.train_pipeline(
        images.train, options.batch_size, images.augmentation, seed, step=model.optimizer.iterations
    )
    model.fit(data, initial_epoch=first, epochs=last, callbacks=callbacks, verbose=0, shuffle=False)


class Curve(keras.callbacks.Callback):
    """kNN every so many epochs.

    Args:
        images: of the experiment.
        source: to classify.
        every: epochs.
    """

    def __init__(self, images: Images, source: Source, every: int):
        super().__init__()
        self.images, self.source, self.every = images, source, every
        self.found: dict[int, float] = {}  # epochs that are over: percent

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if (epoch + 1) % self.every == 0:
            self.found[epoch + 1] = self.images.top1(self.model.encoder, self.source)


class Discoveries(keras.callbacks.Callback):
    """What each round of the curriculum found.

    Args:
        curriculum: comes before this callback.
        labels: (N,) int.
    """

    def __init__(self, curriculum: and_tf.NeighbourhoodCurriculum, labels: np.ndarray):
        super().__init__()
        self.curriculum, self.labels = curriculum, labels
        self.found: list[dict[str, float]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        number = int(self.model.round.numpy())
        if number <= len(self.found):
            return
        neighbours = self.model.neighbours.numpy()  # (N, k)
        is_consistent = self.labels[neighbours] == self.labels[:, None]
        self.found.append(
            {
                "consistent, all": 100 * float(is_consistent.mean()),
                "mutual, all": 100 * float(are_mutual(neighbours).mean()),
                **self.curriculum.metrics,
            }
        )


class ByLabel(and_tf.NeighbourhoodCurriculum):
    """The upper bound: the nearest row of the same label as neighbour, found by labels."""

    def _discover(
        self, rows: np.ndarray, neighbourhood_size: int, temperature: float
    ) -> and_tf.search.neighbourhoods.Neighbourhoods:
        found = super()._discover(rows, neighbourhood_size, temperature)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for label in np.unique(self.labels):
            (of_label,) = np.nonzero(self.labels == label)
            cosines = unit[of_label] @ unit[of_label].T  # (n, n) of one class
            np.fill_diagonal(cosines, -np.inf)
            nearest = np.argsort(-cosines, axis=1)[:, :neighbourhood_size]
            found.neighbours[of_label] = of_label[nearest]
        return found


def row(known: dict[str, dict[str, Any]], name: str, seeds: range) -> dict[str, object]:
    """A line of the table."""
    runs = [known[f"{name}, seed {seed}"] for seed in seeds]
    tests = [run["test"] for run in runs]
    starts = [known[f"round 0, seed {seed}"]["test"] for seed in seeds]
    controls = [known.get(f"Instance, seed {seed}", {}).get("test", np.nan) for seed in seeds]
    rounds = range(len(runs[0]["discoveries"]))

    def mean_of(metric: str) -> str:
        values = [[run["discoveries"][r].get(metric, np.nan) for run in runs] for r in rounds]
        return " ".join(f"{np.mean(value):.0f}" for value in values)

    return {
        "variant": name,
        "after round 0": f"{statistics.mean(starts):.1f}",
        "at the end": f"{statistics.mean(tests):.1f}",
        "std": f"{statistics.stdev(tests):.1f}" if len(tests) > 1 else "",
        "above Instance, by seed": " ".join(
            f"{test - control:+.1f}" for test, control in zip(tests, controls, strict=True)
        ),
        "consistent neighbours of all, by round": mean_of("consistent, all"),
        "of anchors": mean_of("consistency"),
        "mutual": mean_of("mutual, all"),
        "stability": mean_of("stability"),
    }


if __name__ == "__main__":
    main()
