"""Links and pictures of the README and of docs/ lead somewhere."""

import re
from urllib.parse import unquote

import pytest
from helpers.pages import PAGES, ROOT, page_name, without_code_blocks
from markdown.extensions.toc import slugify

# Hosts of package registries: how packages are installed is pip's own setting.
REGISTRIES = re.compile(r"(pypi|pythonhosted|conda|anaconda|docker)\.(org|com|io)")


def links(text):
    prose = re.sub(r"`[^`\n]*`", "", without_code_blocks(text))
    found = re.findall(r"\]\(<?([^)>\s]+)>?(?: \"[^\"]*\")?\)", prose)
    return found + re.findall(r"(?:src|href)=\"([^\"]+)\"", prose)


def anchors(page):
    headings = re.findall(r"^#+ +(.+?) *#*$", without_code_blocks(page.read_text()), re.MULTILINE)
    return {slugify(re.sub(r"[`*]", "", heading), "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_relative_links_lead_to_files_and_headings(page):
    for link in links(page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_pages_link_only_to_what_the_site_holds(page):
    if page.parent == ROOT:
        return
    for link in links(page.read_text()):
        if not re.match(r"[a-z]+:", link):
            path = (page.parent / unquote(link).partition("#")[0]).resolve()
            assert path.is_relative_to(ROOT / "docs"), link


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_no_page_names_the_host_of_a_registry(page):
    assert not REGISTRIES.search(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_picture_says_in_words_what_it_shows(page):
    text = without_code_blocks(page.read_text())
    for alternative in re.findall(r"!\[([^\]]*)\]\(", text):
        assert len(alternative) > 10
    for tag in re.findall(r"<img [^>]*>", text):
        assert re.search(r'alt="[^"]{10,}"', tag)
