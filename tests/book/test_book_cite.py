"""The folded citation below every figure and table."""

import html as entities
import re

import pytest

from vmalloc_model.citing.cite import result_snippet
from vmalloc_model.citing.verify import find_snippets

pytestmark = pytest.mark.notebooks

CITE = re.compile(
    r'<details class="report-cite">\n<summary>Cite</summary>(.*?)</details>', re.DOTALL
)
TEXT = re.compile(r'<div class="highlight"><pre tabindex="0">(.*?)</pre></div>', re.DOTALL)


def blocks(page):
    """Citations on a page: the whole block, and the text for a mail."""
    found = CITE.findall(page)
    return [(block, entities.unescape(TEXT.search(block)[1])) for block in found]


@pytest.fixture
def chapters(html):
    pages = sorted((html / "notebooks").glob("*.html"))
    assert pages
    return {page: page.read_text() for page in pages}


def test_every_figure_and_table_has_one(chapters):
    shown = [len(blocks(page)) for page in chapters.values()]
    assert shown == [page.count('<div class="report-notes">') for page in chapters.values()]
    assert sum(shown) > 2


def test_it_is_fit_for_a_mail_and_found_again(chapters):
    for page in chapters.values():
        for _, text in blocks(page):
            assert text.isascii()
            assert max(map(len, text.splitlines())) <= 72
            assert len(find_snippets(text)) == 1


def test_its_link_is_the_anchor_on_its_page(chapters):
    for path, page in chapters.items():
        for block, text in blocks(page):
            (snippet,) = find_snippets(text)
            assert (
                f'<a href="#{snippet.id}"><code>notebooks/{path.name}#{snippet.id}</code>' in block
            )
            assert f'id="{snippet.id}"' in page
            assert f"page:    notebooks/{path.name}#{snippet.id}" in text


def test_the_text_is_that_of_the_command_line(mini):
    page = (mini / "_build" / "html" / "notebooks" / "second.html").read_text()
    results = mini / "_build" / "notebooks" / "second"
    texts = [text for _, text in blocks(page)]
    assert texts == [
        result_snippet(results / id).text() for id in ("tab-sizes", "fig-slider", "fig-wide")
    ]
    assert "again:   vmalloc-model cite fig-wide" in texts[2]


def test_the_copy_button_reaches_it(mini):
    """The button is put on what this selector finds."""
    page = (mini / "_build" / "html" / "notebooks" / "second.html").read_text()
    script = (mini / "_build" / "html" / "_static" / "copybutton.js").read_text()
    assert "div.highlight pre" in script
    assert page.count('<div class="highlight"><pre tabindex="0">') == 3
