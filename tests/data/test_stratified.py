"""Parts of data sets that are in the order of their classes."""

import numpy as np
import pytest
from helpers.pictures import error_of, pixels, write_images

from and_tf.data.sources.opening import open_source
from and_tf.data.stratified import stratified_order


@pytest.fixture
def folder(tmp_path):
    """10 images of each of 3 classes, and 5 of a fourth."""
    names = [f"{name}/{n:02}.png" for name in ("ant", "bee", "cat") for n in range(10)]
    write_images(tmp_path, [*names, *(f"dog/{n}.png" for n in range(5))])
    return f"folder:{tmp_path}"


@pytest.mark.parametrize("fraction", [10, 20, 50, 80, 90])
def test_each_part_of_a_stratified_order_holds_each_class_in_proportion(fraction):
    labels = np.repeat(np.arange(5), [100, 30, 10, 7, 200])
    order = stratified_order(labels, len(labels))
    assert sorted(order.tolist()) == list(range(len(labels)))
    part = labels[order[: round(len(labels) * fraction / 100)]]
    expected = np.bincount(labels) * fraction / 100
    assert np.abs(np.bincount(part, minlength=5) - expected).max() <= 1
    np.testing.assert_array_equal(order, stratified_order(labels, len(labels)))


def test_an_order_without_labels_is_random_and_fixed():
    order = stratified_order(None, 100)
    assert sorted(order.tolist()) == list(range(100)) != order.tolist()
    np.testing.assert_array_equal(order, stratified_order(None, 100))


def test_a_stratified_part_and_the_rest_are_the_whole(folder):
    whole = open_source(folder)
    first = open_source(folder, "stratified_train[:80%]")
    rest = open_source(folder, "stratified_train[80%:]")
    assert first.names == sorted(first.names) and rest.names == sorted(rest.names)
    assert sorted(first.names + rest.names) == whole.names
    assert np.bincount(first.labels).tolist() == [8, 8, 8, 4]
    assert np.bincount(rest.labels).tolist() == [2, 2, 2, 1]
    again = open_source(folder, "stratified_train[:80%]")
    assert again.fingerprint == first.fingerprint
    assert open_source(folder, "stratified_training[:80%]").names == first.names
    assert open_source(folder, "stratified_train").names == whole.names
    joined = open_source(folder, "stratified_train[:10%]+stratified_train[80%:]")
    assert set(rest.names) < set(joined.names)


def test_unlabelled_and_other_sources_have_stratified_parts_too(folder, tmp_path):
    parts = [open_source(folder, f"stratified_train[{p}]", labels="none") for p in (":60%", "60%:")]
    assert len(parts[0]) + len(parts[1]) == 35 and not set(parts[0].names) & set(parts[1].names)
    digits = open_source("digits", "stratified_train[:50%]")
    assert np.ptp(np.bincount(digits.labels)) <= np.ptp(np.bincount(open_source("digits").labels))
    np.savez(tmp_path / "a.npz", x_train=pixels(20), y_train=np.repeat([0, 1], 10))
    part = open_source(f"npz:{tmp_path}/a.npz", "stratified_train[:50%]")
    assert part.labels.tolist() == [0] * 5 + [1] * 5
    assert "stratified_dev" in error_of(open_source, folder, "stratified_dev[:3]")


def test_a_part_without_some_classes_is_warned_of_with_one_that_holds_them(folder, caplog):
    open_source(folder, "train[:60%]")
    (record,) = caplog.records
    assert "few or no images of 2 of 4 classes ('cat', 'dog')" in record.message
    assert "stratified_train[:60%] holds all of them" in record.message
    caplog.clear()
    open_source(folder, "stratified_train[:60%]")
    open_source(folder, "train[:60%]", labels="none")
    open_source(folder, "train")
    open_source("digits", "train[:50%]")
    assert not caplog.records
