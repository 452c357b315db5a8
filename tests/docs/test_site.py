"""The site builds without a warning, and asks for nothing from elsewhere."""

import os
import re
import subprocess
import sys

import pytest
from helpers.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return folder


def test_every_page_is_in_the_navigation(site):
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file()
        assert page.name in navigation


def test_pages_load_no_script_style_or_picture_from_another_host(site):
    for page in site.glob("**/*.html"):
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"?([^\s\">]+)", text)
        loaded += re.findall(
            r"<link[^>]*rel=\"?(?:stylesheet|preload)[^>]*href=\"?([^\s\">]+)", text
        )
        assert loaded
        assert not [address for address in loaded if re.match(r"(https?:)?//", address)]


def test_the_public_names_are_described(site):
    import and_tf

    text = (site / "python_api.html").read_text()
    for name in and_tf.__all__:
        assert name in text
