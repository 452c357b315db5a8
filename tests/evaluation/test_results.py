"""Names, tables and files of what evaluate.py leaves."""

import json
import os

import numpy as np
import pytest

from and_tf.cli import evaluate
from and_tf.evaluation import results
from and_tf.evaluation.settings import evaluation_settings


def test_the_file_name_tells_questions_apart_and_fits_any_file_system():
    def stem(*given):
        settings = evaluation_settings(evaluate.flags().parse(given))
        return results.file_stem(settings, settings.features.layer)

    questions = [
        ["--eval_split="], ["--checkpoint=best"], ["--checkpoint=round_3"],
        [], ["--k=5"], ["--k=5,6"], ["--knn_temperature=0.2"], ["--layer=conv5"], ["--layer=all"],
        ["--max_values=100"], ["--eval_split=test[:50]"], ["--bank=memory"], ["--labels=none"],
        ["--classifier=linear"], ["--classifier=linear", "--few_shot=5"],
        ["--classifier=linear", "--few_shot=5", "--few_shot_seeds=3"], ["--classifier=clusters"],
        ["--classifier=clusters", "--clusters=7"], [f"--data=npz:{200 * 'é'}/a.npz"],
        [f"--data=npz:{200 * 'é'}/b.npz"], ["--data=folder:/\udcff"],
        ["--data=folder:/a b"], ["--data=folder:/a-b"], ["--data=folder:/a/b"],
    ]  # fmt: skip
    stems = [stem(*question) for question in questions]
    assert len(set(stems)) == len(stems)
    assert all(len(os.fsencode(found)) <= 160 and "/" not in found for found in stems)
    assert stem() == stem("--k=200") == stem("--memory_mb=100") == "knn_fc_recomputed"


def test_a_table_of_layers_is_the_papers_row():
    rows = [
        {"layer": layer, "values": 9, "shots": shots, "top1": 10 * shots, "top1_deviation": 1.5}
        for layer in ("conv1", "fc")
        for shots in (1, 5)
    ]
    assert results.table(rows).splitlines() == [
        "                             conv1         fc",
        "top-1 %, labels per class 1  10.00 (1.50)  10.00 (1.50)",
        "top-1 %, labels per class 5  50.00 (1.50)  50.00 (1.50)",
    ]
    assert results.table(rows[:1]).splitlines() == [
        "labels per class  top-1 %",
        "1                 10.00 (1.50)",
    ]


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path, monkeypatch):
    matrices = {"fc": np.eye(2, dtype=int)}
    results.write_results(tmp_path, "a", {"top1": 1}, matrices, ["x", "y"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert json.loads(before["a.json"])["files"] == [
        "a.per_class.csv", "a.confusion.csv", "a.confusion.png"
    ]  # fmt: skip

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr(results.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        results.write_results(tmp_path, "a", {"top1": 2}, matrices, ["x", "z"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
