"""Images next to the method's reconstructions, for methods that predict images."""

import numpy as np

from and_tf.data.subsets import evenly_spaced
from and_tf.errors import UserError
from and_tf.report.context import ReportContext
from and_tf.report.section import Section, fill
from and_tf.report.thumbnails import picture

COUNT = 8  # images

TEMPLATE = """
<p>{{ which }} images, evenly spread, and what the {{ checkpoint }} checkpoint makes of them.
{{ sentence }}</p>
<div class="scroll" role="region" tabindex="0" aria-label="Rebuilt images">
<table class="strip">
<thead><tr><th scope="col" class="first">image</th>
{%- for name in names %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for line in lines %}
<tr><th scope="row" class="picture first"><img src="{{ line.src }}" alt="{{ line.name }}">
{{- line.label or line.name }}</th>
{%- for name, src in line.rebuilt.items() %}<td class="picture"><img src="{{ src }}"
 alt="{{ line.name }}, {{ name }}"></td>{% endfor %}</tr>
{%- endfor %}</tbody></table></div>
"""


def _arrays(context: ReportContext, prefix: str) -> dict[str, np.ndarray]:
    """Arrays of the reported checkpoint; refuses one that a running run has replaced."""
    arrays, metadata, path = context.run.load_checkpoint(context.checkpoint, prefix)
    if metadata["step"] != context.record.step:
        raise UserError(f"{path} was replaced while it was read: repeat the command.")
    return arrays


def rebuilt_section(context: ReportContext) -> Section | None:
    """Held-out or else training images, with their reconstructions; None for most methods."""
    sample = context.reference if context.queries is None else context.queries
    rows = evenly_spaced(len(sample), COUNT)
    images = sample.load(rows, context.image_size)
    sentence, rebuilt = context.settings.method.rebuild(
        context.encoder,
        lambda prefix: _arrays(context, prefix),
        images,
    )
    if not rebuilt:
        return None
    lines = [
        {
            "src": picture(images[i]),
            "name": sample.image_name(row),
            "label": sample.class_name(row, context.classes),
            "rebuilt": {name: picture(each[i]) for name, each in rebuilt.items()},
        }
        for i, row in enumerate(rows)
    ]
    html = fill(
        TEMPLATE,
        which="Training" if context.queries is None else "Held-out",
        checkpoint=context.checkpoint,
        sentence=sentence,
        names=list(rebuilt),
        lines=lines,
    )
    return Section("rebuilt", "Rebuilt images", html)
