"""Images beside their nearest training images: what the features hold to be alike."""

import numpy as np

from and_tf.evaluation.knn import nearest_rows
from and_tf.report.explorer import Entropy, image_name
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.thumbnails import picture, picture_side

ROWS = 5  # images of each group
NEIGHBOURS = 8


def galleries(
    reference: Sample,
    queries: Sample | None,
    predicted: np.ndarray | None,
    entropy: Entropy,
    classes: list[str],
    image_size: int,
) -> list[dict]:
    """Groups of images, each with its nearest training images.

    Held-out images that kNN names rightly and wrongly; without labels an even spread of them;
    without held-out images the training images of lowest and of highest entropy.

    Args:
        reference: training images.
        queries: held-out images, or None.
        predicted: (Q,) int, the classes that kNN gave the queries; None without labels.
        entropy: of the training images.
        classes: names of the labels.
        image_size: side of the encoder's input in pixels.

    Returns:
        One dict a group: title, rows; a row is a dict: image, predicted (name, or None where it is
        right or unknown), near. An image is a dict: src, alt, name, label, cosine, is_wrong.
    """
    draw = _Drawing(reference, classes, picture_side(image_size))
    if queries is None:
        return [draw.among_training(title, rows) for title, rows in _by_entropy(entropy.values)]
    if predicted is None:
        rows = _spread(np.arange(len(queries)), 2 * ROWS)
        return [draw.held_out("Held-out images", rows, queries, None)]
    return [
        draw.held_out(title, rows, queries, predicted)
        for title, rows in _by_success(queries.labels, predicted)
        if len(rows)
    ]


def _by_success(labels, predicted):
    is_known = labels >= 0
    right = np.flatnonzero(is_known & (predicted == labels))
    wrong = np.flatnonzero(is_known & (predicted != labels))
    return [
        ("Named rightly by weighted kNN", _over_classes(right, labels)),
        ("Named wrongly by weighted kNN", _over_classes(wrong, labels)),
    ]


def _by_entropy(entropy):
    order = np.argsort(entropy, kind="stable")
    count = min(ROWS, (len(order) + 1) // 2)
    lowest, highest = order[:count], order[count:][-count:]
    return [("Lowest entropy", lowest), ("Highest entropy", highest)]


def _over_classes(rows, labels):
    """A few of the rows, over as many classes as there are places."""
    return _spread(rows[np.argsort(labels[rows], kind="stable")], ROWS)


def _spread(rows, most):
    if len(rows) <= most:
        return rows
    step = len(rows) / most  # the middle of each of `most` stretches
    return rows[((np.arange(most) + 0.5) * step).astype(int)]


class _Drawing:
    """Turns rows of samples into pictures with captions."""

    def __init__(self, reference: Sample, classes: list[str], side: int):
        self.reference, self.classes, self.side = reference, classes, side

    def held_out(self, title, rows, queries, predicted) -> dict:
        k = min(NEIGHBOURS, len(self.reference))
        found, cosines = nearest_rows(self.reference.embeddings, queries.embeddings[rows], k)
        drawn = self._rows(queries, rows, found, cosines)
        if predicted is not None:
            for line, row in zip(drawn, rows, strict=True):
                if predicted[row] != queries.labels[row]:
                    line["predicted"] = self.classes[predicted[row]]
        return {"title": title, "rows": drawn}

    def among_training(self, title, rows) -> dict:
        found, cosines = nearest_others(self.reference, rows, NEIGHBOURS)
        return {"title": title, "rows": self._rows(self.reference, rows, found, cosines)}

    def _rows(self, sample, rows, found, cosines) -> list[dict]:
        lines = []
        for row, near, values in zip(rows, found, cosines, strict=True):
            label = int(sample.labels[row])
            line = {"image": self._images(sample, [row])[0], "predicted": None}
            line["near"] = self._images(self.reference, near, values, label)
            lines.append(line)
        return lines

    def _images(self, sample, rows, cosines=None, query_label=-1) -> list[dict]:
        images = []
        for i, pixels in enumerate(sample.load(np.asarray(rows), self.side)):
            label = int(sample.labels[rows[i]])
            name = image_name(sample, rows[i])
            label_name = self.classes[label] if label >= 0 else ""
            images.append({
                "src": picture(pixels),
                "name": name,
                "label": label_name,
                "alt": f"{name}, {label_name}" if label_name else name,
                "cosine": None if cosines is None else float(cosines[i]),
                "is_wrong": min(label, query_label) >= 0 and label != query_label,
            })  # fmt: skip
        return images
