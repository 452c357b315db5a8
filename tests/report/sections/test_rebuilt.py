"""Images beside what a method predicts of them."""

import pytest
from helpers.report_runs import make_run, save_images

from and_tf.methods.instance import Instance
from and_tf.report.context import read_context
from and_tf.report.sections.rebuilt import rebuilt_section
from and_tf.report.settings import ReportSettings


@pytest.fixture
def context(tmp_path):
    data = save_images(tmp_path / "i.npz", 20, 2)
    run = make_run(tmp_path / "run", data, "--method=instance", "--rounds=0")
    return read_context(run, "last", ReportSettings())


def test_the_method_says_what_its_images_are(context, monkeypatch):
    def rebuild(method, encoder, load, images):
        return "Each is mirrored.", {"left to right": images[:, :, ::-1]}

    monkeypatch.setattr(Instance, "rebuild", rebuild)
    html = " ".join(str(rebuilt_section(context).html).split())
    assert "what the last checkpoint makes of them. Each is mirrored.</p>" in html
    assert "halves" not in html and "left to right" in html


def test_without_rebuilt_images_there_is_no_section(context):
    assert rebuilt_section(context) is None
