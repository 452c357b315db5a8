import pytest

from and_tf.search.all_pairs import _rounds


@pytest.mark.parametrize("num_blocks", [1, 2, 3, 8, 9])
def test_every_pair_of_blocks_meets_once_and_none_twice_in_a_round(num_blocks):
    met = []
    for pairs in _rounds(num_blocks):
        busy = [block for pair in pairs for block in set(pair)]
        assert len(busy) == len(set(busy))
        met += [tuple(sorted(pair)) for pair in pairs]
    expected = [(i, j) for i in range(num_blocks) for j in range(i, num_blocks)]
    assert sorted(met) == expected
