"""Where the network looks in a few images at the end of each round."""

import dataclasses

import numpy as np
from PIL import Image

from and_tf.data.subsets import evenly_spaced
from and_tf.report.attention import attention_layer, overlay, similarity_attention
from and_tf.report.context import ReportContext
from and_tf.report.example_choice import choose_by_entropy, choose_examples
from and_tf.report.round_encoders import encoders_by_round
from and_tf.report.sample import Sample, nearest_others, predictions
from and_tf.report.section import Section, fill
from and_tf.report.sentences import describe_no_failure
from and_tf.report.thumbnails import PICTURE_SIDE, picture
from and_tf.search.nearest import nearest_rows

MOST_ROUNDS = 6  # if there are more, evenly spaced ones
COUNT = 4  # images of each kind
KINDS = {
    "successes": "Wrong after round {first}, correct at the end",
    "throughout": "Correct after round {first} and at the end",
    "failures": "Wrong at the end",
    "lowest entropy": "Lowest entropy",
    "highest entropy": "Highest entropy",
}

TEMPLATE = """
<p>What makes an image similar to its nearest training image, at the end of each round: Grad-CAM of
their cosine similarity (<a href="https://arxiv.org/abs/1610.02391">Selvaraju et al. 2017</a>),
bright where the image contributes to the similarity and dark where it does not.
{% if is_labelled %}Successes and failures are those of weighted kNN. {{ no_failure }}
{% else %}Without labels: training images whose neighbourhoods are clearest and least clear.
{% endif %}</p>
{% for group in groups %}
<h3>{{ group.title }}</h3>
<div class="scroll" role="region" tabindex="0" aria-label="Attention: {{ group.title }}">
<table class="strip">
<thead><tr><th scope="col" class="first">image</th><th scope="col">nearest</th>
{%- for number in rounds %}<th scope="col">round {{ number }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in group.rows %}
<tr><th scope="row" class="picture first"><img src="{{ row.image }}" alt="{{ row.name }}">
{{- row.label or row.name }}</th>
<td class="picture"><img src="{{ row.near }}" alt="Nearest training image of {{ row.name }}">
{{- row.near_label }}</td>
{%- for overlay in row.overlays %}<td><img src="{{ overlay }}"
 alt="Attention on {{ row.name }} after round {{ rounds[loop.index0] }}"></td>{% endfor %}</tr>
{%- endfor %}</tbody></table></div>
{% endfor %}
"""


@dataclasses.dataclass(frozen=True)
class AttentionRow:
    """An image and where the network looks; pictures are data URIs.

    Attributes:
        name: of the image.
        label: name of its class, or an empty string.
        image, near: the image and its nearest training image.
        near_label: class of the latter.
        overlays: the attention at the end of each round shown.
    """

    name: str
    label: str
    image: str
    near: str
    near_label: str
    overlays: list[str]


def attention_section(context: ReportContext) -> Section | None:
    """Attention over training; None if no round was stored.

    The images are held-out successes and failures of kNN. If no image is a success, images that
    were correct throughout replace them; without labels, it is the training images of lowest and
    of highest entropy. Neighbours are those by the reported checkpoint.
    """
    if not context.record.round_ends:
        return None
    sample, first, kinds = _choose(context)
    chosen = np.concatenate(list(kinds.values()))
    if not len(chosen):
        return None
    rounds, drawn = _draw(context, sample, chosen)
    rows = iter(drawn)
    groups = [
        {"title": KINDS[kind].format(first=first), "rows": [next(rows) for _ in of_kind]}
        for kind, of_kind in kinds.items()
        if len(of_kind)
    ]
    html = fill(
        TEMPLATE,
        is_labelled=context.predicted is not None,
        no_failure=describe_no_failure(context.queries, context.predicted),
        groups=groups,
        rounds=rounds,
    )
    return Section("attention", "Attention over training", html, link="Attention")


def _choose(context: ReportContext) -> tuple[Sample, int | None, dict[str, np.ndarray]]:
    """The sample, the first stored round if there are labels, and the sample's rows by kind."""
    if context.predicted is None or context.queries is None:
        kinds = choose_by_entropy(context.entropy.values, COUNT)
        return context.reference, None, kinds
    queries, size = context.queries, context.image_size
    first, encoder = next(encoders_by_round(context.run, context.record.round_ends))
    reference = context.reference.embedded_by(encoder, size)
    predicted = predictions(reference, queries.embedded_by(encoder, size), len(context.classes))
    known = np.flatnonzero(queries.labels >= 0)
    labels = queries.labels[known]
    was_correct, is_correct = predicted[known] == labels, context.predicted[known] == labels
    chosen = choose_examples(was_correct, is_correct, COUNT)
    if not len(chosen["successes"]):
        chosen = {"throughout": np.flatnonzero(was_correct & is_correct)[:COUNT]} | chosen
    return queries, first, {kind: known[rows] for kind, rows in chosen.items()}


def _draw(
    context: ReportContext, sample: Sample, rows: np.ndarray
) -> tuple[list[int], list[AttentionRow]]:
    """The rounds shown, and one row per image."""
    reference, size = context.reference, context.image_size
    if sample is reference:
        near = nearest_others(reference, rows, 1)[0][:, 0]
    else:
        near = nearest_rows(reference.embeddings, sample.embeddings[rows], 1)[0][:, 0]
    images, counterparts = sample.load(rows, size), reference.load(near, size)
    maps = attention_by_round(context, images, counterparts)
    large = _enlarged(images)
    overlays = [overlay(large, of_round) for of_round in maps.values()]
    return list(maps), [
        AttentionRow(
            name=sample.image_name(row),
            label=sample.class_name(row, context.classes),
            image=picture(images[i]),
            near=picture(counterparts[i]),
            near_label=reference.class_name(near[i], context.classes),
            overlays=[picture(of_round[i]) for of_round in overlays],
        )
        for i, row in enumerate(rows)
    ]


def attention_by_round(
    context: ReportContext, images: np.ndarray, counterparts: np.ndarray
) -> dict[int, np.ndarray]:
    """Attention for the same pairs of images at the end of each stored round, or of some of many.

    A pair stays the same over the rounds, so that only the network changes.

    Args:
        context: of the report.
        images: (n, H, W, 3) uint8 at the encoder's size.
        counterparts: (n, H, W, 3) uint8, the image to which each is similar: its nearest
            neighbour by the reported checkpoint.

    Returns:
        Maps (n, h, w) float32 in 0..1 by round, see `similarity_attention`.
    """
    ends = context.record.round_ends
    shown = [ends[i] for i in evenly_spaced(len(ends), MOST_ROUNDS)]
    maps = {}
    for number, encoder in encoders_by_round(context.run, shown):
        targets = encoder.predict(counterparts, verbose=0)
        maps[number] = similarity_attention(encoder, attention_layer(encoder), images, targets)
    return maps


def _enlarged(images: np.ndarray) -> np.ndarray:
    """(n, S, S, 3) uint8, S at least PICTURE_SIDE, so that details of the maps can be seen."""
    side = max(PICTURE_SIDE, images.shape[1])
    bicubic = Image.Resampling.BICUBIC
    return np.stack([
        np.asarray(Image.fromarray(image).resize((side, side), bicubic)) for image in images
    ])  # fmt: skip
