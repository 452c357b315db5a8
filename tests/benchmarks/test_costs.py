"""What the shipped configs cost."""

import json
import sys

import pytest

from benchmarks import costs

pytestmark = pytest.mark.usefixtures("thin_resnet")


def test_every_shipped_config_has_a_number_of_images():
    shipped = {path.stem for path in costs.CONFIGS.glob("*.cfg")}
    assert shipped == {*costs.IMAGES, *costs.NEEDS_WEIGHTS, *costs.TOO_LARGE}


def test_hours_follow_from_the_time_of_a_step(monkeypatch, tmp_path):
    path = tmp_path / "found.json"
    flags = ["--configs=smoke", "--images=300", "--seconds=0.01", "--repeats=1", f"--json={path}"]
    monkeypatch.setattr(sys, "argv", ["costs", *flags])
    costs.main()
    (row,) = json.loads(path.read_text())["rows"]
    assert row["config"] == "smoke" and row["images"] == "300" and row["epochs"] == "4"
    assert row["seconds an epoch"] * 1000 == pytest.approx(
        3 * row["ms a step"]
    )  # 300 images, batches of 128
    assert row["hours"] * 3600 == pytest.approx(4 * row["seconds an epoch"])


def test_a_step_on_two_views_is_measured():
    options = ["--configs=folder_quick", "--images=70", "--seconds=0.01", "--repeats=1"]
    assert costs.cost("folder_quick", costs.read_options(options))["ms a step"] > 0
