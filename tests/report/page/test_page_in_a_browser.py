"""The report in a real browser: what a reader clicks, sees and never loads."""

import pytest
from helpers import programs
from helpers.browser import set_width
from helpers.small_runs import skip_exports
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

pytestmark = [pytest.mark.browser, pytest.mark.system]

TINY = [
    "--data=digits", "--encoder=resnet_small", "--image_size=16", "--embedding_dim=16",
    "--train_split=train[:200]", "--eval_split=test[:100]", "--rounds=1", "--epochs_per_round=2",
    "--batch_size=64", "--crop_min_area=0.5", "--color_jitter=0", "--grey=0", "--eval_every=1",
]  # fmt: skip

# Whether the picture behind an element of the page has been decoded, and how large it is.
BACKGROUND_WIDTH = """
const done = arguments[1], image = new Image();
image.onload = () => done(image.naturalWidth);
image.onerror = () => done(0);
image.src = getComputedStyle(arguments[0]).backgroundImage.slice(5, -2);
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the page of a short run on digits lies."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        skip_exports(patch)
        assert programs.train([*TINY, f"--workdir={folder}"]) == 0
    assert programs.report([f"--workdir={folder}"]) == 0
    return (folder / "report.html").as_uri()


@pytest.fixture
def page(browser, address):
    browser.get(address)
    return browser


def buttons(page):
    return page.find_elements(By.CSS_SELECTOR, "#tiles button")


def visible(page):
    return [button for button in buttons(page) if button.is_displayed()]


def text(page, name):
    return page.find_element(By.ID, name).text


def set_slider(page, name, value):
    page.execute_script(
        "const slider = document.getElementById(arguments[0]); slider.value = arguments[1];"
        "slider.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def test_a_click_on_an_image_shows_its_neighbours(page, console_errors):
    first = text(page, "detail-text")
    tile = buttons(page)[120]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", tile)
    tile.click()
    assert tile.get_attribute("aria-pressed") == "true"
    assert text(page, "detail-text") != first and "Entropy" in text(page, "detail-text")
    near = page.find_elements(By.CSS_SELECTOR, "#detail-near li")
    assert len(near) == 8
    cosines = [float(item.text.split()[-1]) for item in near]
    assert cosines == sorted(cosines, reverse=True)
    own = tile.get_attribute("aria-label").split(",")[0]
    assert [item.text.split()[-3] for item in near] == [str(rank) for rank in range(1, 9)]
    for item in near:
        thumb = item.find_element(By.CSS_SELECTOR, ".thumb")
        assert thumb.size == {"width": 64, "height": 64}
        assert page.execute_async_script(BACKGROUND_WIDTH, thumb) >= 16 * 8
        is_other = item.find_element(By.CSS_SELECTOR, ".name").text != own
        assert ("is-wrong" in item.get_attribute("class")) == is_other
    assert len(page.find_elements(By.CSS_SELECTOR, "#map .chosen")) == 1
    assert console_errors(page) == []


def test_a_neighbour_can_be_chosen_in_turn(page):
    name = text(page, "detail-name")
    page.find_element(By.CSS_SELECTOR, "#detail-near button").click()
    assert text(page, "detail-name") != name


def test_arrow_keys_walk_through_the_grid(page):
    names = []
    buttons(page)[0].click()
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
        page.switch_to.active_element.send_keys(key)
        names.append(text(page, "detail-name"))
    assert names[0] == names[2] != names[1]


def test_filters_change_what_is_shown(page):
    everything = len(visible(page))
    assert text(page, "shown") == f"{everything} of {everything} images"
    set_slider(page, "highest", 50)
    half = len(visible(page))
    assert 0 < half < everything and text(page, "shown").startswith(f"{half} of")
    Select(page.find_element(By.ID, "class-filter")).select_by_value("3")
    threes = visible(page)
    assert 0 < len(threes) < half
    assert all(tile.get_attribute("aria-label").startswith("3,") for tile in threes)
    assert text(page, "detail-text").startswith("Class 3.")  # the choice follows the filter
    set_slider(page, "highest", 100)
    page.find_element(By.ID, "wrong-only").click()
    for tile in visible(page):
        page.execute_script("arguments[0].click()", tile)
        first = page.find_element(By.CSS_SELECTOR, "#detail-near li")
        assert "is-wrong" in first.get_attribute("class")
    set_slider(page, "lowest", 100)
    set_slider(page, "highest", 0)
    assert visible(page) == [] and text(page, "shown").startswith("0 of")


def test_a_point_of_the_map_chooses_its_image(page):
    before = text(page, "detail-name")
    point = page.find_elements(By.CSS_SELECTOR, "#map .pool")[150]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", point)
    point.click()
    chosen = page.find_element(By.CSS_SELECTOR, "#map .chosen")
    assert text(page, "detail-name") != before
    places = [[float(p.get_attribute(a)) for a in ("cx", "cy")] for p in (point, chosen)]
    assert max(abs(a - b) for a, b in zip(*places, strict=True)) < 1  # it, or one that covers it


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 375])
def test_nothing_overflows_or_is_missing(
    browser, address, console_errors, requested_urls, width, scheme
):
    set_width(browser, width, scheme)
    requested_urls(browser)
    browser.get(address)
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper, ink = browser.execute_script(
        "const style = getComputedStyle(document.body);"
        "return [style.backgroundColor, style.color].map((c) => Number(c.match(/\\d+/)[0]));"
    )
    assert (paper < 60 and ink > 200) if scheme == "dark" else (paper > 200 and ink < 60)
    widths = browser.execute_script("return [...document.images].map((i) => i.naturalWidth)")
    assert len(widths) > 50 and min(widths) >= 16
    assert console_errors(browser) == []
    urls = requested_urls(browser)
    assert urls and all(url.startswith(("file:", "data:")) for url in urls)


def test_without_javascript_all_but_the_explorer_is_there(browser, address):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    browser.get(address)
    assert "The explorer needs JavaScript" in browser.find_element(By.TAG_NAME, "noscript").text
    assert not browser.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    assert browser.find_element(By.ID, "map").is_displayed()
    assert browser.find_element(By.CSS_SELECTOR, "svg.plot").size["height"] > 100
