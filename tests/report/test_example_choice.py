"""Which images show what a run has learned."""

import numpy as np

from and_tf.report.example_choice import choose_by_entropy, choose_examples


def test_examples_are_learned_images_and_images_still_wrong():
    first = np.array([False, False, True, True, False, False])
    last = np.array([True, True, True, False, False, True])
    chosen = choose_examples(first, last)
    assert {name: rows.tolist() for name, rows in chosen.items()} == {
        "successes": [0, 1, 5],
        "failures": [3, 4],
    }


def test_the_same_seed_chooses_the_same_examples():
    rng = np.random.default_rng(0)
    first, last = rng.random(200) < 0.3, rng.random(200) < 0.5
    choices = [choose_examples(first, last, seed=seed) for seed in (1, 1, 2)]
    assert all(len(rows) == 4 for rows in choices[0].values())
    np.testing.assert_array_equal(choices[0]["failures"], choices[1]["failures"])
    assert choices[0]["failures"].tolist() != choices[2]["failures"].tolist()


def test_without_labels_the_extremes_of_entropy_are_chosen():
    chosen = choose_by_entropy(np.array([0.5, 0.1, 0.9, 0.3, 0.7]), count=2)
    assert chosen["lowest entropy"].tolist() == [1, 3]
    assert chosen["highest entropy"].tolist() == [2, 4]
    few = choose_by_entropy(np.array([0.5, 0.1, 0.9]), count=2)
    assert not set(few["lowest entropy"]) & set(few["highest entropy"])
