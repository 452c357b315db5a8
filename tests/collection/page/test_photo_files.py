"""A photo's file in a few words."""

import pytest

from and_tf.collection.page.photo_files import file_size, in_pixels


def test_numbers_keep_their_units_on_their_line():
    assert in_pixels(4032.0, 3024.0) == "4032\u00a0\u00d7\u00a03024"


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "1 kB"), (6_400, "6 kB"), (999_000, "999 kB"), (12_340_000, "12.3 MB")],
)
def test_bytes_have_the_unit_that_a_reader_expects(size, words):
    assert file_size(size) == words.replace(" ", "\u00a0")
