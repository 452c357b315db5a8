"""How training went: loss, learning rate, accuracy and entropy by round."""

from and_tf.report.context import ReportContext
from and_tf.report.plots.accuracy_by_round import accuracy_plot
from and_tf.report.plots.consistency_by_entropy import consistency_plot, too_few_for_deciles
from and_tf.report.plots.entropy_distribution import entropy_plot
from and_tf.report.plots.training_curves import training_plot
from and_tf.report.section import Section, fill

TEMPLATE = """
{% if plots %}
<div class="plots">
{% for plot in plots %}
{{ page.plot(plot) }}
{% endfor %}
</div>
{% else %}<p>No epoch has ended yet.</p>{% endif %}
{% if left_out %}<p class="note">{{ left_out }}</p>{% endif %}
"""


def training_section(context: ReportContext) -> Section:
    """The plots of training for which there is data."""
    record = context.record
    plots = [
        training_plot(record),
        accuracy_plot(record),
        consistency_plot(record, context.train.labels),
        entropy_plot(record),
    ]
    html = fill(
        TEMPLATE,
        plots=[plot for plot in plots if plot is not None],
        left_out=too_few_for_deciles(record, context.train.labels),
    )
    return Section("training", "Training", html)
