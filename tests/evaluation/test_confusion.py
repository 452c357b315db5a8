import csv
import io
import itertools

import numpy as np
import pytest
from matplotlib import rc_context, rcParams
from PIL import Image
from sklearn.metrics import confusion_matrix as sklearn_matrix

from and_tf.evaluation.confusion import (
    confusion_figure,
    confusion_matrix,
    confusion_png,
    confusion_table,
    per_class_table,
)


@pytest.fixture
def answers():
    draw = np.random.default_rng(0)
    return draw.integers(0, 4, 60), draw.integers(0, 5, 60)


def read(text):
    return list(csv.reader(io.StringIO(text)))


def test_the_matrix_is_that_of_scikit_learn(answers):
    labels, predictions = answers
    expected = sklearn_matrix(labels, predictions, labels=range(6))
    np.testing.assert_array_equal(confusion_matrix(labels, predictions, 6), expected)


def test_unlabelled_images_are_left_out(answers):
    labels, predictions = answers
    some = np.where(np.arange(60) % 3 == 0, -1, labels)
    expected = confusion_matrix(labels[some >= 0], predictions[some >= 0], 5)
    np.testing.assert_array_equal(confusion_matrix(some, predictions, 5), expected)
    assert confusion_matrix(np.full(3, -1), np.zeros(3, int), 2).sum() == 0


@pytest.mark.parametrize(("label", "prediction"), [(5, 0), (0, 5), (0, -1)])
def test_classes_out_of_range_are_named(label, prediction):
    with pytest.raises(ValueError, match=r"must be in 0\.\.4"):
        confusion_matrix(np.array([label]), np.array([prediction]), 5)


def test_tables_read_back(answers):
    matrix = confusion_matrix(*answers, 5)
    names = ["cat", 'a "quoted", name', "üöä", "dog", "none"]
    first, *rest = read(per_class_table(matrix, names))
    assert first == ["class", "images", "correct", "top1"]
    assert [line[0] for line in rest] == names
    assert [int(line[1]) for line in rest] == matrix.sum(axis=1).tolist()
    assert float(rest[0][3]) == pytest.approx(100 * matrix[0, 0] / matrix[0].sum(), abs=0.01)
    assert rest[4][1:] == ["0", "0", ""]  # no image: no percentage
    table = read(confusion_table(matrix, names))
    assert table[0][1:] == names
    np.testing.assert_array_equal(np.array([line[1:] for line in table[1:]], int), matrix)


def test_class_names_are_no_formulas():
    names = ["=1+1", "-1", "@x"]
    for table in (per_class_table(np.eye(3, dtype=int), names), confusion_table(np.eye(3), names)):
        assert [line[0] for line in read(table)[1:]] == ["'=1+1", "-1", "'@x"]
    assert read(confusion_table(np.eye(3), names))[0][1:] == ["'=1+1", "-1", "'@x"]


@pytest.mark.parametrize("num_classes", [2, 10, 20, 21, 100, 250])
def test_the_picture_shows_every_class_that_there_is_room_for(num_classes):
    matrix = np.random.default_rng(0).integers(0, 9, (num_classes, num_classes))
    figure = confusion_figure(matrix, [f"class {i}" for i in range(num_classes)])
    axes = figure.axes[0]
    percent = axes.images[0].get_array()
    np.testing.assert_allclose(percent.sum(axis=1), 100)
    assert len(axes.get_yticks()) == min(num_classes, 84 if num_classes > 100 else 100)
    shown = [int(text.get_text()) for text in axes.texts]
    if num_classes <= 20:
        assert shown == np.round(percent[percent >= 0.5]).astype(int).tolist()
    else:
        assert not shown
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.get_yticklabels()]
    tops = sorted((box.y0, box.y1) for box in boxes)
    assert all(below[1] <= above[0] + 1 for below, above in itertools.pairwise(tops))


def test_a_class_without_an_image_is_an_empty_row():
    figure = confusion_figure(np.array([[3, 1], [0, 0]]), ["a", "b"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[75, 25], [0, 0]])


def test_names_of_any_kind_are_drawn(recwarn):
    names = ["costs $5 or $x^$", "\udcff broken", "写真", "n" * 200]
    png = confusion_png(np.eye(4, dtype=int), names)
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG" and max(image.size) < 1000
    assert not recwarn


def test_a_users_matplotlibrc_changes_no_picture():
    plain = confusion_png(np.eye(3, dtype=int), "abc")
    with rc_context({"text.usetex": True, "font.size": 30, "savefig.dpi": 20}):
        assert confusion_png(np.eye(3, dtype=int), "abc") == plain
        assert rcParams["font.size"] == 30  # the user's are back


def test_pictures_leave_pyplot_alone():
    import matplotlib.pyplot as plt

    opened_by_others = plt.get_fignums()
    confusion_png(np.eye(3, dtype=int), "abc")
    assert plt.get_fignums() == opened_by_others
