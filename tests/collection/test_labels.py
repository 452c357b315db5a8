"""Labels of a collection are the class folders, as training reads them."""

import unicodedata

from and_tf.collection.labels import with_folder_labels
from and_tf.data.sources.encoded import EncodedSource


def labelled(*names):
    return with_folder_labels(EncodedSource([*names], "some", names=[*names]))


def test_accents_composed_and_decomposed_are_one_label():
    composed, decomposed = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    found = labelled(f"{composed}/1.png", f"{decomposed}/2.png", "zoo/3.png")
    assert found.class_names == [composed, "zoo"]
    assert sorted(found.labels.tolist()) == [0, 0, 1]


def test_the_class_lies_below_a_split():
    found = labelled("train/a/1.png", "Validation/b/2.png", "c/3.png", "test/d/deep/4.png")
    assert [found.class_names[label] for label in found.labels] == ["a", "b", "c", "d"]


def test_images_beside_class_folders_and_a_single_class_give_no_labels():
    assert labelled("a/1.png", "b/2.png", "train/3.png").labels is None
    assert labelled("a/1.png", "b/2.png", "3.png").labels is None
    assert labelled("a/1.png", "train/a/2.png").labels is None
