import time

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from and_tf.data.subsets import shuffled_by_class
from and_tf.evaluation.feature_store import empty_features
from and_tf.evaluation.few_shot import REGULARISATION, few_shot_accuracy


@pytest.fixture(scope="module")
def digits():
    """1,200 training and 597 test features; pixels at the border are constant."""
    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    features, labels = features[order].astype("float32"), labels[order]
    return features[:1200], labels[:1200], features[1200:], labels[1200:]


def only(labels, number):
    """The labels with -1 in place of all but the first `number` of each class."""
    kept = np.concatenate([np.flatnonzero(labels == c)[:number] for c in range(10)])
    some = np.full_like(labels, -1)
    some[kept] = labels[kept]
    return some


@pytest.mark.parametrize("number", [1, 5, 20])
def test_accuracy_is_that_of_scikit_learn_on_the_labelled_images(digits, number):
    train, labels, test, test_labels = digits
    some = only(labels, number)  # so that a draw has no choice; 20 are more rows than features
    found = few_shot_accuracy(train, some, test, test_labels, shots=[number], num_seeds=2)
    varies = train.std(axis=0) > 0
    mean, scale = train[:, varies].mean(axis=0), train[:, varies].std(axis=0)
    rows, queries = ((x[:, varies] - mean) / scale for x in (train[some >= 0], test))
    plain = LogisticRegression(C=REGULARISATION / varies.sum(), max_iter=1000)
    expected = 100 * plain.fit(rows, some[some >= 0]).score(queries, test_labels)
    assert found[number].mean == pytest.approx(expected, abs=0.2)
    assert found[number].std == 0


def test_more_labels_tell_more(digits):
    found = few_shot_accuracy(*digits, shots=(1, 5, 10, 50), num_seeds=3)
    means = [found[number].mean for number in (1, 5, 10, 50)]
    assert means == sorted(means)
    assert means[0] > 30 and means[-1] > 90
    assert found[1].std > found[50].std > 0


def test_mean_and_standard_deviation_are_over_single_draws(digits):
    single = [few_shot_accuracy(*digits, shots=[3], num_seeds=1, seed=s)[3] for s in (7, 8, 9)]
    found = few_shot_accuracy(*digits, shots=[3], num_seeds=3, seed=7)[3]
    values = [mean for mean, _ in single]
    assert len(set(values)) > 1 and [std for _, std in single] == [0, 0, 0]
    assert found.mean == pytest.approx(np.mean(values))
    assert found.std == pytest.approx(np.std(values, ddof=1))


def test_shots_do_not_depend_on_one_another(digits):
    both = few_shot_accuracy(*digits, shots=(2, 8), num_seeds=2)
    assert list(both) == [2, 8]
    assert few_shot_accuracy(*digits, shots=[8], num_seeds=2)[8] == both[8]


def test_queries_without_a_label_are_left_out(digits):
    train, labels, test, test_labels = digits
    expected = few_shot_accuracy(train, labels, test[:300], test_labels[:300], [5], num_seeds=1)
    some = np.where(np.arange(len(test)) < 300, test_labels, -1)
    assert few_shot_accuracy(train, labels, test, some, [5], num_seeds=1) == expected


def test_a_class_that_only_queries_have_counts_as_missed(digits):
    train, labels, test, test_labels = digits
    found = few_shot_accuracy(train, labels, test, test_labels + 10, [5], num_seeds=1)
    assert found[5].mean == 0


def test_equal_images_are_harmless(digits):
    train, labels, test, test_labels = digits
    twice = np.concatenate([train[:300]] * 2), np.concatenate([labels[:300]] * 2)
    found = few_shot_accuracy(*twice, test, test_labels, shots=[6], num_seeds=2)
    assert found[6].mean > 70


def test_features_in_files_give_the_same(digits, tmp_path):
    train, labels, test, test_labels = digits
    stored = []
    for rows in (train, test):
        stored.append(empty_features(*rows.shape, tmp_path))
        stored[-1][:] = rows
    found = few_shot_accuracy(stored[0], labels, stored[1], test_labels, [1, 5], num_seeds=2)
    assert found == few_shot_accuracy(train, labels, test, test_labels, [1, 5], num_seeds=2)


def test_the_smallest_class_is_named_if_it_has_too_few_images(digits):
    train, labels, test, test_labels = digits
    some = only(labels, 20)
    some[np.flatnonzero(some == 4)[:8]] = -1
    with pytest.raises(ValueError, match=r"13 shots need .* Class 4 has 12: lower the shots"):
        few_shot_accuracy(train, some, test, test_labels, shots=(1, 13))
    names = list("abcdefghij")
    with pytest.raises(ValueError, match="Class 'e' has 12"):
        few_shot_accuracy(train, some, test, test_labels, shots=[13], class_names=names)
    some[some == 4] = -1
    with pytest.raises(ValueError, match="Class 4 has 0"):
        few_shot_accuracy(train, some, test, test_labels, shots=[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": ()}, r"shots=\(\)"),
        ({"shots": (0, 5)}, r"shots=\(0, 5\)"),
        ({"num_seeds": 0}, "num_seeds=0"),
        ({"queries": np.zeros((20, 4))}, "same width"),
        ({"query_labels": np.full(20, -1)}, "None of the 20 queries has a label"),
        ({"labels": np.zeros(20, int)}, "at least two classes"),
        ({"features": np.full((20, 3), np.inf)}, "20 of 20 features hold NaN or infinite"),
    ],
)
def test_bad_input_is_named(change, message):
    values = np.random.default_rng(0).normal(size=(20, 3))
    labels = np.arange(20) % 4
    given = {"features": values, "labels": labels, "queries": values, "query_labels": labels}
    with pytest.raises(ValueError, match=message):
        few_shot_accuracy(**({"shots": (1,)} | given | change))


def test_the_images_of_40_000_classes_are_drawn_in_a_moment():
    labels = np.random.default_rng(0).permutation(np.arange(200_000) % 40_000)
    labels[:1000] = -1
    start = time.process_time()  # a pass over all labels for each class took half a minute
    by_class = shuffled_by_class(labels, 40_000, seed=1)
    assert time.process_time() - start < 5
    for number in (0, 7, 39_999):
        assert set(by_class[number]) == set(np.flatnonzero(labels == number))
