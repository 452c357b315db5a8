"""The page of a search on a phone and on a desk."""

import pytest
from helpers.browser import set_width
from helpers.pictures import write_images

from and_tf.collection.search_page import Found, Near, write_search_page

pytestmark = [pytest.mark.browser, pytest.mark.system]

NAMES = [f"a rather long name of a folder/photo #{number} 100%.jpg" for number in range(9)]


@pytest.fixture
def written(tmp_path):
    """A page beside the photos: two that searched, the last of what they found is gone."""
    write_images(tmp_path / "photos", NAMES, side=40)
    files = [tmp_path / "photos" / name for name in NAMES]
    near = [Near(name, file, 0.99) for name, file in zip(NAMES, files, strict=True)]
    near.append(Near("gone.jpg", tmp_path / "gone.jpg", 0.1))
    results = [Found(NAMES[0], files[0], near[1:]), Found(NAMES[1], files[1], near[2:])]
    return write_search_page(tmp_path / "search.html", results, "Photos like it", "Of 10 photos")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen_and_its_links_open_photos(
    browser, console_errors, requested_urls, written, width
):
    set_width(browser, width)
    browser.get(written.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    widths = browser.execute_script("return [...document.images].map((i) => i.clientWidth)")
    assert len(widths) == 2 + 8 + 7 and min(widths) >= 48
    assert browser.execute_script("return document.querySelectorAll('.missing').length") == 2
    lines = browser.execute_script(
        "return [...document.querySelectorAll('.rank')].map((each) => each.textContent)"
    )
    assert lines[0] == "1 \u00b7 0.9900" and lines[8] == "9 \u00b7 0.1000"
    assert not console_errors(browser) and requested_urls(browser)[0] == written.as_uri()
    link = "return document.querySelector('.near a').href"
    browser.get(browser.execute_script(link))
    assert browser.execute_script("return document.images[0].naturalWidth") == 40
