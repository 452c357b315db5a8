"""TensorBoard's projector as a reader sees it, in Chromium."""

import time

import numpy as np
import pytest
from PIL import Image

from and_tf.report.tensorboard.projector import Points
from and_tf.report.tensorboard.writer import write_tensorboard

pytestmark = [pytest.mark.browser, pytest.mark.system]

# The projector is made of web components: elements lie in shadow trees within shadow trees.
FIND_ALL = """
const found = [];
const walk = root => {
  found.push(...root.querySelectorAll(arguments[0]));
  root.querySelectorAll('*').forEach(element => element.shadowRoot && walk(element.shadowRoot));
};
walk(document);
return found;
"""


def find_all(browser, selector):
    return browser.execute_script(FIND_ALL, selector)


def eventually(check, seconds=60):
    """The first true value of `check()`, which the page comes to show within some seconds."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, "the page does not show it in time"
        time.sleep(0.3)
    return value


@pytest.fixture
def projector(tmp_path, browser, serve_tensorboard):
    """The browser inside the projector of a report with 30 points, 10 of each of 3 labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(30) % 3
    images = np.zeros((30, 16, 16, 3), "uint8")
    images[np.arange(30), :, :, labels] = 255
    colours = np.array(["red", "green", "blue"])
    points = Points(
        rng.normal(size=(30, 4)) + 4 * np.eye(4)[labels],
        images,
        [str(i) for i in range(30)],
        list(colours[labels]),
    )
    (tmp_path / "tensorboard").mkdir()
    write_tensorboard(tmp_path / "tensorboard" / "report", points)
    browser.get(f"{serve_tensorboard(tmp_path / 'tensorboard')}/#projector")
    for _ in range(2):  # a plugin's page lies in a frame, and the projector in a frame of that
        browser.switch_to.frame(eventually(lambda: find_all(browser, "iframe"))[0])
    return browser


def test_it_shows_the_points_of_the_report_and_of_a_label_that_is_searched_for_the_neighbours(
    projector, console_errors, tmp_path
):
    def text():
        return " ".join(e.text for e in find_all(projector, "vz-projector"))

    eventually(lambda: "Points: 30" in " ".join(text().split()))
    assert "Dimension: 4" in " ".join(text().split())
    (panel,) = find_all(projector, "vz-projector-data-panel")
    assert projector.execute_script("return arguments[0].selectedRun", panel) == "report"
    shown = [e for e in find_all(projector, "#scatter canvas") if e.size["width"] > 300]
    assert shown

    def colours():  # thumbnails of the sprite: each is red, green or blue all over
        shown[0].screenshot(str(tmp_path / "points.png"))
        pixels = np.asarray(Image.open(tmp_path / "points.png").convert("RGB")).reshape(-1, 3)
        return all((pixels == 255 * np.eye(3)[i]).all(axis=1).any() for i in range(3))

    eventually(colours)

    (box,) = find_all(projector, "vz-projector-input#search-box")
    field = projector.execute_script(
        "return arguments[0].shadowRoot.querySelector('paper-input').inputElement.inputElement", box
    )
    field.send_keys("green")
    matches = eventually(lambda: find_all(projector, ".matches-list .row a"))
    assert [match.text for match in matches] == ["green"] * 10
    matches[0].click()
    neighbours = eventually(lambda: find_all(projector, ".nn-list .neighbor"))
    assert [row.text.split()[0] for row in neighbours[:5]] == ["green"] * 5
    assert find_all(projector, ".nn-list .sprite-image")
    assert console_errors(projector) == []
