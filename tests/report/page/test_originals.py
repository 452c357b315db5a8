"""Addresses of image files relative to a page."""

from helpers.collections import write_jpegs
from helpers.pictures import pixels

from and_tf.data.cache import cached
from and_tf.data.sources.folder import open_folder
from and_tf.data.sources.source import array_source
from and_tf.report.page.originals import compact, original_urls, relative_url


def test_addresses_lead_from_the_page_to_the_file(tmp_path):
    page = tmp_path / "runs" / "a"
    assert relative_url(tmp_path / "photos" / "a b.jpg", page) == "../../photos/a%20b.jpg"
    assert relative_url(page / "c:d.jpg", page) == "c%3Ad.jpg"  # c: would be a scheme


def test_links_are_not_resolved_as_browsers_do_not(tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "near").symlink_to(tmp_path / "far" / "away")
    assert relative_url(tmp_path / "photos" / "a.jpg", tmp_path / "near") == "../photos/a.jpg"


def test_images_in_memory_have_no_address(tmp_path):
    images = pixels(3)
    assert original_urls(array_source(images), tmp_path) is None
    write_jpegs(tmp_path / "photos", ["a.jpg"])
    source = cached(open_folder(tmp_path / "photos"), 8)
    assert original_urls(source, tmp_path) == ["photos/a.jpg"]


def test_what_addresses_share_is_kept_once():
    names = ["x/a.jpg", "x/b c.jpg"]
    urls = ["../p/x/a.jpg", "../p/x/b%20c.jpg"]
    assert compact(urls, names) == {"base": "../p/", "others": {1: "../p/x/b%20c.jpg"}}
    assert compact(["b%20c.jpg"], ["b c.jpg"]) == {"base": "", "others": {0: "b%20c.jpg"}}
