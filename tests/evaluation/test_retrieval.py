import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from and_tf.evaluation.retrieval import retrieval


@pytest.fixture
def small():
    """40 rows and 23 queries of 5 noisy classes, neither of unit length."""
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(5, 6))
    labels, query_labels = draw.integers(0, 5, 40), draw.integers(0, 5, 23)
    rows = centres[labels] + draw.normal(size=(40, 6))
    queries = centres[query_labels] + draw.normal(size=(23, 6))
    return rows.astype("float32"), labels, queries.astype("float32"), query_labels


def unit(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def naive(similarity, labels, query_labels, top=(1, 5, 10)):
    """By loops over ranks; of equally near rows the last one's rank counts for all of them."""
    hits, precisions = [], []
    for cosines, label in zip(similarity, query_labels, strict=True):
        order = sorted(range(len(labels)), key=lambda j: (-cosines[j], j))
        hits.append([any(labels[j] == label for j in order[:n]) for n in top])
        relevant = [j for j in order if labels[j] == label]
        at = []
        for j in relevant:
            near = [i for i in order if cosines[i] >= cosines[j]]
            at.append(sum(labels[i] == label for i in near) / len(near))
        precisions.append(np.mean(at))
    found = {f"recall_at_{n}": 100 * value for n, value in zip(top, np.mean(hits, 0), strict=True)}
    return found | {"mean_average_precision": 100 * np.mean(precisions)}


@pytest.mark.parametrize("budget_bytes", [None, 1, 8_000])
def test_figures_match_a_loop_and_scikit_learn(small, budget_bytes):
    rows, labels, queries, query_labels = small
    found = retrieval(rows, labels, queries, query_labels, budget_bytes=budget_bytes)
    similarity = unit(queries) @ unit(rows).T
    assert found == pytest.approx(naive(similarity, labels, query_labels), abs=1e-4)
    scores = [
        average_precision_score(labels == label, cosines)
        for label, cosines in zip(query_labels, similarity, strict=True)
    ]
    assert found["mean_average_precision"] == pytest.approx(100 * np.mean(scores), abs=1e-4)


def test_equally_near_rows_match_a_loop_and_scikit_learn():
    """Few directions, so that many cosines are equal to the last bit."""
    draw = np.random.default_rng(1)
    rows = np.eye(4, dtype="float32")[draw.integers(0, 4, 30)]
    queries = np.eye(4, dtype="float32")[draw.integers(0, 4, 20)]
    labels, query_labels = draw.integers(0, 3, 30), draw.integers(0, 3, 20)
    found = retrieval(rows, labels, queries, query_labels)
    similarity = queries @ rows.T
    assert found == pytest.approx(naive(similarity, labels, query_labels))
    scores = [
        average_precision_score(labels == label, cosines)
        for label, cosines in zip(query_labels, similarity, strict=True)
    ]
    assert found["mean_average_precision"] == pytest.approx(100 * np.mean(scores))


def test_equal_embeddings_earn_chance_in_any_order():
    labels = np.repeat([0, 1], [30, 10])
    rows = np.ones((40, 3), "float32")
    for order in (slice(None), slice(None, None, -1)):
        found = retrieval(rows, labels[order], rows[:2], np.array([0, 1]))
        assert found["mean_average_precision"] == pytest.approx(50)  # 75 % and 25 %


@pytest.mark.parametrize("budget_bytes", [None, 6_000])
def test_an_image_does_not_find_itself(small, budget_bytes):
    rows, labels, _, _ = small
    labels = np.where(np.arange(40) % 9 == 0, -1, labels)
    labels[3] = 7  # the only image of its class: left out
    found = retrieval(rows, labels, rows, labels, exclude_self=True, budget_bytes=budget_bytes)
    asked = np.flatnonzero((labels >= 0) & (labels != 7))
    metrics = []
    for query in asked:
        others = (np.arange(40) != query) & (labels >= 0)
        similarity = unit(rows[[query]]) @ unit(rows[others]).T
        metrics.append(naive(similarity, labels[others], labels[[query]]))
    for name, value in found.items():
        assert value == pytest.approx(np.mean([each[name] for each in metrics]), abs=1e-4), name
    itself = retrieval(rows, labels, rows, labels)
    assert itself["recall_at_1"] == 100 > found["recall_at_1"]


def test_unlabelled_rows_and_queries_are_left_out(small):
    rows, labels, queries, query_labels = small
    some, asked = np.arange(40) % 3 > 0, np.arange(23) % 4 > 0
    found = retrieval(rows, np.where(some, labels, -1), queries, np.where(asked, query_labels, -1))
    expected = retrieval(rows[some], labels[some], queries[asked], query_labels[asked])
    assert found == pytest.approx(expected, abs=1e-4)


def test_more_places_than_rows_take_all_rows(small):
    rows, labels, queries, query_labels = small
    assert retrieval(rows, labels, queries, query_labels, top=[100])["recall_at_100"] == 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.full(40, 9)}, "None of the 23 queries has another image of its class"),
        ({"query_labels": np.full(23, -1)}, "None of the 23 queries has a label"),
        ({"query_labels": np.zeros(22, int)}, r"labels of shape \(22,\)"),
        ({"queries": np.ones((23, 5), "float32")}, r"queries of shape \(23, 5\)"),
        ({"rows": np.full((40, 6), np.nan)}, "40 of 40 rows hold NaN"),
        ({"exclude_self": True}, "40 rows and 23 queries"),
    ],
)
def test_bad_input_is_named(small, change, message):
    names = ("rows", "labels", "queries", "query_labels")
    with pytest.raises(ValueError, match=message):
        retrieval(**(dict(zip(names, small, strict=True)) | change))
