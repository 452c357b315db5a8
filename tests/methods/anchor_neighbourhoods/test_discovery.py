import numpy as np
import pytest

from and_tf.methods.anchor_neighbourhoods.anchors import select_anchors
from and_tf.methods.anchor_neighbourhoods.diagnostics import consistency
from and_tf.search import all_pairs
from and_tf.search.neighbourhoods import discover, neighbour_overlap
from and_tf.search.row_blocks import compare_rows


def unit_rows(num_rows, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(num_rows, dim)).astype("float32")
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def naive_entropy(row, rows, temperature):
    logits = rows.astype("float64") @ row / temperature
    p = np.exp(logits - logits.max())
    p /= p.sum()
    return -np.sum(p[p > 0] * np.log(p[p > 0]))


@pytest.mark.parametrize("temperature", ["0.1", "0.07"])
@pytest.mark.parametrize("k", [1, 5])
def test_discovery_equals_the_authors(golden, temperature, k):
    arrays = golden("b_ans_discovery")
    rows, labels = arrays["features"], arrays["labels"]
    found = discover(rows, neighbourhood_size=k, temperature=float(temperature))
    np.testing.assert_allclose(found.entropy, arrays[f"T{temperature}_entropy"], atol=3e-5)
    similarities = rows @ rows.T
    for number in range(1, 5):
        prefix = f"T{temperature}_k{k}_r{number}_"
        anchors = arrays[prefix + "anchor_indexes"]
        is_anchor = select_anchors(found.entropy, 500 * number)
        assert set(np.flatnonzero(is_anchor)) == set(anchors)
        ours, theirs = found.neighbours[anchors], arrays[prefix + "neighbours"]
        swapped = ours != theirs
        gap = similarities[anchors[:, None], ours] - similarities[anchors[:, None], theirs]
        assert np.abs(gap[swapped]).max(initial=0) < 2e-6
        share = consistency(found.neighbours, is_anchor, labels)
        np.testing.assert_allclose(share, 100 * arrays[prefix + "consistency"], atol=0.11)


@pytest.mark.parametrize("temperature", [0.005, 0.07, 0.1, 1.0])
def test_entropy_is_finite_and_matches_a_float64_loop(temperature):
    rows = unit_rows(num_rows=40, dim=8, seed=1)
    found = discover(rows, neighbourhood_size=3, temperature=temperature, block_size=7)
    expected = [naive_entropy(row, rows, temperature) for row in rows.astype("float64")]
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block_size", [1, 7, 40, 64, None])
def test_neighbours_match_a_sort_for_every_block_size(block_size):
    rows = unit_rows(40, 8, seed=2)
    similarities = rows.astype("float64") @ rows.T.astype("float64")
    np.fill_diagonal(similarities, -np.inf)
    expected = np.argsort(-similarities, axis=1)[:, :4]
    found = discover(rows, neighbourhood_size=4, block_size=block_size)
    np.testing.assert_array_equal(found.neighbours, expected)
    assert found.neighbours.dtype == np.int32


def test_discovery_does_not_depend_on_length_or_order_of_rows():
    rows = unit_rows(50, 8, seed=3)
    plain = discover(rows, 2)
    scaled = discover(rows * np.random.default_rng(0).uniform(0.1, 9, (50, 1)), 2)
    np.testing.assert_array_equal(plain.neighbours, scaled.neighbours)
    order = np.random.default_rng(1).permutation(50)
    moved = discover(rows[order], 2)
    np.testing.assert_allclose(moved.entropy, plain.entropy[order], atol=1e-5)
    np.testing.assert_array_equal(order[moved.neighbours], plain.neighbours[order])


def test_a_row_is_never_its_own_neighbour_even_among_copies():
    rows = np.repeat(unit_rows(2, 4, seed=0), 6, axis=0)
    found = discover(rows, neighbourhood_size=3)
    assert not (found.neighbours == np.arange(12)[:, None]).any()
    assert (found.neighbours // 6 == np.arange(12)[:, None] // 6).all()


def test_every_neighbourhood_size_up_to_all_others_works():
    rows = unit_rows(5, 3, seed=0)
    for k in range(1, 5):
        assert discover(rows, k).neighbours.shape == (5, k)


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"neighbourhood_size": 5}, "=5 .* images, 5"), ({"neighbourhood_size": 0}, "=0"),
     ({"temperature": 0.0}, "temperature=0.0"), ({"temperature": -1.0}, "-1.0")],
)  # fmt: skip
def test_discovery_refuses_settings_out_of_range(settings, word):
    with pytest.raises(ValueError, match=word):
        discover(unit_rows(5, 3, seed=0), **settings)


def test_discovery_refuses_rows_that_are_not_finite():
    rows = unit_rows(5, 3, seed=0)
    rows[2, 1] = np.nan
    with pytest.raises(ValueError, match="finite"):
        discover(rows)


def test_anchors_are_the_lowest_entropies_and_ties_go_by_index():
    entropy = np.array([2.0, 1.0, 1.0, 0.5, 1.0])
    assert np.flatnonzero(select_anchors(entropy, 3)).tolist() == [1, 2, 3]
    assert select_anchors(entropy, 0).sum() == 0
    assert select_anchors(entropy, 5).all()
    with pytest.raises(ValueError, match="num_anchors=6"):
        select_anchors(entropy, 6)


def test_consistency_leaves_out_images_without_label():
    neighbours = np.array([[1], [0], [3], [0]])
    labels = np.array([0, 0, 1, -1])
    assert consistency(neighbours, np.array([True, True, True, False]), labels) == 100.0
    assert consistency(neighbours, np.array([False, False, True, False]), labels) is None


def test_stability_counts_the_neighbours_that_stay():
    before = np.array([[1, 2], [3, 0]])
    assert neighbour_overlap(before, before[:, ::-1]) == 100.0
    assert neighbour_overlap(before, np.array([[1, 3], [2, 4]])) == 25.0


def test_equal_similarities_go_by_index_for_every_block_size():
    rows = np.eye(3, dtype="float32")[np.arange(24) % 3]  # eight exact copies of three rows
    for block_size in (1, 5, 7, 24):
        found = discover(rows, neighbourhood_size=3, block_size=block_size)
        expected = [[j for j in range(i % 3, 24, 3) if j != i][:3] for i in range(24)]
        np.testing.assert_array_equal(found.neighbours, expected)


@pytest.mark.parametrize("temperature", [0.005, 0.1, 1.0])
def test_a_row_of_zeros_is_equally_far_from_all(temperature):
    rows = np.concatenate([unit_rows(20, 6, seed=4), np.zeros((2, 6), "float32")])
    found = discover(rows, temperature=temperature)
    np.testing.assert_allclose(found.entropy[20:], np.log(22), rtol=1e-6)
    expected = [naive_entropy(row, rows, temperature) for row in rows.astype("float64")]
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e18])
def test_very_short_and_very_long_rows_count_like_others(scale):
    rows = unit_rows(30, 6, seed=5)
    plain, scaled = discover(rows, 2), discover(rows * np.float32(scale), 2)
    np.testing.assert_array_equal(scaled.neighbours, plain.neighbours)
    np.testing.assert_allclose(scaled.entropy, plain.entropy, atol=1e-4)


@pytest.mark.parametrize("block_size", [200, None])
def test_threads_do_not_change_a_bit(monkeypatch, block_size):
    rows = unit_rows(3000, 16, seed=6)
    found = [discover(rows, 3, block_size=block_size) for _ in range(2)]
    monkeypatch.setattr(all_pairs, "num_cores", lambda: 3)
    for other in (found[1], discover(rows, 3, block_size=block_size)):
        np.testing.assert_array_equal(other.entropy, found[0].entropy)
        np.testing.assert_array_equal(other.neighbours, found[0].neighbours)


@pytest.mark.parametrize("block_size", [7, None])
def test_row_blocks_for_gpus_find_what_block_pairs_find(block_size):
    rows = unit_rows(60, 8, seed=7)
    pairs = discover(rows, 4, 0.07)
    entropy, neighbours = compare_rows(rows, np.arange(60), 4, 0.07, block_size)
    np.testing.assert_array_equal(neighbours, pairs.neighbours)
    np.testing.assert_allclose(entropy, pairs.entropy, atol=2e-5)


@pytest.mark.parametrize(("precision", "agreement"), [("bfloat16", 90), ("float16", 99)])
def test_half_precision_finds_nearly_the_same(precision, agreement, caplog):
    rows = unit_rows(400, 32, seed=8)
    caplog.set_level("INFO", logger="and_tf")
    exact, found = discover(rows), discover(rows, precision=precision, progress=True)
    share = neighbour_overlap(exact.neighbours, found.neighbours)
    assert share > agreement
    assert f"{precision}: {share:.1f} % of the neighbours" in caplog.text
    np.testing.assert_allclose(found.entropy, exact.entropy, atol=0.02)


def test_an_unknown_precision_is_named():
    with pytest.raises(ValueError, match="float64"):
        discover(unit_rows(5, 3, seed=0), precision="float64")


def test_discovery_says_nothing_unless_asked(capfd):
    discover(unit_rows(50, 8, seed=0))
    assert capfd.readouterr() == ("", "")
