"""Captions of photos."""

import pytest

from and_tf.report.page.photos import split_name
from and_tf.report.section import fill


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("29c2d4f8-f6a1.jpg", "29c2d4f8-f", "6a1.jpg"),
        ("a.jpg", "", "a.jpg"),
        ("no_extension", "no_extens", "ion"),
        ("x.an_extension_beyond_all_measure", "x.an_extension_beyon", "d_all_measure"[-12:]),
    ],
)
def test_a_caption_that_is_cut_keeps_its_end(name, start, end):
    parts = split_name(name)
    assert "".join(parts) == name and parts[1] == end and parts[0].startswith(start)


def test_a_caption_is_the_whole_name_as_text_and_in_its_title():
    html = fill("{{ page.file(name, parts) }}", name="a/<b>.jpg", parts=split_name("<b>.jpg"))
    assert 'title="a/&lt;b&gt;.jpg"' in html and "<b>" not in html
