"""What must hold for the neighbours in any bank, whatever hypothesis draws."""

import numpy as np
from helpers.drawn import SEEDS, SETTINGS, TEMPERATURES, drawn_unit_rows
from hypothesis import given
from hypothesis import strategies as st

from and_tf.search.neighbourhoods import discover


@st.composite
def banks(draw):
    """(N, D) rows, some of them copies of others, and k."""
    num_rows, dim = draw(st.integers(2, 30)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(SEEDS))
    rows = drawn_unit_rows(rng, num_rows, dim)
    if draw(st.booleans()):
        rows = rows[rng.integers(0, num_rows, num_rows)]
    return rows, draw(st.integers(1, num_rows - 1))


def nearness(rows, neighbours):
    """Cosines of each row and its neighbours: what is left of them where ties may fall anyhow."""
    return np.einsum("nd,nkd->nk", rows, rows[neighbours])


@SETTINGS
@given(banks(), st.integers(1, 40), TEMPERATURES)
def test_discovery_does_not_depend_on_the_block_size(drawn, block_size, temperature):
    rows, k = drawn
    plain = discover(rows, k, temperature)
    blocks = discover(rows, k, temperature, block_size)
    np.testing.assert_allclose(blocks.entropy, plain.entropy, atol=1e-4)
    np.testing.assert_allclose(
        nearness(rows, blocks.neighbours), nearness(rows, plain.neighbours), atol=1e-5
    )


@SETTINGS
@given(banks(), TEMPERATURES, SEEDS)
def test_discovery_moves_with_the_rows(drawn, temperature, seed):
    rows, k = drawn
    order = np.random.default_rng(seed).permutation(len(rows))
    plain, moved = discover(rows, k, temperature), discover(rows[order], k, temperature)
    np.testing.assert_allclose(moved.entropy, plain.entropy[order], atol=1e-4)
    np.testing.assert_allclose(
        nearness(rows[order], moved.neighbours), nearness(rows, plain.neighbours)[order], atol=1e-5
    )


@SETTINGS
@given(banks(), st.sampled_from([0.005, 0.07, 1.0, 100.0]))
def test_neighbours_are_others_and_entropies_are_those_of_n_images(drawn, temperature):
    rows, k = drawn
    found = discover(rows, k, temperature)
    assert found.neighbours.shape == (len(rows), k)
    for row, near in enumerate(found.neighbours):
        assert row not in near and len(set(near)) == k
    assert found.entropy.min() >= -1e-5
    assert found.entropy.max() <= np.log(len(rows)) + 1e-4
    left_out = np.ones((len(rows), len(rows)), bool)
    np.put_along_axis(left_out, found.neighbours, False, axis=1)
    np.fill_diagonal(left_out, False)
    further = np.where(left_out, rows @ rows.T, -1).max(axis=1)
    assert (nearness(rows, found.neighbours).min(axis=1) >= further - 1e-5).all()
