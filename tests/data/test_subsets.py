"""Parts of a data set."""

import numpy as np

from and_tf.data.subsets import shuffled_by_class


def test_images_are_shuffled_within_their_class_and_those_without_label_left_out():
    labels = np.array([2, 0, -1, 2, 0, 2, 0, -1, 2])
    first, again, other = (shuffled_by_class(labels, 4, seed) for seed in (0, 0, 5))
    assert [sorted(members) for members in first] == [[1, 4, 6], [], [0, 3, 5, 8], []]
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert any((one != two).any() for one, two in zip(first, other, strict=True))
