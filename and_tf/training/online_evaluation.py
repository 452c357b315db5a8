"""The figures of an evaluation during training: kNN where there are labels, label-free always."""

import keras
import numpy as np

from and_tf.data.augmentation.augment import augment, draw
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.source import Source
from and_tf.evaluation import accuracy, extract, weighted_knn
from and_tf.evaluation.label_free import NEIGHBOURS, alignment, label_free_figures
from and_tf.methods.anchor_neighbourhoods.diagnostics import stability
from and_tf.methods.anchor_neighbourhoods.discovery import discover
from and_tf.methods.anchor_neighbourhoods.model import AND

RAW_SIDE = 32  # pixels; larger images are compared as raw pixels at this side
RAW_BYTES = 1 << 30  # beyond this many bytes of float32 raw pixels are not measured
QUERIES = 2_000  # training images that are classified by the others
SAMPLE = 5_000  # images of the label-free figures, evenly spaced; hubness and entropy depend on it
PAIRS = 1_000  # images whose views are compared

FIGURES = (
    "knn_top1", "knn_top1_bank", "knn_top1_train", "alignment", "uniformity", "effective_rank",
    "hubness", "mutual_neighbours", "neighbours_kept", "bank_agreement", "entropy_clean",
)  # fmt: skip


class Monitor:
    """Measures an encoder and its bank as they stand.

    Args:
        train: training images.
        held_out: images to classify, or None. kNN needs labels in both; the figure that tells the
            best checkpoint, `knn_top1_train`, in the training images alone.
        augmentation: of the views that are compared.
        load_size: side in pixels of the squares that views are cut from.
    """

    def __init__(
        self,
        train: Source,
        held_out: Source | None,
        augmentation: AugmentationSettings,
        load_size: int,
    ):
        self.train, self.held_out = train, held_out
        self.size = augmentation.image_size
        self.sample = _evenly(len(train), SAMPLE)
        pairs = train.take(_evenly(len(train), PAIRS))
        self.views = [_Views(pairs, augmentation, load_size, seed) for seed in (1, 2)]
        self.best = -1.0  # the highest knn_top1_train so far, in percent
        k = min(NEIGHBOURS, len(self.sample) - 1)
        self.neighbours = keras.Variable(
            np.full((len(self.sample), k), -1, "int32"), trainable=False, name="neighbours"
        )

    @property
    def state(self) -> dict[str, keras.Variable]:
        """What the next evaluation compares with: the neighbours of the last one."""
        return {"monitor/neighbours": self.neighbours}

    @property
    def missing(self) -> str:
        """Why kNN cannot be measured, or an empty string."""
        if self.held_out is None:
            return "there are no held-out images (--eval_split or --eval_data)"
        unlabelled = [s.name for s in (self.train, self.held_out) if _unlabelled(s)]
        return f"{unlabelled[0]} has no labels" if unlabelled else ""

    def measure(self, model: AND) -> dict[str, float]:
        """All `FIGURES` that can be measured; remembers the neighbours for the next time."""
        figures = {}
        bank = model.bank.rows.numpy()
        if _unlabelled(self.train):
            images = self.train.take(self.sample)
            embeddings = extract(model.encoder, images, self.size, progress=False)
            return self._label_free(model, embeddings, bank[self.sample])
        rows = extract(model.encoder, self.train, self.size, progress=False)
        if not self.missing:
            queries = extract(model.encoder, self.held_out, self.size, progress=False)
            figures["knn_top1"] = self._top1(rows, queries)
            figures["knn_top1_bank"] = self._top1(bank, queries)
        figures |= self._train_top1(rows)
        return figures | self._label_free(model, rows[self.sample], bank[self.sample])

    def _train_top1(self, rows):
        """Of some training images among the others: what a best checkpoint may be chosen by."""
        is_query = np.zeros(len(rows), bool)
        is_query[_evenly(len(rows), min(QUERIES, len(rows) // 2))] = True
        labels, others = self.train.labels[is_query], self.train.labels[~is_query]
        if not (labels >= 0).any() or not (others >= 0).any():
            return {}
        classes = int(self.train.labels.max()) + 1
        scores = weighted_knn(rows[~is_query], others, rows[is_query], num_classes=classes)
        return {"knn_top1_train": accuracy(scores, labels)["top1"]}

    def _label_free(self, model, embeddings, bank_rows):
        views = [extract(model.encoder, views, self.size, progress=False) for views in self.views]
        k, temperature = self.neighbours.shape[1], model.bank.temperature
        found = discover(embeddings, k, temperature)
        figures = {"alignment": alignment(*views)}
        figures |= label_free_figures(embeddings, found, discover(bank_rows, k, temperature))
        before = self.neighbours.numpy()
        if before[0, 0] >= 0:
            figures["neighbours_kept"] = stability(before, found.neighbours)
        self.neighbours.assign(found.neighbours)
        return figures

    def raw_pixels(self) -> float | None:
        """kNN top-1 in percent of the same protocol on the pixels; None for too many of them."""
        side = min(self.size, RAW_SIDE)
        if 12 * side**2 * len(self.train) > RAW_BYTES:
            return None
        rows, queries = (  # uint8: the search makes floats of a block at a time
            source.load(np.arange(len(source)), side).reshape(len(source), -1)
            for source in (self.train, self.held_out)
        )
        return self._top1(rows, queries)

    def _top1(self, rows, queries):
        classes = int(max(self.train.labels.max(), self.held_out.labels.max())) + 1
        scores = weighted_knn(rows, self.train.labels, queries, num_classes=classes)
        return accuracy(scores, self.held_out.labels)["top1"]


class _Views:
    """One augmented view of each image, always the same, with what `extract` asks of a source."""

    def __init__(
        self, source: Source, augmentation: AugmentationSettings, load_size: int, seed: int
    ):
        self.source, self.augmentation, self.load_size = source, augmentation, load_size
        self.name = f"views of {source.name}"
        self.draws = draw(len(source), seed, 0).numpy()

    def __len__(self) -> int:
        return len(self.source)

    def load(self, indices, size: int) -> np.ndarray:
        images = self.source.load(indices, self.load_size)
        views = augment(images, self.draws[indices], self.augmentation)  # (B, size, size, 3)
        return np.clip(np.rint(views), 0, 255).astype(np.uint8)


def _evenly(count: int, at_most: int) -> np.ndarray:
    return np.linspace(0, count - 1, min(count, at_most)).round().astype(int)


def _unlabelled(source: Source) -> bool:
    return source.labels is None or not (source.labels >= 0).any()
