"""Processes that share the taking of features, here threads, each load their own images alone."""

import keras
import numpy as np
import pytest
from helpers.replicas_in_threads import on_each

from and_tf.evaluation import extract

SIZE = 4


class CountedImages:
    """Images that note which of them were loaded."""

    name = "counted"

    def __init__(self, count):
        self.images = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), "uint8")
        self.loaded = []

    def __len__(self):
        return len(self.images)

    def load(self, indices, size):
        self.loaded += indices.tolist()
        return self.images[indices]


@pytest.fixture(scope="module")
def model():
    images = keras.Input((SIZE, SIZE, 3))
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))


@pytest.mark.parametrize(("count", "size"), [(21, 2), (21, 4), (5, 4), (4, 3)])
def test_all_get_all_features_and_no_image_is_loaded_twice(model, count, size):
    alone = extract(model, CountedImages(count), SIZE, batch_size=4, progress=False)
    sources = [CountedImages(count) for _ in range(size)]

    def work(replica):
        source = sources[replica.number]
        return extract(model, source, SIZE, batch_size=4, progress=False, sharing=replica)

    for features in on_each(size, work)[0]:
        np.testing.assert_array_equal(features, alone)
    loaded = [index for source in sources for index in source.loaded]
    assert loaded == list(range(count))
