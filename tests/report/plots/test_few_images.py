"""Plots by decile of entropy need images enough in each decile."""

from types import SimpleNamespace

import numpy as np
import pytest

from and_tf.report.plots.consistency_by_entropy import consistency_plot, too_few_for_deciles
from and_tf.report.plots.deciles import images_per_decile
from and_tf.report.record import Discovery


def record_of(count):
    """A record with the discoveries of two rounds."""
    rng = np.random.default_rng(0)
    found = []
    for number in (1, 2):
        neighbours = rng.integers(0, count, (count, 2))
        found.append(Discovery(number, rng.uniform(1, 3, count), neighbours, np.arange(count) < 9))
    return SimpleNamespace(discoveries=found)


@pytest.mark.parametrize("labels", [None, "all"])
def test_a_decile_of_fewer_than_20_images_is_not_drawn_and_the_reason_given(labels):
    for count, is_drawn in ((199, False), (200, True)):
        known = None if labels is None else np.arange(count) % 3
        record = record_of(count)
        assert (consistency_plot(record, known) is not None) == is_drawn
        reason = too_few_for_deciles(record, known)
        assert ("a decile would hold 19" in reason) != is_drawn and bool(reason) != is_drawn


def test_images_without_a_label_do_not_count_among_labelled_ones():
    labels = np.where(np.arange(300) % 2, -1, 1)
    assert "labelled images" in too_few_for_deciles(record_of(300), labels)
    assert too_few_for_deciles(record_of(300), np.full(300, -1)) == ""  # then stability is drawn


def test_images_per_decile_are_those_of_the_smallest():
    entropy = np.arange(25.0)
    assert images_per_decile(entropy, None) == 2
    labels = np.where(entropy < 3, -1, 0)
    assert images_per_decile(entropy, labels) == 0
