"""Which training images vote, and which are classified, while an encoder trains."""

import numpy as np

from and_tf.evaluation.knn_during_training import choose_images


def test_queries_and_votes_are_counted_among_the_images_that_are_looked_at():
    labels = np.where(np.arange(1000) % 10 == 0, -1, 3)
    chosen = choose_images(1000, at_most=100)
    assert len(chosen.rows) == 100 and chosen.is_query.sum() == 50
    looked_at = labels[chosen.rows]
    assert len(chosen.query_labels(labels)) == (looked_at[chosen.is_query] >= 0).sum() < 51
    assert chosen.votes(labels) == (looked_at >= 0).sum()
    assert chosen.votes_for_queries(labels) == (looked_at[~chosen.is_query] >= 0).sum()


def test_of_many_images_200_vote_and_2000_are_classified():
    chosen, labels = choose_images(60_000, at_most=50_000), np.zeros(60_000, int)
    assert len(chosen.rows) == 50_000
    assert len(chosen.query_labels(labels)) == 2000
    assert chosen.votes(labels) == chosen.votes_for_queries(labels) == 200


def test_without_labels_nobody_votes():
    chosen = choose_images(30, at_most=50)
    assert chosen.votes(None) == 0 and len(chosen.query_labels(None)) == 0
