"""Nothing in the built book is fetched from elsewhere: the files themselves."""

import re
from html.parser import HTMLParser

import pytest
from browsing import pages

pytestmark = pytest.mark.notebooks

LOADING = {"src", "srcset", "poster", "data"}
LINKS = {"stylesheet", "icon", "shortcut", "preload", "prefetch", "modulepreload", "preconnect"}


class Loads(HTMLParser):
    """Collects the addresses a page loads by itself, not those a reader may follow."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.found += [values[name] for name in LOADING & values.keys() if values[name]]
        if tag == "link" and LINKS & set((values.get("rel") or "").lower().split()):
            self.found.append(values.get("href", ""))
        self.found += foreign_in_css(values.get("style") or "")


def foreign_in_css(text):
    return re.findall(r"""(?:url\(|@import)\s*['"]?((?:https?:)?//[^'")\s]+)""", text)


def is_foreign(address):
    return re.match(r"(https?:)?//", address.strip()) is not None


def test_pages_load_only_their_own_files(html):
    found = pages(html)
    assert found
    for page in found:
        text = (html / page).read_text()
        foreign = [address for address in Loads(text).found if is_foreign(address)]
        inline = "".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
        assert not foreign + foreign_in_css(inline), page


def test_the_index_leads_to_the_first_page(html):
    index = (html / "index.html").read_text()
    assert (html / re.search(r'http-equiv="Refresh" content="0; url=([^"]+)"', index)[1]).is_file()


def test_styles_load_only_their_own_files(html):
    styles = sorted(html.rglob("*.css"))
    assert styles
    for style in styles:
        assert not foreign_in_css(style.read_text()), style


def test_the_check_sees_what_it_looks_for():
    loads = (
        '<script src="https://a.org/x.js"></script><link rel="stylesheet" href="//b.org/x.css">'
        '<img src="own.png"><a href="https://c.org">c</a><p style="background:url(https://d.org/x)">'
    )
    foreign = [address for address in Loads(loads).found if is_foreign(address)]
    assert foreign == ["https://a.org/x.js", "//b.org/x.css", "https://d.org/x"]
    assert foreign_in_css('@import "https://e.org/x.css"; a { src: url( //f.org/y ) }') == [
        "https://e.org/x.css",
        "//f.org/y",
    ]
