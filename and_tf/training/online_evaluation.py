"""Metrics measured during training: kNN if there are labels, and label-free metrics always."""

from typing import NamedTuple

import keras
import numpy as np

from and_tf.data.augmentation.noise import augmentation_noise
from and_tf.data.exchange import ALONE, Sharing, gathered
from and_tf.data.partition import share
from and_tf.data.pipeline import augmented_images
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import Source
from and_tf.data.subsets import evenly_spaced, has_labels
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.evaluation.knn_during_training import choose_images
from and_tf.evaluation.label_free import NEIGHBOURS, alignment, label_free_metrics
from and_tf.methods.method_model import MethodModel
from and_tf.search.neighbourhoods import discover, neighbour_overlap
from and_tf.training.settings import RunSettings

RAW_SIDE = 32  # pixels; the raw pixels of larger images are compared at this size
RAW_BYTES = 1 << 30  # of float32; raw pixels are not measured if they would take more
SAMPLE = 5_000  # images for label-free metrics, evenly spaced; hubness and entropy depend on it
PAIRS = 1_000  # images whose augmented images are compared

METRICS = (
    "knn_top1", "knn_top1_bank", "knn_top1_train", "alignment", "uniformity", "effective_rank",
    "hubness", "mutual_neighbours", "neighbours_kept", "bank_agreement", "entropy_clean",
)  # fmt: skip


class Measured(NamedTuple):
    """The result of an evaluation.

    Attributes:
        metrics: those of `METRICS` that can be measured.
        neighbours: (n, k) int32, of the sampled images, for `Monitor.remember`.
    """

    metrics: dict[str, float]
    neighbours: np.ndarray


class Monitor:
    """Measures an encoder, and the method's own embeddings if it keeps any, in their current state.

    Args:
        train: training images.
        held_out: images to classify, or None. kNN needs labels for both; `knn_top1_train`, which
            selects the best checkpoint, needs only those of the training images.
        augmentation: of the augmented images that are compared.
        max_images: most training images that kNN uses, evenly spaced.
        sharing: the processes that share the work; all get the same metrics.
    """

    def __init__(
        self,
        train: Source,
        held_out: Source | None,
        augmentation: AugmentationSettings,
        max_images: int = RunSettings.eval_images,
        sharing: Sharing = ALONE,
    ):
        self.sharing = sharing
        self.train, self.held_out = train, held_out
        self.size = augmentation.image_size
        self.sample = evenly_spaced(len(train), SAMPLE)
        self.chosen = choose_images(len(train), max_images)
        pairs = train.take(evenly_spaced(len(train), PAIRS))
        self.augmented_images = [_AugmentedImages(pairs, augmentation, seed) for seed in (1, 2)]
        self.best = -1.0  # the highest knn_top1_train so far, in percent
        k = min(NEIGHBOURS, len(self.sample) - 1)
        self.neighbours = keras.Variable(
            np.full((len(self.sample), k), -1, "int32"), trainable=False, name="neighbours"
        )

    @property
    def state(self) -> dict[str, keras.Variable]:
        """The neighbours of the last evaluation, with which the next one compares its own."""
        return {"monitor/neighbours": self.neighbours}

    def state_ranges(self) -> dict[str, tuple[float, float]]:
        """The lowest and highest valid value of `state`; -1 before the first evaluation."""
        return {"monitor/neighbours": (-1, len(self.sample) - 1)}

    @property
    def missing(self) -> str:
        """Why kNN cannot be measured, or an empty string."""
        if self.held_out is None:
            return "there are no held-out images"
        for source in (self.train, self.held_out):
            if not has_labels(source.labels):
                return f"{source.name} has no labels"
        return ""

    def measure(self, model: MethodModel) -> Measured:
        """Measures those of `METRICS` that can be measured; changes nothing.

        Args:
            model: a method's model; its encoder, temperature and `image_embeddings` are used.
        """
        voters, sample = self._own_embeddings(model)
        if not has_labels(self.train.labels):
            embeddings = self._extract(model, self.train.take(self.sample))
            return self._label_free(model, embeddings, sample)
        rows, embeddings = self._training_embeddings(model)
        metrics = self._train_top1(rows)
        if self.held_out is not None and not self.missing:
            queries = self._extract(model, self.held_out)
            metrics["knn_top1"] = self._top1(rows, queries, self.held_out)
            if voters is not None:
                metrics["knn_top1_bank"] = self._top1(voters, queries, self.held_out)
        label_free = self._label_free(model, embeddings, sample)
        return label_free._replace(metrics=metrics | label_free.metrics)

    def remember(self, measured: Measured) -> None:
        """Stores the neighbours, with which the next evaluation compares its own."""
        self.neighbours.assign(measured.neighbours)

    def held_out_top1(self, model: MethodModel, rows: np.ndarray) -> float | None:
        """kNN top-1 of the held-out images, in percent; None if it cannot be measured.

        Args:
            model: embeds the held-out images.
            rows: (N, D), embeddings of all training images.
        """
        if self.held_out is None or self.missing:
            return None
        return self._top1(
            rows[self.chosen.rows], self._extract(model, self.held_out), self.held_out
        )

    def _extract(self, model, source) -> np.ndarray:
        return extract(model.encoder, source, self.size, progress=False, sharing=self.sharing)

    def _scores(self, rows, labels, queries, num_classes: int) -> np.ndarray:
        """Class scores (Q, C) of weighted kNN; each process takes some of the queries."""
        start, stop = share(len(queries), self.sharing.number, self.sharing.size)
        own = weighted_knn(rows, labels, queries[start:stop], num_classes=num_classes)
        return gathered(self.sharing, own, start, len(queries))

    def _training_embeddings(self, model) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings of the voters, (V, D), and of the sample, (n, D); embeds each image once."""
        chosen = self._looked_at()
        images = self.train if len(chosen) == len(self.train) else self.train.take(chosen)
        return self._of_both(chosen, self._extract(model, images))

    def _own_embeddings(self, model) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
        """The same for the method's own embeddings, such as a bank's rows, if it keeps any."""
        chosen = self._looked_at()
        rows = model.image_embeddings(chosen)
        return (None, None) if rows is None else self._of_both(chosen, rows)

    def _looked_at(self) -> np.ndarray:
        """Indices of the voters and of the sample, each once, in ascending order."""
        return np.union1d(self.chosen.rows, self.sample)

    def _of_both(self, chosen: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Splits rows of the `chosen` images into those of the voters and those of the sample."""
        places = (np.searchsorted(chosen, part) for part in (self.chosen.rows, self.sample))
        voters, sample = (rows[part] for part in places)
        return voters, sample

    def _train_top1(self, rows) -> dict[str, float]:
        """kNN top-1 of some training images among the others; it selects the best checkpoint."""
        labels = np.asarray(self.train.labels)[self.chosen.rows]
        is_query = self.chosen.is_query
        queries, others = labels[is_query], labels[~is_query]
        if not (has_labels(queries) and has_labels(others)):
            return {}
        classes = int(labels.max()) + 1
        scores = self._scores(rows[~is_query], others, rows[is_query], classes)
        return {"knn_top1_train": accuracy(scores, queries)["top1"]}

    def _label_free(self, model, embeddings, rows) -> Measured:
        """Label-free metrics of the sample, from embeddings (n, D) and the method's own, if any."""
        embeddings_of_both = [self._extract(model, images) for images in self.augmented_images]
        k, temperature = self.neighbours.shape[1], model.temperature
        sharing = self.sharing
        found = discover(embeddings, k, temperature, sharing=sharing)
        bank_found = None
        if rows is not None:
            bank_found = discover(rows, k, temperature, sharing=sharing)
        metrics = {"alignment": alignment(*embeddings_of_both)}
        metrics |= label_free_metrics(embeddings, found, bank_found)
        before = self.neighbours.numpy()
        if before[0, 0] >= 0:
            metrics["neighbours_kept"] = neighbour_overlap(before, found.neighbours)
        return Measured(metrics, found.neighbours)

    def raw_pixels(self) -> dict[str, float]:
        """`knn_top1` and `knn_top1_train` of the raw pixels, by the same protocols.

        Returns:
            `raw_pixels_knn_top1` and `raw_pixels_knn_top1_train` in percent, if the respective
            accuracy can be measured; neither if there are too many pixels.
        """
        side = min(self.size, RAW_SIDE)
        if 12 * side**2 * len(self.chosen.rows) > RAW_BYTES or not has_labels(self.train.labels):
            return {}
        rows = self._pixels(self.train, self.chosen.rows, side)
        measured = self._train_top1(rows)
        if self.held_out is not None and not self.missing:
            queries = self._pixels(self.held_out, np.arange(len(self.held_out)), side)
            measured["knn_top1"] = self._top1(rows, queries, self.held_out)
        return {f"raw_pixels_{name}": value for name, value in measured.items()}

    def _top1(self, rows, queries, held_out: Source) -> float:
        labels, true = np.asarray(self.train.labels)[self.chosen.rows], np.asarray(held_out.labels)
        classes = int(max(labels.max(), true.max())) + 1
        scores = self._scores(rows, labels, queries, classes)
        return accuracy(scores, true)["top1"]

    def _pixels(self, source: Source, indices: np.ndarray, side: int) -> np.ndarray:
        """Pixels (n, P) uint8; the search converts one block at a time to float."""
        start, stop = share(len(indices), self.sharing.number, self.sharing.size)
        own = source.load(indices[start:stop], side).reshape(stop - start, 3 * side**2)
        return gathered(self.sharing, own, start, len(indices))


class _AugmentedImages:
    """Each image augmented once, always in the same way; has what `extract` needs of a source."""

    def __init__(self, source: Source, augmentation: AugmentationSettings, seed: int):
        self.source, self.augmentation = source, augmentation
        self.name = f"augmented images of {source.name}"
        self.noise = augmentation_noise(len(source), seed, 0).numpy()

    def __len__(self) -> int:
        return len(self.source)

    def load(self, indices, size: int) -> np.ndarray:
        images = augmented_images(self.source, indices, self.noise[indices], self.augmentation)
        return np.clip(np.rint(images), 0, 255).astype(np.uint8)
