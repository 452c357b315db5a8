"""The linear classifiers of the ImageNet protocol: SGD on crops, all layers side by side."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from and_tf.data.decode import centre
from and_tf.data.sources.source import array_source
from and_tf.encoders.layer_outputs import features as layer_features
from and_tf.errors import UserError
from and_tf.evaluation.class_ranking import rank_classes, ranked
from and_tf.evaluation.linear_sgd import LinearWeights, SgdClassifier, fit_linear_sgd, step_of_all
from and_tf.evaluation.logistic import Standardisation
from and_tf.evaluation.sgd_settings import SgdSettings
from and_tf.evaluation.square_crops import ten_crops

SIZE, RESIZED = 8, 9
FEW = SgdSettings(sgd_epochs=2, sgd_batch_size=7, sgd_seed=3)


@pytest.fixture(scope="module")
def encoder():
    """Two layers of maps and an embedding, with the names of an AlexNet's."""
    keras.utils.set_random_seed(1)
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv1")(x)  # (6, 6, 4)
    y = keras.layers.Conv2D(6, 3, activation="relu", name="conv2")(x)  # (4, 4, 6)
    fc = keras.layers.Dense(5, name="fc")(keras.layers.Flatten()(y))
    return keras.Model(images, fc, name="small")


def source(count=20, classes=3):
    """Images whose brightness tells the class."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % classes
    pixels = draw.integers(0, 60, (count, RESIZED, RESIZED, 3)) + 60 * labels[:, None, None, None]
    return array_source(pixels.astype(np.uint8), labels, name="bright")


def fit(encoder, layers=("conv1", "conv2"), images=None, settings=FEW, max_values=80, **changed):
    images = images or source()
    labels = changed.pop("labels", images.labels)
    return fit_linear_sgd(
        encoder, layers, images, labels, 3, SIZE, RESIZED, max_values, settings, progress=False
    )


def naive_step(kernel, bias, velocity, features, labels, rate, decay):
    """torch.optim.SGD with momentum 0.9 on the mean cross-entropy, image by image, in float64."""
    gradient = [np.zeros_like(kernel), np.zeros_like(bias)]
    loss = 0.0
    for row, label in zip(features, labels, strict=True):
        logits = row @ kernel + bias
        loss -= log_softmax(logits)[label] / len(labels)
        residual = softmax(logits)
        residual[label] -= 1
        gradient[0] += np.outer(row, residual) / len(labels)
        gradient[1] += residual / len(labels)
    for i, weight in enumerate((kernel, bias)):
        velocity[i] = 0.9 * velocity[i] + gradient[i] + decay * weight
        weight -= rate * velocity[i]
    return loss


def test_steps_are_those_of_a_naive_loop():
    draw = np.random.default_rng(0)
    mean, scale = draw.normal(size=6), draw.uniform(0.5, 2, 6)
    scale[2] = np.inf  # a constant feature
    classifier = SgdClassifier(Standardisation(mean, scale), 4, weight_decay=0.1)
    kernel, bias, velocity = np.zeros((6, 4)), np.zeros(4), [0.0, 0.0]
    for rate, count in ((0.5, 5), (0.5, 3), (0.05, 5)):
        features = draw.normal(size=(count, 6)).astype(np.float32)
        labels = draw.integers(0, 4, count)
        standardised = (features - mean) / scale
        expected = naive_step(kernel, bias, velocity, standardised, labels, rate, 0.1)
        found = classifier.step(features, tf.constant(labels, tf.int32), tf.constant(rate))
        assert float(found) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(classifier.weights[0], kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(classifier.weights[1], bias, rtol=1e-4, atol=1e-6)
    folded = classifier.folded()
    np.testing.assert_allclose(
        features @ folded.kernel + folded.bias, standardised @ kernel + bias, rtol=1e-4, atol=1e-5
    )


def test_all_classifiers_take_the_steps_of_each_in_one_trace():
    draw = np.random.default_rng(0)
    widths = (3, 5)

    def fresh():
        return [SgdClassifier(Standardisation(np.zeros(w), np.ones(w)), 4, 0.1) for w in widths]

    together, alone = fresh(), fresh()
    step = step_of_all(together)
    for count in (6, 6, 2):
        features = [tf.constant(draw.normal(size=(count, w)), tf.float32) for w in widths]
        labels, rate = tf.constant(draw.integers(0, 4, count), tf.int32), tf.constant(0.3)
        losses = step(features, labels, rate)
        expected = [one.step(x, labels, rate) for one, x in zip(alone, features, strict=True)]
        np.testing.assert_allclose(losses, expected, rtol=1e-6)
    assert step.experimental_get_tracing_count() == 1
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.weights[0], other.weights[0], rtol=1e-5, atol=1e-7)


def test_the_optimum_is_that_of_scikit_learn():
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:500].astype(np.float32) / 16, labels[:500]
    decay = 0.01
    identity = Standardisation(np.zeros(64), np.ones(64))
    classifier = SgdClassifier(identity, 10, weight_decay=decay)
    targets = tf.constant(labels, tf.int32)
    for rate in (1.0, 0.3):
        for _ in range(150):
            classifier.step(features, targets, tf.constant(rate))
    # The bias decays, too: a column of ones, and no intercept that is free of the penalty.
    ones = np.hstack([features, np.ones((500, 1))])
    model = LogisticRegression(C=1 / (decay * 500), fit_intercept=False, tol=1e-8, max_iter=1000)
    expected = model.fit(ones, labels).decision_function(ones)
    found = classifier.folded()
    np.testing.assert_allclose(features @ found.kernel + found.bias, expected, atol=2e-3)


def test_classifiers_side_by_side_are_those_of_single_layers(encoder):
    together = fit(encoder, ("conv1", "conv2", "fc"))
    for layer, found in together.items():
        alone = fit(encoder, (layer,))[layer]
        np.testing.assert_allclose(found.kernel, alone.kernel, atol=1e-6)
        np.testing.assert_allclose(found.bias, alone.bias, atol=1e-6)
    assert [len(found.kernel) for found in together.values()] == [4 * 4 * 4, 3 * 3 * 6, 5]


def test_the_same_seed_gives_the_very_same_classifier_and_another_one_another(encoder):
    first, again = fit(encoder)["conv2"], fit(encoder)["conv2"]
    np.testing.assert_array_equal(first.kernel, again.kernel)
    other = fit(encoder, settings=SgdSettings(sgd_epochs=2, sgd_batch_size=7, sgd_seed=4))
    assert not np.array_equal(first.kernel, other["conv2"].kernel)


def test_what_classifiers_learn_tells_the_classes_of_other_images(encoder):
    settings = SgdSettings(sgd_epochs=20, sgd_batch_size=10)
    train, test = source(60), source(31)
    found = fit(encoder, ("conv1",), train, settings)
    for crops in (1, 10):
        classes = rank_classes(encoder, found, test, SIZE, RESIZED, crops, max_values=80)
        assert (classes["conv1"][:, 0] == test.labels).mean() > 0.7


def test_images_without_a_label_are_left_out(encoder):
    images = source(24)
    labels = np.where(np.arange(24) % 4 == 1, -1, images.labels)
    found = fit(encoder, images=images, labels=labels)["conv2"]
    expected = fit(encoder, images=images.take(np.flatnonzero(labels >= 0)))["conv2"]
    np.testing.assert_array_equal(found.kernel, expected.kernel)
    with pytest.raises(UserError, match="None of the 24 images has a label"):
        fit(encoder, images=images, labels=np.full(24, -1))


def test_a_learning_rate_that_diverges_is_named(encoder):
    settings = SgdSettings(sgd_epochs=3, sgd_learning_rate=1e30, sgd_weight_decay=1.0)
    with pytest.raises(UserError, match=r"not finite in epoch .*: lower sgd_learning_rate"):
        fit(encoder, settings=settings)


def test_the_encoder_is_left_alone(encoder):
    before = encoder.get_weights()
    fit(encoder)
    for weight, old in zip(encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [(36, [(0, 1), (9, 1), (10, 0.1), (19, 0.1), (20, 0.01), (30, 0.001), (35, 0.001)]),
     (1, [(0, 1)]), (7, [(1, 1), (2, 0.1), (4, 0.01), (6, 0.001)])],
)  # fmt: skip
def test_the_learning_rate_drops_at_the_published_fractions_of_the_epochs(epochs, expected):
    settings = SgdSettings(sgd_epochs=epochs, sgd_learning_rate=0.02)
    for epoch, factor in expected:
        assert settings.learning_rate(epoch) == pytest.approx(0.02 * factor)


def test_probabilities_of_ten_crops_are_averaged(encoder):
    images = source(3)
    draw = np.random.default_rng(2)
    weights = LinearWeights(
        draw.normal(size=(5, 7)).astype(np.float32), draw.normal(size=7).astype(np.float32)
    )
    found = rank_classes(
        encoder, {"fc": weights}, images, SIZE, RESIZED, crops=10, batch_size=20, progress=False
    )["fc"]
    squares = images.load(np.arange(3), RESIZED)
    model = layer_features(encoder, "fc")
    for row, crops in zip(found, ten_crops(squares, SIZE), strict=True):
        logits = model.predict(crops.astype("float32"), verbose=0) @ weights.kernel + weights.bias
        mean = softmax(logits, axis=1).mean(axis=0)
        assert row.tolist() == np.argsort(-mean)[:5].tolist()
    single = rank_classes(encoder, {"fc": weights}, images, SIZE, RESIZED, progress=False)["fc"]
    features = model.predict(centre(squares, SIZE).astype("float32"), verbose=0)
    expected = ranked(features @ weights.kernel + weights.bias)
    np.testing.assert_array_equal(single, expected)


def test_of_equal_scores_the_lower_class_comes_first():
    scores = np.array([[1.0, 2.0, 2.0, 0.0, 1.0, 1.0]])
    assert ranked(scores).tolist() == [[1, 2, 0, 4, 5]]
