"""What can be known without labels."""

from collections.abc import Mapping

from and_tf.report.context import ReportContext
from and_tf.report.metric_tables import by_round, metric_meanings
from and_tf.report.plots.label_free_curves import label_free_plot
from and_tf.report.record import Record
from and_tf.report.section import Section, fill
from and_tf.report.sentences import describe_nearest

TITLES = {
    "effective_rank": "effective rank",
    "uniformity": "uniformity",
    "alignment": "alignment",
    "neighbours_kept": "neighbour overlap (%)",
    "mutual_neighbours": "mutual neighbours (%)",
    "bank_agreement": "bank agreement (%)",
    "hubness": "hubness",
}

CAPTION = (
    "Of clean embeddings, at the last evaluation in the round. Neighbour overlap, mutual "
    "neighbours and bank agreement are fractions of neighbours."
)

TEMPLATE = """
{#- Which label-free metrics to watch, as measured: the one place for these sentences. -#}
<p>Watch the effective rank: it should rise from round to round. On 5,000 images of CIFAR-10 it
followed kNN accuracy over a run and ordered nine runs with other settings. Hubness and mutual
neighbours ordered them too; the loss, entropy, alignment, uniformity and bank agreement did not.
Within a run all of these have a trend, as accuracy has; no metric told from one evaluation to the
next whether accuracy rose. The correlations are in docs/results.md, "What to watch without labels"
(measured at commit 78f7fc0). Neighbour overlap follows the learning rate.</p>
{% if plot %}<div class="wide">{{ page.plot(plot) }}</div>{% endif %}
{% if table %}{{ page.table(table, "Label-free metrics by round.", caption) }}{% endif %}
<details>
<summary>What the metrics mean</summary>
<dl>
<dt>effective rank</dt><dd>directions that the embeddings (layer fc) fill, 1 to
{{ embedding_dim }}; low:
collapsed (RankMe, <a href="https://arxiv.org/abs/2210.02885">Garrido et al. 2023</a>)</dd>
<dt>uniformity</dt><dd>0 where all embeddings are equal, near -4 where they spread evenly
(<a href="https://arxiv.org/abs/2005.10242">Wang and Isola 2020</a>)</dd>
<dt>alignment</dt><dd>mean squared distance between the embeddings of two augmented images of an
image, 0 to 4; low: invariant (same paper)</dd>
<dt>neighbour overlap</dt><dd>fraction of an image's {{ nearest }} that were among them at the
previous evaluation</dd>
<dt>mutual neighbours</dt><dd>fraction of an image's {{ nearest }} that have the image among
their own</dd>
<dt>bank agreement</dt><dd>fraction of an image's {{ nearest }} that are its nearest in the memory
bank too</dd>
<dt>hubness</dt><dd>large where a few images are near to very many
(<a href="https://jmlr.org/papers/v11/radovanovic10a.html">Radovanović et al. 2010</a>)</dd>
{% for term, meaning in meanings %}
<dt>{{ term }}</dt><dd>{{ meaning }}</dd>
{%- endfor %}
</dl>
</details>
"""


def label_free_section(context: ReportContext) -> Section:
    """The label-free metrics, and those that the method adds."""
    method = context.settings.method
    of_method = {
        name: title
        for name, title in method.metric_titles.items()
        if name not in method.labelled_metrics
    }
    html = fill(
        TEMPLATE,
        plot=label_free_plot(context.record),
        table=by_round(context.record, of_method | TITLES),
        caption=_caption(context.record, of_method),
        embedding_dim=context.encoder.output_shape[-1],
        nearest=describe_nearest(context.record.metadata["images"]),
        meanings=metric_meanings(context.record, method, of_method),
    )
    return Section("label-free", "What can be known without labels", html, link="Without labels")


def _caption(record: Record, of_method: Mapping[str, str]) -> str:
    """The caption of the table: what its columns were measured on."""
    logged = [title for name, title in of_method.items() if any(name in e for e in record.epochs)]
    if not logged:
        return CAPTION
    names = ", ".join(title.partition(" (")[0] for title in logged)
    return f"{CAPTION} As the method logged them in the round's last epoch: {names}."
