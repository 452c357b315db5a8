"""Which images the explorer shows."""

import numpy as np

from and_tf.report.sections.explorer import choose_pool


def test_the_pool_spreads_over_classes_and_their_entropies():
    rng = np.random.default_rng(0)
    labels, entropy = np.repeat([0, 1, 2, 3], 250), rng.uniform(0, 5, 1000)
    pool = choose_pool(labels, entropy, most=80)
    assert len(set(pool)) == 80
    assert np.all(np.diff(entropy[pool]) >= 0)
    assert np.array_equal(np.bincount(labels[pool]), [20] * 4)
    for label in range(4):
        chosen = entropy[pool[labels[pool] == label]]
        assert np.histogram(chosen, 5, (0, 5))[0].min() >= 2
    assert np.array_equal(choose_pool(labels[:7], entropy[:7]), np.argsort(entropy[:7]))
