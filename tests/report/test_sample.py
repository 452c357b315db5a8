"""Samples of images, and the nearest of their others."""

import numpy as np

from and_tf.data.sources.source import array_source
from and_tf.report.sample import Sample, nearest_others


def test_an_image_is_not_its_own_neighbour_even_beside_copies():
    embeddings = np.eye(6, dtype=np.float32)[[0, 0, 0, 1, 2, 3]]
    source = array_source(np.zeros((6, 8, 8, 3), np.uint8))
    sample = Sample(source, np.arange(6), embeddings)
    found, cosines = nearest_others(sample, np.array([2, 0, 4]), most=8)
    assert found.shape == (3, 5)
    assert sorted(found[0][:2]) == [0, 1] and sorted(found[1][:2]) == [1, 2]
    assert all(row not in near for row, near in zip([2, 0, 4], found, strict=True))
    np.testing.assert_allclose(cosines[0], [1, 1, 0, 0, 0], atol=1e-6)
