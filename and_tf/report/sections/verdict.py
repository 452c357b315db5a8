"""The verdict on the page."""

from and_tf.report.comparison import comparison_of
from and_tf.report.context import ReportContext
from and_tf.report.measured import knn_of_last_stage, names_of_images
from and_tf.report.section import Section, fill
from and_tf.report.spread import measure_spread
from and_tf.report.verdict.control import find_control
from and_tf.report.verdict.evidence import Evidence
from and_tf.report.verdict.judge import judge
from and_tf.report.verdict.neighbours import QUESTION

TEMPLATE = """
<p class="headline">{{ verdict.headline|replace(" %", "\u00a0%") }}</p>
<ul>{% for reason in verdict.reasons %}<li>{{ reason }}</li>{% endfor %}</ul>
{% if verdict.neighbours %}<h3>{{ question }}</h3>
<ul>{% for sentence in verdict.neighbours %}<li>{{ sentence }}</li>{% endfor %}</ul>{% endif %}
"""

STYLE = ".verdict h3 { margin: 1rem 0 -.4rem; }"


def verdict_section(context: ReportContext) -> Section:
    """How good the run is, and compared with what."""
    verdict = judge(evidence_of(context))
    verdict.reasons.extend(context.remarks)
    html = fill(TEMPLATE, verdict=verdict, question=QUESTION)
    css_class = f"verdict {verdict.tone}"
    return Section("verdict", "Verdict", html, is_summary=True, css_class=css_class, style=STYLE)


def evidence_of(context: ReportContext) -> Evidence:
    """The evidence on which the verdict of a page is based."""
    own_data = names_of_images(context.train, context.held_out)
    return Evidence(
        record=context.record,
        spread=measure_spread(context.reference.embeddings),
        labels=context.held_out_labels,
        train_labels=context.knn_images.query_labels(context.train.labels),
        last_stage=knn_of_last_stage(context.record, own_data),
        published=comparison_of(context).describe_knn(),
        checkpoint=context.checkpoint,
        control=find_control(context.run, context.record),
        control_command=context.control_command,
    )
