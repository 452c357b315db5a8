"""An error of the source comes out of a pipeline as it went in."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from helpers.pictures import write_images

from and_tf.data.pipeline import train_pipeline
from and_tf.data.settings import AugmentationSettings
from and_tf.data.sources.opening import open_source
from and_tf.data.sources.source import ArraySource, array_source
from and_tf.encoders import build_encoder
from and_tf.errors import BrokenImage
from and_tf.methods.anchor_neighbourhoods.model import AND
from and_tf.training.optimizers import TorchSGD


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


def test_fit_ends_with_the_broken_file_by_its_name(tmp_path):
    write_images(tmp_path, [f"{number}.png" for number in range(8)], side=32)
    (tmp_path / "5.png").write_bytes((tmp_path / "5.png").read_bytes()[:-100])
    source = open_source(f"folder:{tmp_path}")
    model = AND(build_encoder("resnet_small", (16, 16, 3), embedding_dim=4), len(source))
    model.compile(TorchSGD(0.01))
    batches = train_pipeline(source, 4, AugmentationSettings(image_size=16))
    with pytest.raises(BrokenImage, match=r"5\.png .*repair or remove it") as caught:
        model.fit(batches, shuffle=False, verbose=0)
    assert caught.value.__suppress_context__
