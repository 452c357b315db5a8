"""What a method adds to the metrics of the page."""

import json

import pytest
from helpers.report_runs import make_run, save_images

from and_tf.methods import METHODS
from and_tf.methods.instance import Instance
from and_tf.report.context import read_context
from and_tf.report.sections.label_free import TITLES, label_free_section
from and_tf.report.sections.metrics import metrics_section
from and_tf.report.settings import ReportSettings


def test_the_metrics_of_a_new_method_stand_on_the_page(tmp_path, monkeypatch):
    titles = {"novelty": "novelty (nats)", "purity": "purity of groups (%)"}
    monkeypatch.setattr(Instance, "metric_titles", titles)
    monkeypatch.setattr(Instance, "labelled_metrics", ("purity",))
    meanings = {"novelty": "how new it is", "purity": "how pure they are"}
    monkeypatch.setattr(Instance, "metric_meanings", meanings)
    data = save_images(tmp_path / "i.npz", 20, 2)
    run = make_run(tmp_path / "run", data, "--method=instance", "--rounds=1")
    records = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    logs = {"novelty": 0.125, "purity": 87.5}
    records = [record | logs if "loss" in record else record for record in records]
    run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    context = read_context(run, "last", ReportSettings())
    label_free, labelled = (
        " ".join(str(section(context).html).split())
        for section in (label_free_section, metrics_section)
    )
    assert "novelty (nats)" in label_free and "<td>0.12</td>" in label_free
    assert "purity of groups (%)" in labelled and "<td>87.5</td>" in labelled
    assert "<dt>novelty</dt><dd>how new it is</dd>" in label_free
    assert "Purity of groups: how pure they are." in labelled
    assert "purity" not in label_free and "novelty" not in labelled
    assert "anchors</th>" not in label_free and "Consistency" not in labelled


@pytest.mark.parametrize("name", METHODS)
def test_no_two_columns_of_a_table_have_the_same_title(name):
    titles = [*TITLES.values(), *METHODS[name].metric_titles.values()]
    assert len(set(titles)) == len(titles)
