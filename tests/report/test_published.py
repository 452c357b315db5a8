"""Which published results stand beside a run's, and what makes them incomparable."""

import dataclasses
import json

import pytest

from and_tf.methods import METHODS
from and_tf.report.published import (
    FILE,
    KNN,
    LINEAR,
    Setting,
    data_name,
    differences,
    nearest_table,
    tables,
)

PAPER = Setting("CIFAR-10", 50_000, 10_000, "alexnet")


@pytest.mark.parametrize(
    ("data", "encoder", "method", "column", "result"),
    [
        ("CIFAR-10", "alexnet", "AND", KNN, 74.8),
        ("CIFAR-100", "alexnet", "Instance", KNN, 32.7),
        ("SVHN", "alexnet", "AND", ("linear", "conv5"), 93.7),
        ("CIFAR-10", "resnet18", "AND", KNN, 86.3),
        ("SVHN", "resnet18", "Super-AND", KNN, 94.9),
        ("CIFAR-10", "resnet18", "AND", ("linear", "conv5"), None),
        ("CIFAR-10", "alexnet", "Super-AND", KNN, 75.6),
        ("CIFAR-10", "alexnet", "Super-AND", ("linear", "conv5"), None),
        ("CIFAR-100", "alexnet", "ISIF", KNN, 44.1),
        ("SVHN", "resnet18", "SimCLR", KNN, 90.8),
        ("CIFAR-10", "resnet18", "DeepCluster", KNN, 67.6),
    ],
)
def test_the_papers_results(data, encoder, method, column, result):
    setting = dataclasses.replace(PAPER, data=data, encoder=encoder)
    assert nearest_table(setting).result(method, column) == result


def test_imagenet_is_the_nearest_of_large_images():
    table = nearest_table(Setting("folder:photos", 900, 0, "resnet50", image_size=224))
    assert table.setting.data == "ImageNet"
    assert table.result("AND", ("linear", "conv4")) == 39.7
    assert table.result("AND", KNN) == 31.3
    assert table.result("supervised", KNN) is None


def test_birds_and_dogs_are_found_and_their_network_is_not_claimed_to_be_known():
    ours = Setting("CUB200", 5_994, 5_794, "resnet18", image_size=224)
    table = nearest_table(ours)
    assert table.result("AND", KNN) == 14.4
    assert differences(ours, table.setting) == [
        "network and image size of the published results are not recorded here"
    ]


def test_the_data_file_has_its_schema():
    contents = json.loads(FILE.read_text(encoding="utf-8"))
    assert set(contents) == {"about", "sources", "data_sets", "recipes", "tables", "caveats"}
    for source in contents["sources"].values():
        assert source["title"] and source["url"].startswith("https://")
    for data_set in contents["data_sets"].values():
        assert data_set["images"] > data_set["held_out_images"] > 0 and data_set["specs"]
    fields = {"data", "encoder", "image_size", "embedding_dim", "columns", "rows"}
    for table in contents["tables"]:
        assert set(table) == fields and table["data"] in contents["data_sets"]
        assert all(protocol in (KNN[0], LINEAR) for protocol, _ in table["columns"])
        assert len({row["method"] for row in table["rows"]}) == len(table["rows"])
        for row in table["rows"]:
            assert set(row) - {"epochs", "recipe"} == {"method", "values", "source"}
            assert row.get("epochs", 1) > 0
            assert row.get("recipe", "and") in contents["recipes"]
            assert row["source"] in contents["sources"]
            assert len(row["values"]) == len(table["columns"])
            assert all(value is None or 0 < value < 100 for value in row["values"])
    for caveat in contents["caveats"]:
        assert caveat["text"].endswith(".") and caveat["source"] in contents["sources"]
        assert set(caveat["applies_to"]) <= {"data", "encoder", "image_size"}
        assert any(caveat["applies_to"].items() <= table.items() for table in contents["tables"])


def test_caveats_stand_beside_the_tables_that_they_are_about():
    by_setting = {str(table.setting): " ".join(c.text for c in table.caveats) for table in tables()}
    assert "two ResNet-18 trunks" in by_setting["SVHN with ResNet18"]
    assert "not published" not in by_setting["SVHN with ResNet18"]
    assert "not published" in by_setting["SVHN with AlexNet"]
    assert "97.8" in by_setting["CIFAR-10 with ResNet18"]
    assert all("best epoch on the test images" in text for text in by_setting.values())


def test_the_papers_own_setting_is_comparable():
    assert differences(PAPER, nearest_table(PAPER).setting) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "digits"}, "digits"),
        ({"images": 5_000}, "5,000 training images, not 50,000"),
        ({"held_out_images": 2_000}, "2,000 test images"),
        ({"encoder": "resnet_small"}, "resnet_small"),
        ({"epochs": 50}, "50 epochs, not 1,000"),
        ({"embedding_dim": 64}, "64 values"),
        ({"image_size": 64}, "64 pixels"),
    ],
)
def test_each_difference_is_named(change, words):
    reasons = differences(dataclasses.replace(PAPER, **change), PAPER)
    assert len(reasons) == 1 and words in reasons[0]


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("tfds:cifar10", "CIFAR-10"),
        ("tfds:svhn_cropped/3.1.0", "SVHN"),
        ("tfds:CIFAR100", "CIFAR-100"),
        ("mat:/data/svhn", "SVHN"),
        ("digits", "digits"),
        ("tfds:cifar10_corrupted", "tfds:cifar10_corrupted"),
    ],
)
def test_data_sets_by_the_papers_names(spec, name):
    assert data_name(spec) == name


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_row_in_a_published_table(name):
    rows = {row for table in tables() for row in table.rows}
    assert METHODS[name].published_name in rows
