"""The softmax classifier: its loss, its gradient, its top, and supervised training by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from and_tf.data.sources.source import array_source
from and_tf.encoders import build_encoder
from and_tf.errors import UserError
from and_tf.methods.classifier_model import ClassifierModel
from and_tf.methods.supervised import Supervised
from and_tf.training.optimizers import TorchSGD

N, D, C, BATCH = 20, 5, 3, 8
LABELS = np.arange(N) % C


def encoder():
    keras.utils.set_random_seed(0)
    images = keras.Input((4, 4, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 128, offset=-1)(images))
    return keras.Model(images, keras.layers.UnitNormalization()(keras.layers.Dense(D)(x)))


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3)).astype("float32")


def source(labels=LABELS):
    return array_source(images().astype("uint8"), labels=labels, name="noise")


def model(relu=False, spread=3.0):
    """With a top whose logits differ, in place of the almost equal ones of the start."""
    made = ClassifierModel(encoder(), N, C, seed=1)
    made.relu = relu
    made.classes.assign(LABELS)
    made.top.kernel.assign(np.random.default_rng(2).normal(0, spread, (D, C)))
    made.top.bias.assign([0.5, -1.0, 2.0])
    return made


def naive_losses(made, indices, relu):
    """Image by image, class by class, in float64."""
    kernel, bias = made.top.kernel.numpy().astype("float64"), made.top.bias.numpy()
    dense = next(layer for layer in made.encoder.layers if isinstance(layer, keras.layers.Dense))
    weights, offsets = (value.numpy().astype("float64") for value in dense.weights)
    losses = []
    for index in indices:
        pixels = images()[index].reshape(-1).astype("float64") / 128 - 1
        features = [pixels @ weights[:, f] + offsets[f] for f in range(D)]
        if relu:
            features = [max(0.0, value) for value in features]
        logits = [sum(features[f] * kernel[f, c] for f in range(D)) + bias[c] for c in range(C)]
        highest = max(logits)
        total = sum(np.exp(logit - highest) for logit in logits)
        losses.append(highest + np.log(total) - logits[LABELS[index]])
    return np.array(losses)


@pytest.mark.parametrize("relu", [False, True])
def test_the_loss_is_the_cross_entropy_of_a_naive_loop(relu):
    indices = np.array([3, 17, 3, 0, 11])
    losses = model(relu).losses(tf.constant(images()[indices]), tf.constant(indices)).numpy()
    np.testing.assert_allclose(losses, naive_losses(model(relu), indices, relu), rtol=1e-5)


def test_the_gradient_is_that_of_the_weighted_sum_of_losses():
    made, indices = model(), np.array([3, 17, 0, 11])
    weights = np.array([0.5, 1.0, 0.0, 2.0], "float32")
    losses, _, gradients = made.losses_and_gradients(
        tf.constant(images()[indices]), tf.constant(indices), tf.constant(weights)
    )
    np.testing.assert_allclose(losses, naive_losses(made, indices, False), rtol=1e-5)
    assert len(gradients) == len(made.trainable_variables) == 4

    def total():
        return float((weights * naive_losses(made, indices, False)).sum())

    for variable, gradient in zip(made.trainable_variables, gradients, strict=True):
        start, step = variable.numpy(), np.zeros(variable.shape, "float32")
        place = np.unravel_index(np.abs(gradient.numpy()).argmax(), step.shape)
        step[place] = 1e-2
        variable.assign(start + step)
        above = total()
        variable.assign(start - step)
        below = total()
        variable.assign(start)
        assert gradient.numpy()[place] == pytest.approx((above - below) / 2e-2, rel=1e-2)


def test_the_top_stands_before_the_normalisation_on_every_encoder_of_ours():
    for name in ("resnet_small", "alexnet"):
        made = ClassifierModel(build_encoder(name, (16, 16, 3), 8, seed=0), N, C, seed=0)
        assert made.features.output is made.encoder.get_layer("fc").output
    plain = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(6, 3)])
    assert ClassifierModel(plain, N, C).top.kernel.shape == (6, C)


def test_the_top_is_drawn_from_the_seed():
    first, same, other = (ClassifierModel(encoder(), N, C, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.top.kernel, same.top.kernel)
    assert (first.top.kernel.numpy() != other.top.kernel.numpy()).any()
    assert first.top.kernel.numpy().std() == pytest.approx(0.01, rel=0.6)
    first.draw_top(7)
    assert (first.top.kernel.numpy() != same.top.kernel.numpy()).all()
    same.draw_top(7)
    np.testing.assert_array_equal(first.top.kernel, same.top.kernel)


def test_a_model_is_saved_and_loaded_with_its_top_and_classes(tmp_path):
    made = model()
    made.compile(TorchSGD(0.1))
    made.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    indices = np.arange(4)
    expected = made.losses(tf.constant(images()[:4]), tf.constant(indices))
    np.testing.assert_allclose(
        loaded.losses(tf.constant(images()[:4]), tf.constant(indices)), expected, rtol=1e-6
    )


def test_supervised_training_learns_the_labels():
    made = Supervised().build_model(encoder(), source(), seed=0)
    made.compile(TorchSGD(0.1, momentum=0.9))
    fit = {"batch_size": BATCH, "verbose": 0, "shuffle": False}
    losses = made.fit(images(), np.arange(N), epochs=60, **fit).history["loss"]
    assert losses[0] > 0.9 and losses[-1] < 0.3
    evaluated = made.evaluate(images(), np.arange(N), batch_size=BATCH, verbose=0)
    naive = naive_losses(made, range(N), False).mean()
    assert evaluated == pytest.approx(naive, rel=1e-4, abs=1e-6)


def test_compiled_and_plain_steps_are_equal():
    models = []
    for jit_compile in (False, True):
        made = Supervised().build_model(encoder(), source(), seed=0)
        made.compile(TorchSGD(0.1, momentum=0.9), jit_compile=jit_compile)
        made.fit(images(), np.arange(N), batch_size=BATCH, epochs=3, verbose=0, shuffle=False)
        models.append(made)
    for one, other in zip(*(made.weights for made in models), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_supervised_training_takes_the_labels_of_the_images():
    made = Supervised().build_model(encoder(), source(), seed=0)
    np.testing.assert_array_equal(made.classes, LABELS)
    assert made.num_classes == C
    assert set(made.state()) == {"top/kernel", "top/bias"}


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "learns from labels, and noise has none"),
        (np.where(np.arange(N) < 3, -1, LABELS), "3 of 20 of noise have none: leave these out"),
        (np.ones(N, int), "at least two classes, and all images of noise are of one"),
    ],
)
def test_supervised_training_without_labels_is_refused(labels, message):
    with pytest.raises(UserError, match=message):
        Supervised().build_model(encoder(), source(labels), seed=0)


def test_knn_against_a_bank_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match="ClassifierModel keeps none: leave them out"):
        model().compile(TorchSGD(0.1), train_labels=LABELS)
