"""Images with their nearest training images: what is similar according to the features."""

import dataclasses

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.report.context import ReportContext
from and_tf.report.page.photos import Line, Photo
from and_tf.report.sample import Sample, nearest_others
from and_tf.report.section import Section, fill
from and_tf.report.sentences import describe_no_failure
from and_tf.report.thumbnails import picture, picture_side
from and_tf.search.nearest import nearest_rows

ROWS = 5  # images of each group
NEIGHBOURS = 8

TEMPLATE = """
<p>{{ description }} {{ no_failure }}</p>
{% for group in groups %}
<h3>{{ group.title }}</h3>
{{ page.lines(group.lines) }}
{% endfor %}
"""


@dataclasses.dataclass(frozen=True)
class Group:
    """Images under one heading."""

    title: str
    lines: list[Line]


def neighbours_section(context: ReportContext) -> Section:
    """Groups of images, each image with its nearest training images."""
    html = fill(
        TEMPLATE,
        description=_description(context),
        no_failure=describe_no_failure(context.queries, context.predicted),
        groups=galleries(context),
    )
    return Section("neighbours", "Neighbours", html)


def _description(context: ReportContext) -> str:
    which = "Held-out images" if context.queries is not None else "Training images"
    sentence = (
        f"{which}, each followed by its nearest among {context.reference.describe('training')}, "
        "with rank and cosine similarity of their embeddings by the "
        f"{context.checkpoint} checkpoint."
    )
    if context.predicted is not None:
        sentence += " Framed, and marked with a cross: neighbours of another class."
    return sentence


def galleries(context: ReportContext) -> list[Group]:
    """Held-out images that kNN names correctly and wrongly; without labels, evenly spaced ones.

    Without held-out images, random training images and those of lowest and of highest entropy.
    """
    queries, predicted = context.queries, context.predicted
    if queries is None:
        random = random_rows(len(context.reference), ROWS, context.settings.run.seed)
        groups = [("Random images", random), *_by_entropy(context.entropy.values)]
        return [_among_training(context, *group) for group in groups]
    if predicted is None:
        rows = evenly_spaced(len(queries), 2 * ROWS)
        return [_held_out(context, queries, "Held-out images", rows)]
    return [
        _held_out(context, queries, title, rows)
        for title, rows in _by_success(queries.labels, predicted)
        if len(rows)
    ]


def random_rows(count: int, at_most: int, seed: int) -> np.ndarray:
    """Up to `at_most` random numbers of `count` images, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:at_most])


def _by_success(labels: np.ndarray, predicted: np.ndarray) -> list[tuple[str, np.ndarray]]:
    is_known = labels >= 0
    correct = np.flatnonzero(is_known & (predicted == labels))
    wrong = np.flatnonzero(is_known & (predicted != labels))
    return [
        ("Named correctly by weighted kNN", _over_classes(correct, labels)),
        ("Named wrongly by weighted kNN", _over_classes(wrong, labels)),
    ]


def _by_entropy(entropy: np.ndarray) -> list[tuple[str, np.ndarray]]:
    order = np.argsort(entropy, kind="stable")
    count = min(ROWS, (len(order) + 1) // 2)
    lowest, highest = order[:count], order[count:][-count:]
    return [("Lowest entropy", lowest), ("Highest entropy", highest)]


def _over_classes(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A few of the rows, spread over as many classes as possible."""
    by_class = rows[np.argsort(labels[rows], kind="stable")]
    return by_class[evenly_spaced(len(by_class), ROWS)]


def _held_out(context: ReportContext, queries: Sample, title: str, rows: np.ndarray) -> Group:
    reference = context.reference
    k = min(NEIGHBOURS, len(reference))
    found, cosines = nearest_rows(reference.embeddings, queries.embeddings[rows], k)
    lines = _lines(context, queries, rows, found, cosines)
    if context.predicted is not None:
        for i, row in enumerate(rows):
            if context.predicted[row] != queries.labels[row]:
                note = f"named {context.classes[context.predicted[row]]}"
                lines[i] = dataclasses.replace(lines[i], note=note)
    return Group(title, lines)


def _among_training(context: ReportContext, title: str, rows: np.ndarray) -> Group:
    found, cosines = nearest_others(context.reference, rows, NEIGHBOURS)
    return Group(title, _lines(context, context.reference, rows, found, cosines))


def _lines(
    context: ReportContext,
    sample: Sample,
    rows: np.ndarray,
    found: np.ndarray,
    cosines: np.ndarray,
) -> list[Line]:
    images = _photos(context, sample, rows)
    lines = []
    for image, row, near, values in zip(images, rows, found, cosines, strict=True):
        label = int(sample.labels[row])
        lines.append(Line(image, _near(context, near, values, label)))
    return lines


def _near(
    context: ReportContext, rows: np.ndarray, cosines: np.ndarray, query_label: int
) -> list[Photo]:
    """The neighbours of an image whose label is `query_label`, -1 if unknown."""
    reference = context.reference
    return [
        dataclasses.replace(
            photo,
            rank=rank,
            cosine=float(cosine),
            is_wrong=min(int(reference.labels[row]), query_label) >= 0
            and int(reference.labels[row]) != query_label,
        )
        for rank, (photo, row, cosine) in enumerate(
            zip(_photos(context, reference, rows), rows, cosines, strict=True), 1
        )
    ]


def _photos(context: ReportContext, sample: Sample, rows: np.ndarray) -> list[Photo]:
    pixels = sample.load(np.asarray(rows), picture_side(context.image_size))
    return [
        Photo(
            src=picture(pixels[i]),
            name=sample.image_name(row),
            label=sample.class_name(row, context.classes),
        )
        for i, row in enumerate(rows)
    ]
