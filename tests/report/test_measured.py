"""The results of a run beside the published ones, from what training and evaluate.py wrote."""

import pytest
from helpers.report_runs import settings_of

from and_tf.report.comparison import compare
from and_tf.report.measured import measured_rows, own_row
from and_tf.report.published import KNN, Setting
from and_tf.report.record import Record

PAPER = Setting("CIFAR-10", 50_000, 10_000, "alexnet")
OWN = {"train, 9 images", "test, 5 images"}


LAST = 400  # step of the checkpoint


def record(protocols=(), epochs=(), evaluations=()):
    metadata = {"images": 50_000}
    return Record(settings_of(), metadata, epochs, evaluations, [], protocols, LAST)


def report(classifier, rows, **others):
    words = f"{classifier} in words, layer fc, bank memory"
    known = {"reference": "train, 9 images", "queries": "test, 5 images", "step": LAST, "epoch": 8}
    return {"classifier": classifier, "protocol": words, "rows": rows} | known | others


def test_knn_of_the_papers_setting_is_comparable_with_its_standard_error():
    evaluations = [{"round": 4, "knn_top1": 75.0, "knn_top1_bank": 50.0}]
    rows = measured_rows(record(evaluations=evaluations), compare(PAPER, "AND"), 10_000, 150, OWN)
    assert all("K = 150" in row.protocol for row in rows)
    assert [row.results for row in rows] == [["top-1 75.0 ± 0.4 %"], ["top-1 50.0 ± 0.5 %"]]
    assert {row.note for row in rows} == {"comparable"}
    assert {row.published for row in rows} == {"74.8 %"}
    assert own_row(compare(PAPER, "AND"), rows)[0] == "75.0"


@pytest.mark.parametrize(
    ("classifier", "row", "result"),
    [
        ("knn", {"layer": "fc", "k": 200, "temperature": 0.1}, "60.3 %"),
        ("knn", {"layer": "fc", "k": 5, "temperature": 0.1}, ""),
        ("knn", {"layer": "conv5", "k": 200, "temperature": 0.1}, ""),
        ("linear", {"layer": "conv5", "regularisation": 1.0}, "70.1 %"),
        ("linear", {"layer": "conv5", "shots": 10}, ""),
        ("linear", {"layer": "conv4"}, ""),
        ("nn", {"layer": "fc"}, ""),
    ],
)
def test_only_the_same_protocol_has_a_published_result(classifier, row, result):
    protocols = [report(classifier, [row | {"top1": 61.0}])]
    (found,) = measured_rows(record(protocols), compare(PAPER, "Instance"), 10_000, 200, OWN)
    assert found.published == result
    words = "comparable; its number of epochs and recipe are not recorded here"
    assert found.note == (words if result else "no published result of this protocol")


def test_results_of_other_images_are_not_held_against_published_ones():
    row = {"layer": "conv5", "top1": 61.0}
    protocols = [report("linear", [row], queries="others, 7 images")]
    comparison = compare(PAPER, "AND")
    rows = measured_rows(record(protocols), comparison, 10_000, 200, OWN)
    assert rows[0].note == "not comparable: measured on others, 7 images"
    assert "61.0" not in own_row(comparison, rows)


def test_a_sweep_has_a_row_for_each_setting():
    rows = [{"layer": "fc", "k": k, "temperature": 0.1, "top1": 50.0 + k} for k in (1, 200)]
    found = measured_rows(record([report("knn", rows)]), compare(PAPER, "AND"), 10_000, 200, OWN)
    assert [row.protocol for row in found] == [
        "knn in words, layer fc, K = 1, temperature = 0.1, bank memory",
        "knn in words, layer fc, K = 200, temperature = 0.1, bank memory",
    ]
    assert [row.column for row in found] == [None, KNN]


def test_means_over_seeds_show_their_std():
    row = {"layer": "fc", "shots": 5, "top1": 50.0, "top1_deviation": 1.25, "nmi": 0.5}
    (found,) = measured_rows(
        record([report("linear", [row])]), compare(PAPER, "AND"), 10_000, 200, OWN
    )
    assert found.results == ["top-1 50.00 % (std 1.25)", "NMI 0.500"]


@pytest.mark.parametrize(
    ("metadata", "words"),
    [({"step": 200, "epoch": 4}, "of epoch 4, not of this checkpoint"), ({}, "epoch not recorded")],
)
@pytest.mark.parametrize("layer", ["conv5", "conv4"])
def test_an_evaluation_of_another_checkpoint_is_never_comparable(metadata, words, layer):
    found = report("linear", [{"layer": layer, "top1": 61.0}])
    found = {
        name: value for name, value in found.items() if name not in ("step", "epoch")
    } | metadata
    comparison = compare(PAPER, "AND")
    rows = measured_rows(record([found]), comparison, 10_000, 200, OWN)
    assert words in rows[0].note and rows[0].note.startswith(("not comparable", "no "))
    assert "61.0" not in own_row(comparison, rows)


def test_results_of_another_data_set_do_not_stand_beside_the_runs():
    comparison = compare(Setting("digits", 50_000, 10_000, "alexnet"), "AND")
    evaluations = [{"round": 4, "knn_top1": 75.0}]
    rows = measured_rows(record(evaluations=evaluations), comparison, 10_000, 200, OWN)
    assert rows[0].published == rows[0].note == ""
    assert own_row(comparison, rows) is None


def test_sweeps_and_layers_are_kept_apart_from_single_results():
    one, many = ([{"layer": "fc", "k": k, "top1": 40.0} for k in ks] for ks in ([200], [1, 5]))
    protocols = [report("knn", one), report("knn", many)]
    rows = measured_rows(record(protocols), compare(PAPER, "AND"), 10_000, 150, OWN)
    assert [row.is_one_of_many for row in rows] == [False, True, True]
