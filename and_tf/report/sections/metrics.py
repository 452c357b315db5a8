"""The metrics: by round, by protocol, and the papers' own."""

import numpy as np

from and_tf.data.subsets import has_labels
from and_tf.report.comparison import Comparison, comparison_of
from and_tf.report.context import ReportContext
from and_tf.report.measured import measured_rows, names_of_images, own_row, percent
from and_tf.report.metric_tables import NOTHING, by_round, metric_meanings
from and_tf.report.section import Section, fill
from and_tf.report.standard_error import standard_error
from and_tf.search.votes import TEMPERATURE

TITLES = {
    "knn_top1": "kNN, recomputed (%)",
    "knn_top1_bank": "kNN, bank (%)",
    "knn_top1_train": "kNN, among training images (%)",
}

TEMPLATE = """
{%- macro protocols(rows, title) -%}
<div class="scroll" role="region" tabindex="0" aria-label="{{ title }}"><table class="texts">
<thead><tr><th scope="col">protocol</th><th scope="col">this run</th>
{% if is_published %}<th scope="col">published</th>
<th scope="col" class="prose">may they be compared?</th>{% else %}
<th scope="col" class="prose">note</th>{% endif %}</tr></thead>
<tbody>{% for row in rows %}
<tr><th scope="row">{{ row.protocol }}</th>
<td>{% for result in row.results %}<span>{{ result }}</span>{% endfor %}</td>
{% if is_published %}<td>{{ row.published or nothing }}</td>{% endif %}
<td class="prose">{{ row.note }}</td></tr>
{%- endfor %}</tbody></table></div>
{%- endmacro -%}

{% if rounds %}{{ page.table(rounds, "By round.", rounds_caption) }}{% endif %}
{% if no_accuracy %}<p>No accuracy of held-out images: {{ no_accuracy }}.</p>{% endif %}
{% if single or many %}
<figure class="table"><figcaption><b>{{ measured_title }}</b> {{ measured_caption }}</figcaption>
{{ protocols(single, "Measured results") }}</figure>
{% if many %}
<details>
<summary>Each layer and setting that was evaluated</summary>
{{ protocols(many, "Results of each layer and setting") }}
</details>
{% endif %}
{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}
{% endif %}
{% if is_published %}
<figure class="table"><figcaption>
<b>The papers' results.</b>
Top-1 in percent on {{ comparison.table.setting }}, the nearest published setting; each method
links to the source of its row.
{% if comparison.reasons %}Not comparable with this run: {{ comparison.reasons|join("; ") }}.
{% elif comparison.unknown %}Images and network are those of this run; for the result of its method,
{{ comparison.unknown }}.
{% else %}The setting is that of this run.{% endif %}</figcaption>
<div class="scroll" role="region" tabindex="0" aria-label="Published results"><table>
<thead><tr><th scope="col">method</th>{% for protocol, layer in comparison.table.columns %}
<th scope="col">{{ protocol }}, {{ "FC" if layer == "fc" else layer }}</th>{% endfor %}</tr></thead>
<tbody>{% for method, row in comparison.table.rows.items() %}
<tr><th scope="row"><a href="{{ row.source }}">{{ method }}</a></th>
{%- for value in row.values %}<td>{{ percent(value) }}</td>{% endfor %}</tr>
{%- endfor %}
<tr class="own">
<th scope="row">this run{% if comparison.reasons %}, not comparable{% endif %}</th>
{%- for cell in own %}<td>{{ cell }}</td>{% endfor %}</tr>
</tbody></table></div></figure>
{% if comparison.caveats %}
<details open>
<summary>What to keep in mind when comparing with published results</summary>
{% for caveat in comparison.caveats %}
<p class="note">{{ caveat.text }} (<a href="{{ caveat.source }}">source</a>)</p>
{% endfor %}
</details>
{% endif %}
{% endif %}
"""


def metrics_section(context: ReportContext) -> Section:
    """What was measured, by which protocol, and the papers' results on the same data set."""
    comparison = comparison_of(context)
    rows = measured_rows(
        context.record,
        comparison,
        count=len(context.held_out_labels),
        k=context.knn_images.votes(context.train.labels),
        own_data=names_of_images(context.train, context.held_out),
    )
    method = context.settings.method
    of_method = {name: method.metric_titles[name] for name in method.labelled_metrics}
    html = fill(
        TEMPLATE,
        nothing=NOTHING,
        percent=percent,
        rounds=by_round(context.record, TITLES | of_method),
        rounds_caption=_rounds_caption(context),
        no_accuracy=_why_no_accuracy(context),
        single=[row for row in rows if not row.is_one_of_many],
        many=[row for row in rows if row.is_one_of_many],
        measured_caption=_measured_caption(comparison),
        notes=sorted({str(note) for p in context.record.protocols for note in p.get("notes", [])}),
        measured_title="Measured." if comparison.is_other_data else "Measured and published.",
        is_published=not comparison.is_other_data,
        comparison=comparison,
        own=own_row(comparison, rows),
    )
    return Section("metrics", "Metrics and their protocol", html, link="Metrics")


def _rounds_caption(context: ReportContext) -> str:
    """The protocol of the kNN by round."""
    record, labels = context.record, context.held_out_labels
    sentences = []
    if (accuracy := record.latest("knn_top1")) is not None and len(labels):
        k = context.knn_images.votes(context.train.labels)
        has_bank = record.latest("knn_top1_bank") is not None
        sentences.append(
            f"Top-1 by weighted kNN, K = {k}, temperature {TEMPERATURE}, of "
            f"{len(labels):,} held-out images against clean features recomputed"
            f"{', and against the memory bank' * has_bank}; "
            f"standard error {standard_error(accuracy, len(labels)):.1f} points in the last row "
            "(Agresti and Coull 1998: never 0, not even at 100 %)."
        )
        if (raw := record.metadata.get("raw_pixels_knn_top1")) is not None:
            sentences.append(f"The same kNN on raw pixels: {raw:.1f} %.")
        largest = 100 * np.bincount(labels).max() / len(labels)
        sentences.append(f"Always naming the largest class: {largest:.1f} %.")
    sentences += _training_protocol(context)
    method = context.settings.method
    for title, meaning in metric_meanings(record, method, method.labelled_metrics):
        sentences.append(f"{title[0].upper()}{title[1:]}: {meaning}.")
    if method.learns_from_labels:
        sentences.append("The labels of the training images are what this method learns.")
    else:
        sentences.append("Labels are never used in training.")
    return " ".join(sentences)


def _training_protocol(context: ReportContext) -> list[str]:
    """The protocol of kNN among the training images, if it was measured."""
    accuracy = context.record.latest("knn_top1_train")
    images, labels = context.knn_images, context.train.labels
    count = len(images.query_labels(labels))
    if accuracy is None or not count:
        return []
    return [
        f"Among training images: the same kNN, K = {images.votes_for_queries(labels)}, of "
        f"{count:,} training images by the others; standard error "
        f"{standard_error(accuracy, count):.1f} points."
    ]


def _why_no_accuracy(context: ReportContext) -> str:
    """Why there is no kNN accuracy, or an empty string."""
    if context.record.latest("knn_top1") is not None:
        return ""
    if context.held_out is None:
        return "there are no held-out images (eval_split or eval_data)"
    for source in (context.train, context.held_out):
        if not has_labels(source.labels):
            return f"{source.name} has no labels"
    return "no evaluation has been made yet"


def _measured_caption(comparison: Comparison) -> str:
    result = (
        "What this run reached by each protocol, ± one standard error (Agresti and Coull 1998) "
        "where it is known"
    )
    if comparison.is_other_data:
        return f"{result}."
    return (
        f"{result}, next to the published result of {comparison.method} on "
        f"{comparison.table.setting}."
    )
