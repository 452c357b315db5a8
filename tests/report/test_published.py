"""Which published figures stand beside a run's, and what makes them incomparable."""

import dataclasses

import pytest

from and_tf.report import published
from and_tf.report.published import KNN, Setting, data_name, differences, nearest_table

PAPER = Setting("CIFAR-10", 50_000, 10_000, "alexnet")


@pytest.mark.parametrize(
    ("data", "encoder", "method", "column", "figure"),
    [
        ("CIFAR-10", "alexnet", "AND", KNN, 74.8),
        ("CIFAR-100", "alexnet", "Instance", KNN, 32.7),
        ("SVHN", "alexnet", "AND", ("linear", "conv5"), 93.7),
        ("CIFAR-10", "resnet18", "AND", KNN, 86.3),
        ("SVHN", "resnet18", "Super-AND", KNN, 94.9),
        ("CIFAR-10", "resnet18", "AND", ("linear", "conv5"), None),
        ("CIFAR-10", "alexnet", "Super-AND", KNN, None),
    ],
)
def test_the_papers_figures(data, encoder, method, column, figure):
    setting = dataclasses.replace(PAPER, data=data, encoder=encoder)
    assert nearest_table(setting).figure(method, column) == figure


def test_imagenet_is_the_nearest_of_large_images():
    table = nearest_table(Setting("folder:photos", 900, 0, "resnet50", image_size=224))
    assert table.setting.data == "ImageNet"
    assert table.figure("AND", ("linear", "conv4")) == 39.7
    assert table.figure("AND", KNN) == 31.3
    assert table.figure("supervised", KNN) is None


def test_every_row_has_a_figure_for_each_column():
    for table in published.TABLES:
        assert "AND" in table.rows
        assert {len(figures) for figures in table.rows.values()} == {len(table.columns)}
        assert table.source.startswith("https://")


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
