"""What a step says of batches and values that cannot be trained on, by every method's model."""

import keras
import numpy as np
import pytest

from and_tf.data.sources.source import array_source
from and_tf.encoders.build import build_encoder
from and_tf.errors import StepNotFinite, UserError
from and_tf.methods import METHODS
from and_tf.training.optimizers import TorchSGD

N = 8


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3)).astype("float32")


def build(split=False):
    if split:
        return build_encoder("resnet_small", (8, 8, 3), 4, seed=0, split=True)
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 128, offset=-1)(pixels))
    return keras.Model(pixels, keras.layers.UnitNormalization()(keras.layers.Dense(4)(x)))


@pytest.fixture(scope="module", params=[name for name in METHODS if METHODS[name].trains])
def method_and_model(request):
    method = METHODS[request.param]()
    encoder = method.build_encoder(build)
    source = array_source(images().astype("uint8"), labels=np.arange(N) % 2)
    model = method.build_model(encoder, source, seed=0)
    model.compile(TorchSGD(0.01))
    return method, model


def test_a_loss_that_is_not_finite_names_the_temperature_where_there_is_one(method_and_model):
    method, model = method_and_model
    with pytest.raises(StepNotFinite, match=r"in step 1: lower learning_rate") as raised:
        model.fit(images() * np.nan, np.arange(N), batch_size=N, verbose=0)
    named = str(raised.value).partition("learning_rate")[2]
    assert named == (" or raise temperature=0.1." if method.bank_array else ".")


def test_an_index_beyond_the_images_is_refused_in_words_of_every_method(method_and_model):
    _, model = method_and_model
    with pytest.raises(UserError, match=r"Index 8 .* not that of a training image: num_samples=8"):
        model.fit(images(), np.arange(N) + 1, batch_size=N, verbose=0)
