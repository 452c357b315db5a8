"""An error of the source comes out of a pipeline as it went in."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.pipeline import train_pipeline
from and_tf.data.sources.source import ArraySource, array_source
from and_tf.errors import BrokenImage


class Broken(ArraySource):
    def load(self, *args):
        raise BrokenImage("Image 3 is broken")

    load_crops = load


def test_the_error_itself_is_kept_and_the_iteration_fails():
    images = np.zeros((8, 16, 16, 3), "uint8")
    fields = dataclasses.fields(ArraySource)
    plain = array_source(images)
    source = Broken(**{field.name: getattr(plain, field.name) for field in fields if field.init})
    failures = []
    with pytest.raises(tf.errors.OpError):
        next(iter(train_pipeline(source, batch_size=4, failures=failures)))
    assert isinstance(failures[0], BrokenImage) and str(failures[0]) == "Image 3 is broken"
