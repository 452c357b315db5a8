import numpy as np
import pytest

from and_tf.search.mutual import are_mutual


@pytest.mark.parametrize("k", [1, 3, 11])
def test_pairs_are_those_of_a_loop(k):
    rng = np.random.default_rng(k)
    near = np.array([rng.permutation(np.delete(np.arange(12), i))[:k] for i in range(12)])
    expected = [[i in near[j] for j in near[i]] for i in range(12)]
    np.testing.assert_array_equal(are_mutual(near), expected)
    assert are_mutual(near).all() == (k == 11)
