"""The plain-text edition: of the small book to the letter, of the real one by what must hold."""

import json
import re
import shutil

import minibook
import pytest

from vmalloc_model.report.book import build_text
from vmalloc_model.report.files import files_below
from vmalloc_model.report.project import Project

pytestmark = pytest.mark.notebooks

SHOWN = re.compile(r"(?:Fig\.|Table) (\d+(?:\.\d+)?) \[((?:fig|tab)-[a-z0-9-]+)\]")
LISTING = "    "
PROSE = """\
2. Prose
========
[prose.html]

The first figure is Fig. 1, the table Table 1.1; 8,192 chunks, read in
[Aut26].

    $$ n = \\frac{C}{s} $$  (2.1)

See (2.1) and a heading.

2.1. A heading
--------------

[Aut26] A. Author. A mail. 2026. URL: https://example.org/m.
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Folder of the small book's text."""
    root = tmp_path_factory.mktemp("small")
    minibook.make(root)
    return root, text_of(root)


def text_of(root):
    for made in (".doctrees", "text"):
        shutil.rmtree(root / "_build" / made, ignore_errors=True)
    built = minibook.build(root, "--builder", "custom", "--custom-builder", "text")
    assert built.returncode == 0, built.stdout + built.stderr
    return {path.name: path.read_text("utf-8") for path in files_below(root / "_build" / "text")}


@pytest.fixture(scope="module")
def texts(real):
    """Name -> text of the real edition."""
    folder = build_text(Project.at(real), print).parent
    return {path.name: path.read_text("utf-8") for path in files_below(folder)}


@pytest.fixture(scope="module")
def shown(real):
    """Notebook, id -> folder of the result, of every figure and table."""
    found = (real / "_build" / "notebooks").glob("*/*/meta.json")
    return {(path.parent.parent.name, path.parent.name): path.parent for path in sorted(found)}


def test_prose_is_numbered_and_resolved(small):
    assert small[1]["prose.txt"] == PROSE


def test_a_figure_is_its_table_below_its_number_and_id(small):
    root, texts = small
    text = (root / "_build/notebooks/second/tab-sizes/text.txt").read_text()
    assert f"\nTable 1.1 [tab-sizes]\n{text}" in texts["second.txt"]
    assert "show()" not in texts["second.txt"]


def test_it_is_the_same_whatever_the_order_of_sets(small, monkeypatch):
    root, texts = small
    monkeypatch.setenv("PYTHONHASHSEED", "12345")
    assert text_of(root) == texts


def test_it_is_ascii_without_tabs_or_trailing_blanks(texts):
    assert len(texts) > 20
    for name, text in texts.items():
        assert text.isascii(), name
        assert text.isprintable() or set(re.findall(r"[^ -~]", text)) == {"\n"}, name
        assert not re.search(r" $", text, re.MULTILINE), name
        assert "\n\n\n" not in text, name


def test_every_figure_and_table_is_there_with_the_text_of_its_download(texts, shown):
    assert len(shown) > 100
    for (notebook, id), folder in shown.items():
        label = json.loads((folder / "meta.json").read_text())["label"]
        for name in (f"{notebook}.txt", "report.txt"):
            (place,) = re.finditer(rf"^\S+ [\d.]+ \[{id}\]\n", texts[name], re.MULTILINE)
            below = texts[name][place.end() :]
            assert below.startswith(f"{label}\n"), id
            assert below.startswith((folder / "text.txt").read_text()), id


def test_numbers_are_those_of_the_pages(texts, shown, real):
    for notebook in {notebook for notebook, _ in shown}:
        page = (real / f"_build/html/notebooks/{notebook}.html").read_text()
        numbers = dict(map(reversed, SHOWN.findall(texts[f"{notebook}.txt"])))
        assert set(numbers) == {id for name, id in shown if name == notebook}
        for id, number in numbers.items():
            caption = re.search(rf'id="{id}".*?caption-number">\D*([\d.]+) ', page, re.DOTALL)
            assert caption[1] == number, id


def test_no_markup_is_left(texts):
    for name, text in texts.items():
        prose = "\n".join(line for line in text.splitlines() if not line.startswith(LISTING))
        for mark in ("`", "**", "](", "{num}", "{cite}", "{numref}"):
            assert mark not in prose, f"{name}: {mark}"


def test_running_text_is_at_most_72_columns_wide(texts):
    """Wider are only rows of tables, listings, commands, and single words such as addresses."""
    for name, text in texts.items():
        for line in text.splitlines():
            free = line.startswith((LISTING, "again: ")) or "  " in line or " " not in line.strip()
            assert len(line) <= 72 or free, f"{name}: {line}"


def test_one_file_holds_all_in_the_order_of_the_book(texts):
    whole = texts["report.txt"]
    head, *pages = whole.split("\n" + "#" * 72 + "\n\n")
    titles = [page.partition("\n")[0] for page in pages]
    listed = [re.split(r" {2,}", line) for line in head.split("--------\n\n")[1].splitlines()]
    assert [title for title, _ in listed] == titles
    assert [texts[name].rstrip("\n") for _, name in listed] == [page.rstrip() for page in pages]
    assert {name for _, name in listed} == set(texts) - {"report.txt"}
    chapters = [title for title in titles if title[0].isdigit()]
    assert [int(title.partition(".")[0]) for title in chapters] == list(range(1, 1 + len(chapters)))


TREES = {
    "* a\n* b\n\n  c": "* a\n\n* b\n\n  c",
    "1. a\n2. *b*": "1. a\n2. b",
    "term\n   what it is": "term\n    what it is",
    ".. note:: Look\n   here": "    Note:\n    Look here",
    "::\n\n   $ ls  <x>": "    $ ls  <x>",
    "`here <https://example.org/>`_ and https://example.org/": (
        "here <https://example.org/> and https://example.org/"
    ),
    "== ==\nA  B\n== ==\n1  x\n== ==": "A    B\n---  ---\n1    x",
    "two\n\nparagraphs, 1\u00a0000 \u2264 2\u202f000": "two\n\nparagraphs, 1 000 <= 2 000",
    ".. image:: x.png\n   :alt: A line": "[image: A line]",
    ".. code:: sh\n\n   make\n": "    make",
}


@pytest.mark.parametrize("source", TREES)
def test_each_kind_of_block(source, monkeypatch):
    from docutils.core import publish_doctree

    monkeypatch.syspath_prepend(minibook.ROOT / "book" / "_ext")
    from report_pages.plain import Page

    tree = publish_doctree(source, settings_overrides={"syntax_highlight": "none"})
    page = Page(lambda _: "", lambda _: "", lambda _: "")
    assert "\n".join(page.lines(tree)) == TREES[source]


def test_a_sign_without_a_plain_form_is_a_warning(monkeypatch, caplog):
    from docutils import nodes

    monkeypatch.syspath_prepend(minibook.ROOT / "book" / "_ext")
    from report_pages.plain import Page

    page = Page(lambda _: "", lambda _: "", lambda _: "")
    with caplog.at_level("WARNING"):
        assert page.lines(nodes.paragraph("", "", nodes.Text("a \u2603 caf\u00e9"))) == ["a cafe"]
    assert [record.getMessage() for record in caplog.records] == [
        "plain text has no form of: \u2603"
    ]
