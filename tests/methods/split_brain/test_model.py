"""Split-Brain as a Keras model."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import small_worker

from and_tf import encoders
from and_tf.errors import UserError
from and_tf.methods.split_brain.loss import split_brain_losses
from and_tf.methods.split_brain.model import SplitBrainModel
from and_tf.training.optimizers import TorchSGD

pytestmark = pytest.mark.usefixtures("thin_resnet")

N, BATCH = 24, 8

split_encoder = functools.partial(encoders.build_encoder, split=True)


def images():
    """Those of one hue are light, those of another dark: either tells the other."""
    is_light = (np.arange(N) % 2)[:, None, None, None]
    light, dark = np.array([250, 200, 150]), np.array([20, 40, 120])
    noise = np.random.default_rng(0).integers(-9, 6, (N, 8, 8, 3))
    return np.clip(np.where(is_light, light, dark) + noise, 0, 255).astype("float32")


def model():
    return SplitBrainModel(split_encoder("resnet_small", (8, 8, 3), 8, seed=0), N, seed=1)


def fit(model, epochs=2, **settings):
    model.compile(TorchSGD(0.05, momentum=0.9), **settings)
    history = model.fit(
        images(), np.arange(N), batch_size=BATCH, epochs=epochs, verbose=0, shuffle=False
    )
    return history.history["loss"]


def test_loss_is_that_of_what_the_heads_predict():
    made = model()
    colour, lightness, lab = made.predictor(images(), training=False)
    assert colour.shape == (N, 1, 1, 261) and lightness.shape == (N, 1, 1, 100)
    expected = split_brain_losses(colour, lightness, lab)
    np.testing.assert_array_equal(made.losses(images(), np.arange(N)), expected)
    made.compile(TorchSGD(0.05))
    found = made.evaluate(images(), np.arange(N), batch_size=BATCH, verbose=0)
    assert found == pytest.approx(float(np.mean(expected)), rel=1e-5)


def test_gradients_are_those_of_the_weighted_losses():
    made = model()
    weights = np.linspace(0.1, 1, N).astype("float32")
    losses, _, gradients = made.losses_and_gradients(
        tf.constant(images()), tf.range(N), tf.constant(weights)
    )
    with tf.GradientTape() as tape:
        expected = split_brain_losses(*made.predictor(images(), training=True))
        loss = tf.reduce_sum(weights * expected)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    wanted = tape.gradient(loss, made.trainable_variables)
    assert len({id(v) for v in made.trainable_variables}) == len(gradients) == len(wanted)
    for gradient, other in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4)


def test_grey_images_give_finite_losses_and_gradients():
    grey = np.repeat(images()[..., :1], 3, axis=-1)
    weights = tf.fill([N], 1 / N)
    losses, _, gradients = model().losses_and_gradients(tf.constant(grey), tf.range(N), weights)
    assert all(np.isfinite(array).all() for array in (losses, *gradients))


@pytest.mark.parametrize("what", ["colour", "lightness"])
def test_a_head_trains_the_half_that_does_not_see_what_it_predicts(what):
    made = model()
    place, own = {"colour": (0, "lightness"), "lightness": (1, "colour")}[what]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(
            tf.nn.log_softmax(made.predictor(images(), training=True)[place])[..., 0]
        )
    gradients = tape.gradient(loss, made.encoder.trainable_variables)
    pairs = zip(made.encoder.trainable_variables, gradients, strict=True)
    trained = [v.path for v, gradient in pairs if gradient is not None and np.any(gradient)]
    assert trained and all(f"_{own}/" in path for path in trained)


def test_it_learns_one_from_the_other():
    made = model()
    fit(made, epochs=15)
    colour, lightness, lab = made.predictor(images(), training=True)
    own = np.mean(split_brain_losses(colour, lightness, lab))
    of_other_hue = np.roll(lab, 1, axis=0)  # guesses by frequency alone would be as good for these
    assert own < np.mean(split_brain_losses(colour, lightness, of_other_hue)) / 2


def test_compiled_gradients_are_the_same_up_to_rounding():
    encoder = small_worker.split_encoder(8, 8, synchronized_batch_norm=False, seed=0)
    made = SplitBrainModel(encoder, N, seed=1)
    compute = tf.function(made.losses_and_gradients, jit_compile=True)
    batch = tf.constant(images()), tf.range(N), tf.fill([N], 1 / N)
    found, _, gradients = compute(*batch)
    expected, _, wanted = made.losses_and_gradients(*batch)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for one, two in zip(gradients, wanted, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_heads_are_kept_beside_the_encoder_and_not_in_it():
    made = model()
    names = {f"heads/predict_{w}/{v}" for w in ("colour", "lightness") for v in ("kernel", "bias")}
    assert set(made.state()) == set(made.round_state()) == names
    assert not any("predict" in layer.name for layer in made.encoder.layers)
    of_heads = {id(v) for v in made.state().values()}
    assert of_heads <= {id(v) for v in made.step_variables()}


def test_a_saved_model_is_the_same_when_it_is_loaded(tmp_path):
    made = model()
    fit(made)
    made.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.name, again.num_samples, again.seed) == (made.name, N, 1)
    np.testing.assert_allclose(
        again.losses(images(), np.arange(N)), made.losses(images(), np.arange(N)), rtol=1e-5
    )


def test_an_encoder_of_one_piece_is_refused():
    with pytest.raises(UserError, match="two halves"):
        SplitBrainModel(encoders.build_encoder("resnet_small", (8, 8, 3), 8), N)
