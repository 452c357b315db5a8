"""The trainings of `when_neighbours_pay`: a round 0 for all variants, and the rounds of each."""

import argparse
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np

import and_tf
from and_tf.data import AugmentationSettings, cached, channel_statistics, open_source
from and_tf.data.pipeline import steps_per_epoch
from and_tf.data.sources.source import Source
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.methods.instance_model import InstanceModel
from and_tf.runs import checkpoint
from and_tf.search.mutual import are_mutual

logger = logging.getLogger(__name__)


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
            cached(open_source(options.data, split, options.data_dir), options.image_size)
            for split in (options.train, options.tune, options.test)
        )
        for source in (self.train, self.tune, self.test):
            labels_of(source)  # before anything takes time
        mean, std = channel_statistics(self.train, self.size)
        self.mean, self.std = mean.tolist(), std.tolist()

    @property
    def fingerprints(self) -> dict[str, str]:
        """By the name of the split's option."""
        sources = {"train": self.train, "tune": self.tune, "test": self.test}
        return {name: source.fingerprint for name, source in sources.items()}

    def embed(self, encoder: keras.Model, source: Source) -> np.ndarray:
        """(N, D) unit rows."""
        return extract(encoder, source, self.size, progress=False)

    def top1(self, encoder: keras.Model, source: Source) -> float:
        """kNN against the training images, in percent."""
        rows, queries = self.embed(encoder, self.train), self.embed(encoder, source)
        scores = weighted_knn(rows, labels_of(self.train), queries)
        return accuracy(scores, labels_of(source))["top1"]


def labels_of(source: Source) -> np.ndarray:
    """(N,) int."""
    if source.labels is None:
        raise SystemExit(f"{source.name} has no labels, by which kNN is measured.")
    return source.labels


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
        labels=labels_of(images.train),
        seed=seed,
    )
    curve = Curve(images, images.tune, options.epochs_per_round)
    discoveries = Discoveries(curriculum, labels_of(images.train))
    last = options.first_round_epochs + options.rounds * options.epochs_per_round
    fit(
        options, images, model, seed, options.first_round_epochs, last,
        [curriculum, curve, discoveries],
    )  # fmt: skip
    test = images.top1(model.encoder, images.test)
    return {"curve": curve.found, "discoveries": discoveries.found, "test": test}


def build(options: argparse.Namespace, images: Images, seed: int, **of_model: Any) -> and_tf.AND:
    """A new model, for all variants of a seed the same except for what it keeps of a round."""
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
            logger.info("epoch %d: kNN %.1f %%", epoch + 1, self.found[epoch + 1])


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
        self, neighbourhood_size: int, temperature: float
    ) -> and_tf.search.neighbourhoods.Neighbourhoods:
        found, rows = super()._discover(neighbourhood_size, temperature), self._rows()
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        assert self.labels is not None
        for label in np.unique(self.labels):
            (of_label,) = np.nonzero(self.labels == label)
            cosines = unit[of_label] @ unit[of_label].T  # (n, n) of one class
            np.fill_diagonal(cosines, -np.inf)
            nearest = np.argsort(-cosines, axis=1)[:, :neighbourhood_size]
            found.neighbours[of_label] = of_label[nearest]
        return found
