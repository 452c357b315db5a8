"""Images beside their nearest training images: what the features hold to be alike."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.report.context import ReportContext
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
<div class="scroll" role="region" tabindex="0" aria-label="{{ group.title }}"><table class="strip">
<thead><tr><th scope="col" class="first">image</th>
<th scope="col" class="across" colspan="{{ group.rows[0].near|length }}">nearest training images and
their cosine similarity</th></tr></thead>
<tbody>{% for row in group.rows %}
<tr><th scope="row" class="picture first"><img src="{{ row.image.src }}" alt="{{ row.image.alt }}">
{{- row.image.label or row.image.name }}
{%- if row.predicted %}, named {{ row.predicted }}{% endif %}</th>
{%- for near in row.near %}<td class="picture{% if near.is_wrong %} is-wrong{% endif %}"><img
 src="{{ near.src }}" alt="{{ near.alt }}{% if near.is_wrong %}, another class{% endif %}"
 title="{{ near.name }}">{% if near.label %}<span class="name">{{ near.label }}</span>{% endif %}
{{- "%.2f"|format(near.cosine) }}</td>{% endfor %}</tr>
{%- endfor %}</tbody></table></div>
{% endfor %}
"""


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image as the page shows it.

    Attributes:
        src: data URI.
        name: of the file, or its number.
        label: name of its class, or an empty string.
        cosine: similarity to the image of its row; 0 for that image itself.
        is_wrong: whether it is known to be of another class than that image.
    """

    src: str
    name: str
    label: str
    cosine: float = 0.0
    is_wrong: bool = False

    @property
    def alt(self) -> str:
        return f"{self.name}, {self.label}" if self.label else self.name


@dataclasses.dataclass(frozen=True)
class Line:
    """An image, its nearest training images, and the class it is named if that is wrong."""

    image: Picture
    near: list[Picture]
    predicted: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """Images under one heading."""

    title: str
    rows: list[Line]


def neighbours_section(context: ReportContext) -> Section:
    """Groups of images, each image before its nearest training images."""
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
        f"{which}, each before its nearest among {context.reference.describe('training')}, with "
        f"the cosine similarity of their embeddings by the {context.checkpoint} checkpoint."
    )
    if context.predicted is not None:
        sentence += " Framed, and marked with a cross: neighbours of another class."
    return sentence


def galleries(context: ReportContext) -> list[Group]:
    """Held-out images that kNN names correctly and wrongly; without labels an even spread of them.

    Without held-out images: the training images of lowest and of highest entropy.
    """
    queries, predicted = context.queries, context.predicted
    if queries is None:
        return [_among_training(context, *group) for group in _by_entropy(context.entropy.values)]
    if predicted is None:
        rows = evenly_spaced(len(queries), 2 * ROWS)
        return [_held_out(context, queries, "Held-out images", rows)]
    return [
        _held_out(context, queries, title, rows)
        for title, rows in _by_success(queries.labels, predicted)
        if len(rows)
    ]


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
    """A few of the rows, over as many classes as there are places."""
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
                predicted = context.classes[context.predicted[row]]
                lines[i] = dataclasses.replace(lines[i], predicted=predicted)
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
    images = _pictures(context, sample, rows, np.zeros(len(rows)))
    lines = []
    for image, row, near, values in zip(images, rows, found, cosines, strict=True):
        label = int(sample.labels[row])
        lines.append(Line(image, _pictures(context, context.reference, near, values, label)))
    return lines


def _pictures(
    context: ReportContext,
    sample: Sample,
    rows: np.ndarray,
    cosines: Sequence[float] | np.ndarray,
    query_label: int = -1,
) -> list[Picture]:
    made = []
    pixels = sample.load(np.asarray(rows), picture_side(context.image_size))
    for i, row in enumerate(rows):
        label = int(sample.labels[row])
        made.append(
            Picture(
                src=picture(pixels[i]),
                name=sample.image_name(row),
                label=sample.class_name(row, context.classes),
                cosine=float(cosines[i]),
                is_wrong=min(label, query_label) >= 0 and label != query_label,
            )
        )
    return made
