"""How the page was made: each step in a sentence, the commands, the versions."""

import datetime

import and_tf
from and_tf.collection.page.context import PageContext
from and_tf.collection.page.sections.verdict import describe_encoder
from and_tf.report.embedding_map import MOST
from and_tf.report.section import Section, fill
from and_tf.report.spread import Spread, describe_rank

TEMPLATE = """
{{ page.definitions(steps) }}
{% if commands %}<h3>Commands</h3>
{{ page.commands(commands) }}{% endif %}
<h3>This page</h3>
{{ page.definitions(written) }}
"""


def method_section(context: PageContext) -> Section:
    """The steps that led to the page, and how to repeat them."""
    now = datetime.datetime.now().astimezone().replace(microsecond=0)
    html = fill(
        TEMPLATE,
        steps=_steps(context),
        commands=context.commands_of("method"),
        written=[
            ("table", str(context.table)),
            ("written by", f"and_tf {and_tf.__version__}"),
            ("written on", now.isoformat(" ")),
        ],
    )
    return Section("method", "Method", html)


def _steps(context: PageContext) -> list[tuple[str, str]]:
    found, collection = context.findings, context.collection
    steps = [
        (
            "embeddings",
            f"{describe_encoder(context)}; {collection.embeddings.shape[1]} values for each photo, "
            "of its centre square, scaled to length 1",
        ),
        *([("spread", _describe_spread(context, context.spread))] if context.spread else []),
        ("similarity", "cosine of two embeddings, 1 for equal ones"),
        ("neighbours", f"the {collection.neighbours.shape[1]} of highest cosine among all photos"),
    ]
    if found.duplicates is not None:
        steps.append(
            (
                "duplicates",
                "equal files or pixels, similar perceptual hashes, then pairs that the encoder "
                f"proposes: a cosine of at least {found.duplicates.threshold:.4g}",
            )
        )
    if found.outliers is not None:
        steps.append(
            (
                "outliers",
                f"distance to nearest photo number {found.outliers.k}, relative to the usual one",
            )
        )
    if found.clusters is not None:
        steps.append(("clusters", f"k-means of the embeddings, k = {found.clusters.count}"))
    steps.append(("map", f"t-SNE by cosine distance, of at most {MOST:,} photos"))
    steps.append(("seed", str(context.settings.collection.seed)))
    return steps


def _describe_spread(context: PageContext, spread: Spread) -> str:
    """How many directions the features span, which depends on their layer, and how evenly."""
    origin = context.collection.origin
    layer = origin.layer if origin is not None else ""
    what = "the features" + (f" of the layer {layer}" if layer else "")
    uniformity = f"uniformity is {spread.uniformity:.2f} (0: all equal; near -4: even)"
    return f"{describe_rank(spread, what)}; {uniformity}"
