"""The page of a folder in a real browser, as its reader uses it: by mouse, by keyboard, printed."""

import base64
import io

import numpy as np
import pytest
from helpers.browser import set_width
from helpers.collections import write_folder_page, write_jpegs
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

from and_tf.collection.page import thumbnails
from and_tf.collection.page.sections import explorer

pytestmark = [pytest.mark.browser, pytest.mark.system]

CLASSES = [f"{name}/{name} #{i}.jpg" for name in ("hat", "shoe") for i in range(20)]
ODD = ["a b.jpg", "100%.jpg", "back\\slash.jpg", "Caf\u00e9.jpg", "sub folder/d.jpg"]
ODD.append(b"\xff\xfe.jpg".decode("utf-8", "surrogateescape"))


def written_page(folder, monkeypatch, names, most_inline, labels):
    """The page of some photos, its thumbnails inline or in files, 16 photos of the grid at once."""
    monkeypatch.setattr(thumbnails, "MOST_INLINE", most_inline)
    monkeypatch.setattr(explorer, "PER_PAGE", 16)
    write_jpegs(folder / "my photos", names)
    collection = write_folder_page(folder / "my photos", folder / "features.html", labels)
    return (folder / "features.html").as_uri(), collection


@pytest.fixture(scope="module", params=["inline", "files"])
def written(request, tmp_path_factory):
    """Address and collection of a page of 46 photos, some of odd names."""
    folder = tmp_path_factory.mktemp("page")
    most = 1_000 if request.param == "inline" else 10
    with pytest.MonkeyPatch.context() as patch:
        return written_page(folder, patch, CLASSES + ODD, most, "none")


@pytest.fixture
def page(browser, written):
    browser.get(written[0])
    return browser


def text(page, name):
    return page.find_element(By.ID, name).text


def tiles(page):
    return page.find_elements(By.CSS_SELECTOR, "#tiles button")


def type_name(page, name):
    field = page.find_element(By.ID, "name-filter")
    field.clear()
    field.send_keys(name)


def click(page, element):
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def wait_for(page, condition):
    page.set_script_timeout(20)
    return page.execute_async_script(
        "const done = arguments[0];"
        f"(function look() {{ ({condition}) ? done(true) : setTimeout(look, 50); }})()"
    )


def test_search_by_name_leaves_the_photos_of_that_name(page):
    assert text(page, "shown") == "46 of 46 photos"
    type_name(page, "SHOE #1")
    assert text(page, "shown") == "11 of 46 photos"
    assert {tile.get_attribute("title").split("#")[0] for tile in tiles(page)} == {"shoe/shoe "}
    assert text(page, "detail-name").startswith("shoe/shoe #1")  # the choice follows the filter
    type_name(page, "cafe\u0301")  # the name is written with a single letter
    assert text(page, "shown") == "1 of 46 photos" and text(page, "detail-name") == "Caf\u00e9.jpg"
    type_name(page, "no such name")
    assert text(page, "shown") == "0 of 46 photos" and tiles(page) == []


def test_every_photo_can_be_reached_page_by_page(page, written):
    seen = []
    while True:
        seen += [int(tile.get_attribute("data-image")) for tile in tiles(page)]
        button = page.find_element(By.ID, "next")
        if not button.is_enabled():
            break
        click(page, button)
    assert seen == list(range(46)) and len(written[1]) == 46
    assert text(page, "page-text") == "33 to 46"


def test_a_neighbour_that_is_clicked_becomes_the_query(page, written):
    collection = written[1]
    for _ in range(3):
        own = collection.names.index(chosen_name(page, collection))
        near = page.find_elements(By.CSS_SELECTOR, "#detail-near li")
        ranks = [item.find_element(By.CSS_SELECTOR, ".rank").text for item in near]
        assert ranks == [
            f"{rank} · {cosine:.2f}" for rank, cosine in enumerate(collection.similarity[own], 1)
        ]
        click(page, near[1].find_element(By.TAG_NAME, "button"))
        expected = int(collection.neighbours[own, 1])
        assert chosen_name(page, collection) == collection.names[expected]


def chosen_name(page, collection):
    """The name of the chosen photo, as the collection spells it."""
    image = page.find_element(By.CSS_SELECTOR, "#tiles [aria-pressed=true], #detail-name")
    shown = text(page, "detail-name")
    matching = [n for n in collection.names if n.encode("utf-8", "replace").decode() == shown]
    return matching[0] if matching else image and collection.names[-1]


def test_the_keyboard_alone_finds_chooses_and_follows(page):
    type_name(page, "hat")
    for _ in range(30):  # from the search field to the grid
        page.switch_to.active_element.send_keys(Keys.TAB)
        if page.execute_script("return document.activeElement.closest('#tiles') !== null"):
            break
    else:
        pytest.fail("the grid cannot be reached by Tab")
    focus = "return getComputedStyle(document.activeElement).outlineStyle"
    assert page.execute_script(focus) == "solid"  # where the focus is can be seen
    names = [text(page, "detail-name")]
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.END, Keys.HOME, Keys.PAGE_DOWN):
        page.switch_to.active_element.send_keys(key)
        names.append(text(page, "detail-name"))
        active = page.execute_script("return document.activeElement.title")
        assert active == names[-1]  # the focus goes along
    assert len(set(names[:4])) == 4 and names[4] == names[0]
    assert names[5] == page.find_elements(By.CSS_SELECTOR, "#tiles button")[0].get_attribute(
        "title"
    )
    near = page.find_element(By.CSS_SELECTOR, "#detail-near button")
    page.execute_script("arguments[0].focus()", near)
    near.send_keys(Keys.ENTER)
    assert text(page, "detail-name") != names[5]
    assert page.execute_script("return document.activeElement.closest('#detail-near') !== null")


def test_a_photo_anywhere_on_the_page_opens_in_the_explorer_and_back_returns(page):
    links = page.find_elements(By.CSS_SELECTOR, "a[href^='#photo-']")
    type_name(page, "no such name")  # a filter does not keep it from being shown
    chosen = []
    for link in (links[0], links[3]):
        image = link.get_attribute("href").rpartition("-")[2]
        click(page, link)
        assert wait_for(
            page, f"document.querySelector('[data-image=\"{image}\"][aria-pressed=true]')"
        )
        chosen.append(text(page, "detail-name"))
        pressed = page.find_element(By.CSS_SELECTOR, "#tiles [aria-pressed=true]")
        assert pressed.get_attribute("data-image") == image
        assert page.execute_script(
            "const box = document.getElementById('detail').getBoundingClientRect();"
            "return box.top >= 0 && box.top < innerHeight / 2"
        )
    page.back()
    assert wait_for(page, f"document.getElementById('detail-name').textContent === {chosen[0]!r}")


def test_links_to_findings_show_just_those(page):
    click(page, page.find_element(By.CSS_SELECTOR, "a[href='#show-finding-outlier']"))
    assert wait_for(page, "document.getElementById('shown').textContent.startsWith('2 of 46')")
    assert (
        Select(page.find_element(By.ID, "finding-filter")).first_selected_option.text
        == "outlier (2)"
    )
    Select(page.find_element(By.ID, "order")).select_by_index(1)
    assert [tile.get_attribute("data-image") for tile in tiles(page)] == ["4", "1"]
    assert "Found: " in text(page, "detail-text") and "outlier" in text(page, "detail-text")


def test_a_point_of_the_map_chooses_its_photo(page):
    point = page.find_elements(By.CSS_SELECTOR, "#map .pool")[30]
    click(page, point)
    assert page.find_element(By.CSS_SELECTOR, "#map .chosen").is_displayed()
    assert page.find_element(By.CSS_SELECTOR, "#map-preview img").is_displayed()


def test_links_to_originals_open_the_photos(page, written):
    """Whatever their names are made of."""
    sizes = page.execute_async_script(
        """const done = arguments[0];
        const data = JSON.parse(document.getElementById('explorer-data').textContent);
        const { base, others } = data.originals;
        Promise.all(data.names.map((name, i) => new Promise((resolve) => {
          const image = new Image();
          image.onload = () => resolve(image.naturalWidth);
          image.onerror = () => resolve(name);
          image.src = others[i] === undefined ? base + name : others[i];
        }))).then(done);"""
    )
    assert sizes == [48] * 46
    type_name(page, "100%")
    link = page.find_element(By.ID, "detail-original")
    assert link.get_attribute("href").endswith("/my%20photos/100%25.jpg")
    assert wait_for(page, "document.querySelector('#detail-picture .whole') !== null")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_overflows_or_is_missing(
    browser, written, console_errors, requested_urls, width, scheme
):
    set_width(browser, width, scheme)
    requested_urls(browser)
    browser.get(written[0])
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper, ink = browser.execute_script(
        "const style = getComputedStyle(document.body);"
        "return [style.backgroundColor, style.color].map((c) => Number(c.match(/\\d+/)[0]));"
    )
    assert (paper < 60 and ink > 200) if scheme == "dark" else (paper > 200 and ink < 60)
    browser.execute_script("document.querySelectorAll('img').forEach((i) => i.loading = 'eager')")
    assert wait_for(
        browser, "[...document.images].every((i) => i.complete && i.naturalWidth >= 48)"
    )
    assert len(browser.find_elements(By.TAG_NAME, "img")) > 100
    small = browser.execute_script(
        "return [...document.querySelectorAll('.filters input, .filters select, .pages button')]"
        ".filter((e) => e.type !== 'checkbox' && e.offsetHeight < 32).length"
    )
    assert small == 0  # large enough for a finger
    assert console_errors(browser) == []
    urls = requested_urls(browser)
    assert urls and all(url.startswith(("file:", "data:")) for url in urls)


def test_it_prints_in_dark_ink_on_white_without_what_needs_a_hand(page):
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
    paper, ink = page.execute_script(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
    )
    assert paper == "rgb(255, 255, 255)" and ink == "rgb(0, 0, 0)"
    for selector in (".filters", ".tiles", ".detail", ".pages", "header nav"):
        assert not page.find_element(By.CSS_SELECTOR, selector).is_displayed()
    for selector in (".verdict", ".line img", ".gallery img", "#map", "dl"):
        assert page.find_element(By.CSS_SELECTOR, selector).is_displayed()
    printed = page.execute_cdp_cmd("Page.printToPDF", {})
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")


def test_without_javascript_all_but_the_explorer_is_there(browser, written):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(written[0])
    assert "The explorer needs JavaScript" in browser.find_element(By.TAG_NAME, "noscript").text
    assert not browser.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, ".line img").is_displayed()


def test_folders_can_be_filtered_and_neighbours_from_another_are_marked(
    browser, tmp_path, monkeypatch
):
    address, collection = written_page(tmp_path, monkeypatch, CLASSES, 1_000, "folders")
    browser.get(address)
    Select(browser.find_element(By.ID, "class-filter")).select_by_value("1")
    assert text(browser, "shown") == "20 of 40 photos"
    for item, other in zip(
        browser.find_elements(By.CSS_SELECTOR, "#detail-near li"),
        collection.neighbours[20],
        strict=True,
    ):
        is_wrong = "is-wrong" in item.get_attribute("class")
        assert is_wrong == (collection.source.labels[other] != 1)
    click(browser, browser.find_element(By.ID, "wrong-only"))
    first = collection.neighbours[:, 0]
    expected = np.flatnonzero(
        (collection.source.labels == 1) & (collection.source.labels[first] != 1)
    )
    assert [int(t.get_attribute("data-image")) for t in tiles(browser)] == expected.tolist()[:16]


def test_a_screenshot_has_colour(page):
    """The pictures are drawn, not only loaded."""
    page.execute_script("document.querySelector('.line').scrollIntoView()")
    shot = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("HSV")
    saturation = np.asarray(shot)[..., 1]
    assert (saturation > 60).mean() > 0.01
