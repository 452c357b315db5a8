"""One version: the package's, the changelog's newest and the citation's."""

import re
import tomllib

from helpers.pages import ROOT


def test_package_changelog_and_citation_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    changelog = (ROOT / "docs" / "changelog.md").read_text()
    version, date = re.search(r"^## (\S+) \((\S+)\)$", changelog, re.MULTILINE).groups()
    citation = (ROOT / "CITATION.cff").read_text()
    assert version == project["version"]
    assert f"\nversion: {version}\n" in citation
    assert f"\ndate-released: {date}\n" in citation
