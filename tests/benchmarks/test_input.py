"""The benchmark of the input sees all images and names its cases."""

import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import input as benchmark
from benchmarks.peers.input import augmented, augmented_by_torchvision


def test_photos_are_what_the_benchmark_says(tmp_path):
    benchmark.write_photos(tmp_path, 2)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["00000.jpg", "00001.jpg"]
    assert Image.open(files[0]).size == (500, 500) and 40e3 < files[0].stat().st_size < 200e3


def test_a_small_table(tmp_path, monkeypatch, capsys):
    flags = [
        "--images=64",
        "--files=8",
        "--photos=16",
        "--peer_images=8",
        "--batch=8",
        "--repeats=1",
    ]
    monkeypatch.setattr("sys.argv", ["input", *flags, f"--json={tmp_path / 'found.json'}"])
    benchmark.main()
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    loops = 8 if importlib.util.find_spec("torchvision") else 5
    assert [row["cores"] for row in rows][4:] == [1] * loops
    for row in rows:
        assert row["ms an image and core"] * row["images/s and core"] == pytest.approx(1000)
    assert "Streaming took" in capsys.readouterr().out


def test_the_loop_with_pillow_does_what_its_name_says():
    grey = Image.new("RGB", (40, 30), (128, 128, 128))
    views = list(augmented([grey] * 20, 16))
    assert all(view.shape == (16, 16, 3) and np.ptp(view) < 0.1 for view in views)
    assert len({round(float(view.mean()), 2) for view in views}) > 5  # brightness


def test_torchvision_gets_the_same_images():
    pytest.importorskip("torchvision")
    white = Image.new("RGB", (40, 30), (255, 255, 255))
    views = [view.numpy() for view in augmented_by_torchvision([white] * 8, 16)]
    assert all(view.shape == (3, 16, 16) and view.max() <= 2 for view in views)


@pytest.mark.parametrize("images", [3, 8, 13])
def test_what_is_taken_is_at_least_what_was_asked_for(images):
    batches = iter([(None, range(4))] * 4)
    benchmark._take(batches, images)
    assert len(list(batches)) == 4 - -(-images // 4)
