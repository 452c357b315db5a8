import numpy as np
import pytest
import tensorflow as tf

from and_tf.evaluation import accuracy, knn, nearest_neighbour, weighted_knn
from and_tf.evaluation.knn import best_classes, ranking_accuracy, sweep_knn
from and_tf.search import nearest


@pytest.fixture
def small():
    """60 rows of 5 noisy classes and 23 queries; neither is of unit length."""
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(5, 8))
    labels, query_labels = draw.integers(0, 5, 60), draw.integers(0, 5, 23)
    rows = centres[labels] + draw.normal(size=(60, 8))
    queries = centres[query_labels] + draw.normal(size=(23, 8))
    return rows.astype("float32"), labels, queries.astype("float32"), query_labels


def naive_scores(rows, labels, queries, k, temperature, num_classes):
    rows, queries = rows.astype("float64"), queries.astype("float64")
    scores = np.zeros((len(queries), num_classes))
    for q, query in enumerate(queries):
        cosines = [row @ query / np.linalg.norm(row) / np.linalg.norm(query) for row in rows]
        voters = [j for j in np.argsort(cosines)[::-1] if labels[j] >= 0][:k]
        for j in voters:
            scores[q, labels[j]] += np.exp(cosines[j] / temperature)
    return scores


def test_scores_are_those_of_the_authors(golden):
    golden = golden("c_knn")
    scores = weighted_knn(
        golden["bank"],
        golden["bank_labels"],
        golden["queries"],
        k=int(golden["K"]),
        temperature=float(golden["sigma"]),
    )
    np.testing.assert_allclose(scores, golden["probs"], rtol=2e-5)
    ranked = np.argsort(-scores, axis=1, kind="stable")
    np.testing.assert_array_equal(ranked[:, 0], golden["top1_pred"])
    # Classes without any neighbour share the score 0: their order says nothing.
    voted = np.take_along_axis(scores, golden["top5_pred"], axis=1) > 0
    assert voted.mean() > 0.5
    np.testing.assert_array_equal(ranked[:, :5][voted], golden["top5_pred"][voted])
    found = accuracy(scores, golden["query_labels"])
    assert found["top1"] == pytest.approx(100 * golden["top1_acc"], abs=1e-4)
    assert found["top5"] == pytest.approx(100 * golden["top5_acc"], abs=1e-4)


def test_nearest_neighbour_is_that_of_the_authors(golden):
    golden = golden("c_knn")
    found = nearest_neighbour(golden["bank"], golden["bank_labels"], golden["queries"])
    assert np.mean(found == golden["query_labels"]) == pytest.approx(float(golden["nn_acc"]))


@pytest.mark.parametrize("temperature", [0.005, 0.07, 0.1, 1.0])
@pytest.mark.parametrize("k", [1, 7, 60, 200])
def test_scores_match_a_float64_loop(small, k, temperature):
    rows, labels, queries, _ = small
    scores = weighted_knn(rows, labels, queries, k=k, temperature=temperature, num_classes=6)
    expected = naive_scores(rows, labels, queries, k, temperature, num_classes=6)
    assert scores.dtype == np.float64 and np.isfinite(scores).all()
    # An error of 1e-7 in a cosine is one of 1e-7 / temperature in the weight.
    np.testing.assert_allclose(scores, expected, rtol=1e-6 / temperature)


@pytest.mark.parametrize("budget_bytes", [1, 3_000, 8_000, 12_000, 30_000])
def test_blocks_do_not_change_the_scores(small, budget_bytes):
    rows, labels, queries, _ = small
    some = np.where(np.arange(60) % 7 < 2, -1, labels)
    whole = weighted_knn(rows, some, queries, k=9)
    found = weighted_knn(rows, some, queries, k=9, budget_bytes=budget_bytes)
    np.testing.assert_allclose(found, whole, rtol=1e-5)


@pytest.mark.parametrize("budget_bytes", [1, 3_000, 8_000, 12_000, 10**9])
def test_blocks_keep_to_the_budget_or_to_a_single_row(budget_bytes):
    for num_rows, width, k in ((60, 8, 9), (10**6, 128, 200), (50_000, 9000, 200)):
        query_block, row_block = nearest.block_sizes(num_rows, width, k, budget_bytes)
        assert query_block >= 1 and 1 <= row_block <= num_rows
        if row_block > 1:
            assert 8 * width * row_block <= budget_bytes / 2
        if query_block > 1:
            found = query_block * (8 * width + 4 * row_block + 8 * k)
            assert found + 8 * width * row_block <= budget_bytes


def test_every_block_of_rows_and_queries_is_used(small, monkeypatch):
    rows, labels, queries, _ = small
    shapes = []

    def spy(keys, indices, *others):
        shapes.append((len(indices), len(keys)))
        return merged(keys, indices, *others)

    merged = nearest._merge
    monkeypatch.setattr(nearest, "_merge", spy)
    weighted_knn(rows, labels, queries, k=9, budget_bytes=8_000)
    assert len({size for size, _ in shapes}) == 2
    assert sum(r * q for r, q in shapes) == len(rows) * len(queries)


def test_features_need_only_slices(small):
    """Features on disk are no array: their slices are."""

    class OnDisk:
        def __init__(self, values):
            self.values, self.shape = values, values.shape

        def __len__(self):
            return len(self.values)

        def __getitem__(self, part):
            assert isinstance(part, slice)
            return self.values[part]

    rows, labels, queries, _ = small
    some = np.where(np.arange(60) % 3 == 0, -1, labels)
    for budget_bytes in (None, 8_000):
        found = weighted_knn(OnDisk(rows), some, OnDisk(queries), budget_bytes=budget_bytes)
        np.testing.assert_allclose(found, weighted_knn(rows, some, queries), rtol=1e-5)
    found = nearest_neighbour(OnDisk(rows), some, OnDisk(queries))
    np.testing.assert_array_equal(found, nearest_neighbour(rows, some, queries))


@pytest.mark.parametrize("budget_bytes", [None, 8_000])
def test_a_sweep_is_that_of_single_settings_from_one_search(small, monkeypatch, budget_bytes):
    rows, labels, queries, query_labels = small
    searched = []

    def spy(rows, queries, k, *rest):
        searched.append(k)
        return blocks(rows, queries, k, *rest)

    blocks = knn.nearest_blocks
    monkeypatch.setattr(knn, "nearest_blocks", spy)
    settings = {"budget_bytes": budget_bytes}
    ranked = sweep_knn(rows, labels, queries, [1, 7, 200, 60], [0.07, 0.1], **settings)
    assert searched == [60]
    assert list(ranked) == [(k, t) for k in (1, 7, 60) for t in (0.07, 0.1)]  # 200 counts as 60
    for (k, temperature), best in ranked.items():
        scores = weighted_knn(rows, labels, queries, k, temperature)
        np.testing.assert_array_equal(best[:, 0], scores.argmax(axis=1))
        voted = np.where(scores > 0, scores, -np.inf)
        assert ranking_accuracy(best, query_labels) == accuracy(voted, query_labels)
        assert ((best >= 0).sum(axis=1) == (scores > 0).sum(axis=1)).all()


def test_a_ranking_leaves_unlabelled_queries_out_and_counts_in_percent():
    ranked, labels = np.array([[1, 0], [1, 0], [2, 1]]), np.array([0, 1, -1])
    assert ranking_accuracy(ranked, labels, top=(1, 2, 3)) == {"top1": 50, "top2": 100, "top3": 100}
    with pytest.raises(ValueError, match="None of the 3 queries has a label"):
        ranking_accuracy(ranked, np.full(3, -1))


def test_of_equal_scores_the_lower_class_comes_first():
    np.testing.assert_array_equal(best_classes(np.float64([[1, 3, 3, 0]])), [[1, 2, 0, 3]])


@pytest.mark.parametrize("enabled", [True, False])
def test_products_are_full_float32_and_the_setting_is_restored(small, monkeypatch, enabled):
    rows, labels, queries, _ = small
    setting = tf.config.experimental
    before = setting.tensor_float_32_execution_enabled()
    seen = []

    def spy(*args):
        seen.append(setting.tensor_float_32_execution_enabled())
        return product(*args)

    product = nearest._product
    monkeypatch.setattr(nearest, "_product", spy)
    setting.enable_tensor_float_32_execution(enabled)
    try:
        weighted_knn(rows, labels, queries)
        assert seen == [False]
        assert setting.tensor_float_32_execution_enabled() == enabled
    finally:
        setting.enable_tensor_float_32_execution(before)


def test_order_and_scale_of_rows_and_queries_do_not_matter(small):
    rows, labels, queries, _ = small
    expected = weighted_knn(rows, labels, queries, k=9)
    draw = np.random.default_rng(0)
    order, query_order = draw.permutation(len(rows)), draw.permutation(len(queries))
    scale = np.float32(10.0) ** draw.integers(-20, 15, size=(len(rows), 1))
    found = weighted_knn((rows * scale)[order], labels[order], 7 * queries[query_order], k=9)
    np.testing.assert_allclose(found, expected[query_order], rtol=1e-5)


def test_inputs_are_not_changed(small):
    rows, labels, queries, _ = small
    before = rows.copy(), queries.copy()
    rows.flags.writeable = queries.flags.writeable = False
    weighted_knn(rows, labels, queries)
    np.testing.assert_array_equal(rows, before[0])
    np.testing.assert_array_equal(queries, before[1])


def test_rows_without_a_label_are_no_neighbours(small):
    rows, labels, queries, _ = small
    some = np.where(np.arange(60) % 3 == 0, -1, labels)
    found = weighted_knn(rows, some, queries, k=9, num_classes=5)
    np.testing.assert_allclose(
        found, weighted_knn(rows[some >= 0], some[some >= 0], queries, k=9, num_classes=5)
    )
    np.testing.assert_allclose(found, naive_scores(rows, some, queries, 9, 0.1, 5), rtol=1e-5)
    assert (nearest_neighbour(rows, some, queries) >= 0).all()


@pytest.mark.parametrize("budget_bytes", [None, 1, 100])
def test_equally_near_rows_come_by_index(budget_bytes):
    rows = np.float32([[0, 1], [2, 0], [1, 0], [3, 0]])
    query = np.float32([[5, 0]])
    indices, similarity = nearest.nearest_rows(rows, query, k=3, budget_bytes=budget_bytes)
    np.testing.assert_array_equal(indices, [[1, 2, 3]])
    np.testing.assert_array_equal(similarity, [[1, 1, 1]])
    assert nearest_neighbour(rows, np.array([0, 3, 1, 2]), np.float32([[5, 0]])) == [3]


def test_no_query_gives_no_score(small):
    rows, labels, queries, _ = small
    assert weighted_knn(rows, labels, queries[:0]).shape == (0, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k=0"),
        ({"temperature": 0.0}, "temperature=0.0"),
        ({"temperature": 0.001}, "temperature=0.001"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"num_classes": 4}, "num_classes=4 must exceed .* a label 4"),
        ({"labels": np.full(60, -1)}, "None of the 60 rows has a label"),
        ({"labels": np.zeros(59, int)}, r"labels of shape \(59,\)"),
        ({"labels": np.zeros(60)}, "float64 labels"),
        ({"labels": np.full(60, -2)}, "from -2"),
        ({"queries": np.ones((2, 7))}, r"queries of shape \(2, 7\)"),
        ({"queries": np.ones(8)}, r"Received shape \(8,\)"),
        ({"rows": np.full((60, 8), np.nan)}, "60 of 60 rows hold NaN"),
        ({"queries": np.full((2, 8), np.inf)}, "2 of 2 queries hold NaN or infinite"),
        ({"rows": np.where(np.arange(60)[:, None] == 41, np.nan, np.ones((60, 8)))}, "index 41"),
    ],
)
def test_bad_input_is_named(small, change, message):
    rows, labels, queries, _ = small
    with pytest.raises(ValueError, match=message):
        weighted_knn(**({"rows": rows, "labels": labels, "queries": queries} | change))


def test_accuracy_counts_ranks_in_percent():
    scores = [[3, 2, 1, 0], [3, 2, 1, 0], [0, 1, 2, 3], [9, 9, 9, 9]]
    found = accuracy(scores, np.array([0, 2, 0, -1]), top=(1, 2, 3, 4))
    expected = {"top1": 100 / 3, "top2": 100 / 3, "top3": 200 / 3, "top4": 100.0}
    assert found == pytest.approx(expected)


def test_accuracy_takes_all_classes_where_there_are_fewer_than_five():
    assert accuracy(np.eye(3), np.array([1, 2, 0])) == {"top1": 0.0, "top5": 100.0}


def test_accuracy_breaks_ties_by_the_lower_class():
    assert accuracy(np.zeros((2, 3)), np.array([0, 1]), top=(1,)) == {"top1": 50.0}


def test_classes_that_only_queries_or_only_rows_have():
    rows, labels = np.eye(4, dtype="float32"), np.array([0, 1, 2, 3])
    queries, query_labels = rows[[1, 1, 1]], np.array([1, 1, 7])  # 7 has no row, 0 no query
    scores = weighted_knn(rows, labels, queries, k=1)
    assert accuracy(scores, query_labels)["top1"] == pytest.approx(200 / 3)
    assert weighted_knn(rows, labels, queries, num_classes=10).shape == (3, 10)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.ones((2, 3)), np.array([-1, -1]), "None of the 2 queries"),
        (np.ones((2, 3)), np.array([0]), r"labels of shape \(1,\)"),
        (np.full((2, 3), np.nan), np.array([0, 1]), "2 rows of scores hold a NaN"),
    ],
)
def test_accuracy_refuses_what_it_cannot_count(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        accuracy(scores, labels)
