"""One version: the package's, that of the changelog's newest release and the citation's."""

import re

from helpers.pages import ROOT

import and_tf


def test_package_changelog_and_citation_agree():
    changelog = (ROOT / "docs" / "changelog.md").read_text()
    version, date = re.search(r"^## (\S+) \(([\d-]+)\)$", changelog, re.MULTILINE).groups()
    citation = (ROOT / "CITATION.cff").read_text()
    assert version == and_tf.__version__
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation
