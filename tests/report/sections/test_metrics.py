"""What is told of the protocol of each metric."""

import json

import pytest
from helpers.report_runs import make_run, save_images

from and_tf.report.context import read_context
from and_tf.report.sections.metrics import metrics_section
from and_tf.report.sections.verdict import verdict_section
from and_tf.report.settings import ReportSettings


def context_of(folder, *flags, evaluation=None):
    """A run of 40 labelled images, as sections see it; `evaluation` replaces its last metrics."""
    folder.mkdir(exist_ok=True)
    run = make_run(folder / "run", save_images(folder / "i.npz", 40, 4), "--rounds=1", *flags)
    if evaluation is not None:
        lines = run.metrics.read_text().splitlines()
        place = {"step": 4, "epoch": 4, "round": 1}
        lines = [line for line in lines if "loss" in json.loads(line)]
        run.metrics.write_text("\n".join([*lines, json.dumps(place | evaluation)]) + "\n")
    return read_context(run, "last", ReportSettings())


def html_of(section):
    return " ".join(str(section.html).split())


def test_counts_and_k_are_of_the_images_that_the_evaluation_looked_at(tmp_path):
    evaluation = {"knn_top1": 70.0, "knn_top1_train": 80.0}
    context = context_of(tmp_path, "--eval_images=20", evaluation=evaluation)
    html = html_of(metrics_section(context))
    assert "weighted kNN, K = 20," in html
    assert "K = 10, of 10 training images by the others; standard error 12.1 points" in html


def test_the_headline_counts_the_training_images_that_were_classified(tmp_path):
    context = context_of(tmp_path, "--eval_images=20", evaluation={"knn_top1_train": 80.0})
    assert "of 10 training images by the others" in html_of(verdict_section(context))


@pytest.mark.parametrize("has_bank", [True, False])
def test_the_memory_bank_is_named_where_it_was_measured(tmp_path, has_bank):
    evaluation = {"knn_top1": 70.0} | ({"knn_top1_bank": 60.0} if has_bank else {})
    html = html_of(metrics_section(context_of(tmp_path, evaluation=evaluation)))
    assert ("recomputed, and against the memory bank;" in html) == has_bank
