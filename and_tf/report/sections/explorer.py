"""The explorer: some training images, their neighbours, and a map."""

from collections.abc import Sequence

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.report.context import ReportContext
from and_tf.report.embedding_map import map_points
from and_tf.report.page.explorer import Explorer, Facet, explorer_html
from and_tf.report.page.originals import original_urls
from and_tf.report.record import Discovery, anchor_since
from and_tf.report.sample import nearest_others
from and_tf.report.section import Section, fill
from and_tf.report.thumbnails import sheet, sheet_side

POOL = 240  # images in the grid
NEIGHBOURS = 8  # of each
GRID_LABEL = "Training images, lowest entropy first"


def explorer_section(context: ReportContext) -> Section:
    """A grid of training images with filters, the neighbours of the chosen one, and a map."""
    pool = choose_pool(context.reference.labels, context.entropy.values)
    explorer, uri = explore(context, pool)
    html = fill("<p>{{ description }}</p>", description=_description(context, len(pool)))
    style = f".sheet {{ background-image: url({uri}); }}"
    html += explorer_html(explorer, GRID_LABEL)
    return Section("explorer", "Explorer", html, style=style)


def _description(context: ReportContext, count: int) -> str:
    reference = context.reference
    return (
        f"{count} training images, spread evenly over the entropies"
        f"{' of each class' if reference.is_labelled else ''}, lowest entropy first. Choose one to "
        f"see its {min(NEIGHBOURS, len(reference) - 1)} nearest among "
        f"{reference.describe('training')}, by clean embeddings of the {context.checkpoint} "
        "checkpoint, with rank and cosine similarity; underlined neighbours can be chosen in turn. "
        f"Entropy is {context.entropy.origin}."
    )


def choose_pool(labels: np.ndarray, entropy: np.ndarray, most: int = POOL) -> np.ndarray:
    """Rows spread evenly over the entropies of each class, sorted by entropy.

    Args:
        labels: (n,) int.
        entropy: (n,) float.
        most: how many.
    """
    order = np.lexsort((entropy, labels))  # by class, then by entropy
    chosen = order[evenly_spaced(len(order), most)]
    return chosen[np.argsort(entropy[chosen], kind="stable")]


def explore(context: ReportContext, pool: np.ndarray) -> tuple[Explorer, str]:
    """The explorer of a run, and the data URI of the sheet of its thumbnails.

    Args:
        context: of the report.
        pool: (p,) int, rows of the reference images that the reader can choose.
    """
    sample, entropy = context.reference, context.entropy
    near, cosines = nearest_others(sample, pool, NEIGHBOURS)  # (p, k)
    rows = np.concatenate([pool, np.setdiff1d(near, pool)])  # all that are shown
    place = np.zeros(len(sample), int)
    place[rows] = np.arange(len(rows))
    labels, classes = sample.labels[rows], context.classes
    uri, columns = sheet(sample.load(rows, sheet_side(context.image_size)))
    urls = original_urls(sample.whole, context.page_folder)
    explorer = Explorer(
        names=[sample.image_name(row) for row in rows],
        near=place[near],
        cosines=cosines,
        thumbnails={"columns": columns},
        labels=labels if classes else None,
        classes=classes,
        urls=None if urls is None else [urls[i] for i in sample.indices[rows]],
        facets=[Facet("class", "Class", classes, labels)] if classes else [],
        texts=_texts(context, pool, labels),
        ranges=(entropy.values[pool], entropy.rank[pool]),
        map={"radius": 1.15, "hint": HINT}
        | map_points(sample, entropy.rank, pool, classes, context.settings.run.seed),
        map_images=range(len(pool)),
    )
    return explorer, uri


HINT = "Choose a large dot to see its image."


def _texts(context: ReportContext, pool: np.ndarray, labels: np.ndarray) -> list[str]:
    """What is known about each image of the pool, in sentences."""
    found = context.record.discoveries
    since = anchor_since(found, context.reference.indices[pool])
    made = []
    for i, row in enumerate(pool):
        sentences = [f"Class {context.classes[labels[i]]}."] if labels[i] >= 0 else []
        sentences.append(
            f"Entropy {context.entropy.values[row]:.2f} nats, higher than that of "
            f"{100 * context.entropy.rank[row]:.0f} % of the images."
        )
        sentences.append(_anchor_sentence(since[i], found))
        made.append(" ".join(sentence for sentence in sentences if sentence))
    return made


def _anchor_sentence(since: int | None, found: Sequence[Discovery]) -> str:
    if since is not None:
        return f"Anchor since round {since}."
    has_anchors = any(each.is_anchor.any() for each in found)
    return "Not an anchor in the last round." if has_anchors else ""
