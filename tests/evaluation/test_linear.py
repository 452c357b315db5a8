import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from and_tf import encoders
from and_tf.data.sources.source import ArraySource
from and_tf.evaluation import accuracy, feature_store, fit_linear, linear, logistic_streaming
from and_tf.evaluation.feature_store import empty_features
from and_tf.evaluation.features import extract_layers
from and_tf.evaluation.logistic import Standardisation
from and_tf.evaluation.logistic_streaming import TrainingSet, fit_streaming, loss_and_gradient


@pytest.fixture(scope="module")
def digits():
    """Training and test features; pixels at the border are constant."""
    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    features, labels = features[order].astype("float32"), labels[order]
    return features[:1200], labels[:1200], features[1200:], labels[1200:]


def top1(classifier, features, labels):
    return accuracy(classifier.predict_scores(features), labels)["top1"]


def test_accuracy_is_that_of_a_plain_scikit_learn_pipeline(digits):
    train, train_labels, test, test_labels = digits
    found = fit_linear(train, train_labels)
    plain = make_pipeline(
        StandardScaler(), LogisticRegression(C=found.regularisation, max_iter=1000)
    ).fit(train.astype("float64"), train_labels)
    assert found.converged
    assert top1(found, test, test_labels) == pytest.approx(
        100 * plain.score(test, test_labels), abs=0.5
    )
    assert top1(found, test, test_labels) > 94


def test_logits_are_those_of_scikit_learn(digits):
    train, train_labels, test, _ = digits
    found = fit_linear(train, train_labels, regularisations=(0.1,))
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    expected = plain.fit(train.astype("float64"), train_labels).decision_function(test)
    scores = found.predict_scores(test)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=0.02)
    assert found.held_out_top1 == {} and found.regularisation == 0.1


def test_the_penalty_does_best_on_held_out_training_images(digits):
    found = fit_linear(digits[0], digits[1])
    assert found.held_out_top1[found.regularisation] == max(found.held_out_top1.values())


def test_noise_asks_for_a_strong_penalty_and_the_search_ends_where_it_hurts():
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1], 200)
    features = draw.normal(size=(400, 100)).astype("float32")
    features[:, :20] += 0.5 * labels[:, None]  # 20 of 100 features tell
    observed = np.where(draw.random(400) < 0.2, 1 - labels, labels)
    found = fit_linear(features, observed, held_out=0.5, regularisations=(1e2, 1e-2, 1e1))
    assert found.regularisation == 1e-2
    assert list(found.held_out_top1) == [1e-2, 1e1]


def test_scale_and_offset_of_the_features_do_not_matter(digits):
    train, train_labels, test, _ = digits
    draw = np.random.default_rng(1)
    scale = (2.0 ** draw.integers(-20, 20, train.shape[1])).astype("float32")
    plain = fit_linear(train, train_labels, regularisations=(0.01,))
    scaled = fit_linear(train * scale, train_labels, regularisations=(0.01,))
    np.testing.assert_allclose(
        scaled.predict_scores(test * scale), plain.predict_scores(test), atol=1e-3
    )
    shifted = fit_linear(train + 100, train_labels, regularisations=(0.01,))
    np.testing.assert_allclose(
        shifted.predict_scores(test + 100), plain.predict_scores(test), atol=1e-2
    )
    far = fit_linear(train + 5000, train_labels, regularisations=(0.01,))  # 1,000 deviations
    assert far.converged
    np.testing.assert_allclose(
        far.predict_scores(test + 5000), plain.predict_scores(test), atol=0.1
    )


def test_constant_features_are_harmless(digits):
    train, train_labels, test, _ = digits
    constant = np.full((len(train), 2), [0.1, 1e6], "float32")
    found = fit_linear(np.hstack([train, constant]), train_labels, regularisations=(0.01,))
    plain = fit_linear(train, train_labels, regularisations=(0.01,))
    np.testing.assert_allclose(
        found.predict_scores(np.hstack([test, constant[: len(test)]])),
        plain.predict_scores(test),
        atol=1e-2,
    )


def test_the_same_seed_gives_the_same_classifier(digits):
    train, train_labels, test, _ = digits
    first, second = (fit_linear(train[:300], train_labels[:300], seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.predict_scores(test), second.predict_scores(test))
    assert first.held_out_top1 == second.held_out_top1


def test_images_without_a_label_are_left_out_and_inputs_kept(digits):
    train, train_labels, test, _ = digits
    train, some = train[:400].copy(), np.where(np.arange(400) % 2, train_labels[:400], -1)
    train.flags.writeable = False
    found = fit_linear(train, some, regularisations=(0.01,))
    expected = fit_linear(train[some >= 0], some[some >= 0], regularisations=(0.01,))
    np.testing.assert_allclose(found.predict_scores(test), expected.predict_scores(test), atol=1e-3)


def test_classes_without_an_image_keep_their_column_and_never_win(digits):
    train, train_labels, test, _ = digits
    found = fit_linear(train[:400], 2 * train_labels[:400], num_classes=25, regularisations=(0.01,))
    scores = found.predict_scores(test)
    assert scores.shape == (len(test), 25)
    assert np.isneginf(scores[:, 1::2]).all() and np.isneginf(scores[:, 19:]).all()
    assert np.isfinite(scores[:, 0:19:2]).all()
    assert accuracy(scores, np.ones(len(test), int)) == {"top1": 0.0, "top5": 0.0}


def test_two_classes_give_two_columns(digits):
    train, train_labels, test, test_labels = digits
    found = fit_linear(train, train_labels % 2, regularisations=(0.01,))
    scores = found.predict_scores(test)
    assert scores.shape == (len(test), 2)
    # One logit w of scikit-learn is (-w / 2, w / 2) here, which costs half as much.
    plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=1000))
    expected = plain.fit(train.astype("float64"), train_labels % 2).decision_function(test)
    np.testing.assert_allclose(scores[:, 1] - scores[:, 0], expected, atol=0.02)
    assert top1(found, test, test_labels % 2) > 85


def test_a_class_of_one_image_stays_in_training(digits):
    train, train_labels, test, _ = digits
    labels = train_labels[:200] % 3
    labels[0] = 3
    scores = fit_linear(train[:200], labels).predict_scores(test)
    assert np.isfinite(scores).all() and scores.shape[1] == 4


def test_a_fit_cut_short_says_so(digits):
    train, train_labels, _, _ = digits
    found = fit_linear(train, train_labels, regularisations=(1.0,), max_iterations=2)
    assert not found.converged and found.iterations == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(20, int)}, "two classes.* all of class 0"),
        ({"labels": np.full(20, -1)}, "None of the 20 features has a label"),
        ({"labels": np.arange(19)}, r"labels of shape \(19,\)"),
        ({"labels": np.arange(20)}, "No class has two labelled images"),
        ({"num_classes": 3}, "num_classes=3 must exceed .* a label 3"),
        ({"features": np.full((20, 3), np.nan)}, "20 of 20 features hold NaN"),
        ({"regularisations": ()}, "regularisations=.*positive"),
        ({"regularisations": (0.0, 1.0)}, "regularisations=.*positive"),
        ({"held_out": 1.0}, "held_out=1.0"),
    ],
)
def test_bad_input_is_named(change, message):
    features = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(ValueError, match=message):
        fit_linear(**({"features": features, "labels": np.arange(20) % 4} | change))


def test_features_of_another_width_are_refused(digits):
    found = fit_linear(digits[0][:100], digits[1][:100], regularisations=(0.01,))
    with pytest.raises(ValueError, match=r"must be \(Q, 64\).*\(5, 63\)"):
        found.predict_scores(np.ones((5, 63)))


@pytest.fixture(scope="module")
def layers(digits):
    """Training and test features of two layers of an untrained encoder, and their labels."""
    encoder = encoders.build_encoder("resnet_small", (8, 8, 3), embedding_dim=32, seed=3)
    found = []
    for pixels, labels in (digits[:2], digits[2:]):
        images = (pixels.reshape(-1, 8, 8, 1) * 15).astype("uint8").repeat(3, axis=3)
        source = ArraySource(images, "digits", labels)
        found.append(extract_layers(encoder, ["stage2", "stage4"], source, 8))
    return found


@pytest.mark.system
@pytest.mark.parametrize("layer", ["stage2", "stage4"])
def test_features_of_an_encoder_give_the_accuracy_of_scikit_learn(digits, layers, layer):
    train, test = (features[layer] for features in layers)
    found = fit_linear(train, digits[1])
    plain = make_pipeline(
        StandardScaler(), LogisticRegression(C=found.regularisation, max_iter=3000)
    ).fit(train.astype("float64"), digits[1])
    assert found.converged
    assert top1(found, test, digits[3]) == pytest.approx(
        100 * plain.score(test, digits[3]), abs=0.5
    )
    agreement = found.predict_scores(test).argmax(axis=1) == plain.predict(test)
    assert agreement.mean() > 0.99


def on_disk(rows, folder):
    features = empty_features(*rows.shape, folder)
    features[:] = rows
    return features


@pytest.mark.parametrize("memory_mb", [0, 100])
def test_features_in_a_file_give_the_same_classifier(digits, tmp_path, memory_mb):
    train, labels, test, _ = digits
    expected = fit_linear(train, labels, regularisations=(0.01, 0.1))
    features, queries = on_disk(train, tmp_path), on_disk(test, tmp_path)
    found = fit_linear(features, labels, regularisations=(0.01, 0.1), memory_mb=memory_mb)
    scores = found.predict_scores(queries)
    # With the budget of 0 MB each step reads the file; else scikit-learn fits a copy.
    atol = 0 if memory_mb else 0.02
    np.testing.assert_allclose(scores, expected.predict_scores(test), rtol=0, atol=atol)
    assert found.held_out_top1 == pytest.approx(expected.held_out_top1, abs=1)


def test_blocks_that_do_not_divide_the_rows_give_the_same_classifier(digits, monkeypatch):
    train, labels, test, _ = digits
    expected = fit_linear(train, labels, regularisations=(0.01, 0.1))
    for module in (feature_store, logistic_streaming):
        monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 64 * 77)  # 77 rows of 64 values
    found = fit_linear(train, labels, regularisations=(0.01, 0.1), memory_mb=0)
    np.testing.assert_allclose(found.predict_scores(test), expected.predict_scores(test), atol=2e-2)
    assert found.held_out_top1 == pytest.approx(expected.held_out_top1, abs=1)


def random_problem(num_rows=53, width=6, num_classes=4):
    draw = np.random.default_rng(5)
    features = draw.normal(3, 2, (num_rows, width)).astype("float32")
    targets = draw.integers(0, num_classes, num_rows).astype("int32")
    standardisation = Standardisation(features.mean(axis=0), features.std(axis=0))
    weights = draw.normal(size=(width + 1, num_classes))
    is_used = draw.random(num_rows) < 0.8
    return TrainingSet(features, targets, standardisation), is_used, weights


@pytest.mark.parametrize("block_rows", [1, 10, 53, 100])
def test_loss_and_gradient_are_those_of_plain_float64(block_rows, monkeypatch):
    training, is_used, weights = random_problem()
    monkeypatch.setattr(logistic_streaming, "BLOCK_BYTES", 4 * 6 * block_rows)
    loss, gradient = loss_and_gradient(weights, training, is_used, regularisation=0.1)

    mean, scale = training.standardisation
    rows = ((training.features.astype("float64") - mean) / scale)[is_used]
    targets, count = training.targets[is_used], is_used.sum()
    logs = log_softmax(rows @ weights[:-1] + weights[-1], axis=1)
    residual = np.exp(logs) - np.eye(4)[targets]
    kernel = weights[:-1]
    assert loss == pytest.approx(
        -logs[np.arange(count), targets].mean() + (kernel**2).sum() / (2 * 0.1 * count), rel=1e-5
    )
    expected = np.vstack(
        [rows.T @ residual / count + kernel / (0.1 * count), residual.mean(axis=0)]
    )
    np.testing.assert_allclose(gradient, expected, atol=1e-5)


def test_rows_that_are_not_used_have_no_influence_on_a_fit():
    training, is_used, weights = random_problem()
    features, targets = training.features.copy(), training.targets.copy()
    features[~is_used], targets[~is_used] = 1e6, 3 - targets[~is_used]
    other = TrainingSet(features, targets, training.standardisation)
    first, second = (
        fit_streaming(t, is_used, 0 * weights, 0.1, 50, 1e-6) for t in (training, other)
    )
    assert first.converged and np.abs(first.weights).max() > 0.1
    np.testing.assert_array_equal(first.weights, second.weights)


def test_each_penalty_is_fitted_without_the_rows_it_is_judged_on(digits, monkeypatch):
    fitted, judged = [], []

    def spy(function, rows, place):
        def call(*args, **kwargs):
            rows.append(args[place])
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(linear, "fit_streaming", spy(linear.fit_streaming, fitted, 1))
    monkeypatch.setattr(linear, "top1", spy(linear.top1, judged, 2))
    labels = np.where(np.arange(300) % 3, digits[1][:300], -1)
    fit_linear(digits[0][:300], labels, held_out=0.2, regularisations=(0.01, 0.02), memory_mb=0)
    assert len(judged) == 2 and len(fitted) == 3
    for kept, held_out in zip(fitted[:2], judged, strict=True):
        np.testing.assert_array_equal(kept ^ held_out, labels >= 0)
        assert not (kept & held_out).any() and 30 < held_out.sum() < 50
    np.testing.assert_array_equal(fitted[2], labels >= 0)


@pytest.mark.parametrize("in_file", [False, True])
def test_a_fit_beyond_the_memory_copies_blocks_of_the_features_only(tmp_path, monkeypatch, in_file):
    draw = np.random.default_rng(0)
    features = draw.normal(size=(40_000, 64)).astype("float32")
    labels = draw.integers(0, 2, len(features))
    features[:, 0] += labels
    for module in (feature_store, logistic_streaming):
        monkeypatch.setattr(module, "BLOCK_BYTES", 2**18)
    num_bytes = features.nbytes
    if in_file:
        features = on_disk(features, tmp_path)
    tracemalloc.start()
    fit_linear(features, labels, regularisations=(0.01, 0.1), max_iterations=3, memory_mb=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < num_bytes / 3
