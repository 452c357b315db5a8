"""The run: cost, settings, and the versions that wrote it and the page."""

import datetime

from and_tf import __version__
from and_tf.data.settings import AugmentationSettings
from and_tf.encoders.settings import EncoderSettings
from and_tf.report.context import ReportContext
from and_tf.report.metric_tables import NOTHING
from and_tf.report.record import Record
from and_tf.report.section import Section, fill
from and_tf.settings import fields_of, flat_values
from and_tf.training.durations import clock
from and_tf.training.settings import ExperimentSettings

Pairs = list[tuple[str, str]]

TEMPLATE = """
<h3>Cost</h3>
{{ page.definitions(cost) }}
<h3>Settings</h3>
<details open>
<summary>{{ changed|length }} settings that differ from their defaults</summary>
{{ values(changed) }}
</details>
<details>
<summary>{{ same|length }} settings at their defaults</summary>
{{ values(same) }}
</details>
<h3>This page</h3>
{% if command %}<pre tabindex="0">{{ command }}</pre>{% endif %}
{{ page.definitions(versions) }}
"""

MACROS = """
{%- macro values(pairs) -%}
<dl class="flags">{% for name, value in pairs %}
<dt><code>{{ name }}</code></dt><dd><code>{{ value }}</code></dd>{% endfor %}</dl>
{%- endmacro -%}
"""


def run_section(context: ReportContext) -> Section:
    """The cost of the run, its settings, and the versions."""
    changed, same = setting_values(context.settings)
    html = fill(
        MACROS + TEMPLATE,
        cost=_cost(context),
        changed=changed,
        same=same,
        command=context.command,
        versions=_versions(context.record),
    )
    return Section("run", "The run", html)


def _cost(context: ReportContext) -> Pairs:
    record, rate = context.record, context.record.images_per_second
    views = context.settings.method.views
    of_views = f", each image in {views} views" if views > 1 else ""
    done = f"{record.epochs_done:,} of {record.plan.total_epochs:,}"
    return [
        ("epochs", done if context.settings.takes_steps else "not trained"),
        ("images per second",
         NOTHING if rate is None else f"{rate:,.0f} (median of the epochs{of_views})"),
        ("training steps", f"{clock(3600 * record.hours)} ({record.hours:.2f} hours), "
                           "without evaluation and checkpoints"),
        ("checkpoint", f"{context.checkpoint}, {context.checkpoint_bytes / 1e6:,.1f} MB"),
        ("parameters", f"{context.encoder.count_params():,}"),
    ]  # fmt: skip


def setting_values(settings: ExperimentSettings) -> tuple[Pairs, Pairs]:
    """Names and values of a run's settings: those that differ from the defaults, and the others."""
    standard = {field.name: field.default for field in fields_of(settings)}
    for group in (EncoderSettings(), AugmentationSettings()):  # whose defaults depend on others
        standard |= flat_values(group)
    changed: Pairs = []
    same: Pairs = []
    for name, value in flat_values(settings).items():
        pairs = same if value == standard[name] else changed
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        pairs.append((name, "(empty)" if value in ("", None, ()) else text))
    return changed, same


def _versions(record: Record) -> Pairs:
    """The versions that wrote the run and the page, and when the page was written."""
    metadata = record.metadata
    trained = [f"TensorFlow {metadata.get('tensorflow')}", f"Keras {metadata.get('keras')}",
               f"Python {metadata.get('python')}"]  # fmt: skip
    now = datetime.datetime.now().astimezone().replace(microsecond=0)
    return [
        ("trained with", ", ".join(trained)),
        ("written by", f"and_tf {__version__}"),
        ("written on", now.isoformat(" ")),
    ]
