"""Labels that the neighbours contradict."""

import dataclasses

import numpy as np

from and_tf.collection.collection import Collection, search_neighbours
from and_tf.collection.labels import with_folder_labels
from and_tf.collection.suspect_labels import find_suspect_labels
from and_tf.data.sources.encoded import EncodedSource
from and_tf.data.sources.source import array_source


def collection_of(labels, class_names=("cat", "dog", "owl"), seed=0):
    """Rows around one centre for each true class i % 3, with given labels."""
    draw = np.random.default_rng(seed)
    true = np.arange(len(labels)) % 3
    rows = np.eye(3, 8)[true] + 0.1 * draw.normal(size=(len(labels), 8))
    source = array_source(np.zeros((len(labels), 2, 2, 3), np.uint8))
    source = dataclasses.replace(
        source, labels=np.asarray(labels, np.int32), class_names=list(class_names)
    )
    return Collection(source, rows.astype("float32"), *search_neighbours(rows, 20))


def test_exchanged_labels_are_found_with_the_right_suggestion():
    labels = np.arange(150) % 3
    labels[[4, 30, 71]] = [2, 1, 0]
    found = find_suspect_labels(collection_of(labels))
    assert np.flatnonzero(found.is_suspect).tolist() == [4, 30, 71]
    assert found.suggested[[4, 30, 71]].tolist() == [1, 0, 2]
    assert (found.margin >= 0).all() and set(np.argsort(-found.margin)[:3]) == {4, 30, 71}
    assert found.agreement == 98.0


def test_margins_equal_a_plain_vote():
    labels = np.random.default_rng(0).integers(0, 3, 60)
    collection = collection_of(labels)
    found = find_suspect_labels(collection)
    for row in range(60):
        votes = np.zeros(3)
        for other, cosine in zip(
            collection.neighbours[row, :10], collection.similarity[row, :10], strict=True
        ):
            votes[labels[other]] += np.exp(cosine / 0.1)
        votes /= votes.sum()
        assert found.suggested[row] == votes.argmax()
        expected = np.log((votes.max() + 0.01) / (votes[labels[row]] + 0.01))
        np.testing.assert_allclose(found.margin[row], expected, atol=1e-3)


def test_images_without_a_label_neither_vote_nor_are_suspect():
    labels = np.arange(90) % 3
    labels[::2] = -1
    found = find_suspect_labels(collection_of(labels))
    assert not found.is_suspect.any() and found.agreement == 100
    assert (found.suggested == np.arange(90) % 3).all()


def test_without_two_classes_there_is_nothing_to_compare():
    assert find_suspect_labels(collection_of(np.zeros(30, int), ("cat",))) is None
    rows = np.ones((4, 2), np.float32)
    source = array_source(np.zeros((4, 2, 2, 3), np.uint8))
    assert find_suspect_labels(Collection(source, rows, *search_neighbours(rows, 2))) is None


def labelled(*names):
    found = with_folder_labels(
        EncodedSource(list(names), "here", names=list(names), sizes=np.ones(len(names)))
    )
    return found.class_names, None if found.labels is None else found.labels.tolist()


def test_class_folders_are_labels_and_splits_are_none():
    assert labelled("b/1.jpg", "a/x/2.jpg", "b/3.jpg") == (["a", "b"], [1, 0, 1])
    assert labelled("train/b/1.jpg", "test/a/2.jpg", "val/b/3.jpg") == (["a", "b"], [1, 0, 1])
    assert labelled("1.jpg", "a/2.jpg", "b/3.jpg") == (None, None)
    assert labelled("a/1.jpg", "a/2.jpg") == (None, None)
    assert labelled("train/1.jpg", "test/2.jpg") == (None, None)
