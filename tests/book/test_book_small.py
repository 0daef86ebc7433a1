"""A small book: some chapters, with the results of a run, made beside the whole one."""

import hashlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import minibook
import pytest
from browsing import pages, settled

from vmalloc_model.report.book import BookError
from vmalloc_model.report.files import files_below
from vmalloc_model.report.pages import build_pages
from vmalloc_model.report.project import Project

pytestmark = pytest.mark.notebooks

PROSE = """Makes {num}`chunks`, and {num}`first/share` elsewhere; see {doc}`first`,
{doc}`here <first>`, {numref}`fig-line`, {numref}`fig-slider`, {term}`chunk` and {cite}`paper`."""
SOURCES = {
    "notebooks/first.md": "# The first chapter\n",
    "data/results/first/numbers.csv": "id,value,text\nshare,0.25,25 %\n",
    "data/results/first/fig-line.csv": "size\n1\n",
    "book/glossary.md": "# Glossary\n\n```{glossary}\nchunk\n  A range of addresses.\n```\n",
    "book/bibliography.md": "# Bibliography\n\n```{bibliography}\n```\n",
}


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).digest()
        for path in files_below(folder)
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    minibook.make(root)
    for name, text in SOURCES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    shutil.rmtree(root / "_build" / "notebooks" / "first")
    shutil.rmtree(root / "_build" / "notebooks" / "second")
    minibook.write_page(root, "second", PROSE, minibook.results(root, "second", minibook.second))
    run = root / "runs" / "second"
    run.parent.mkdir()
    (root / "_build" / "notebooks" / "second").rename(run)
    shutil.move(root / "book" / "notebooks" / "second.ipynb", run)
    return Project(root, root / "data")


def build(project, target):
    front = "See {doc}`notebooks/second`.\n"
    svg = project.root / "runs" / "second" / "fig-wide" / "chart.svg"
    front += f"\n```{{report-pair}}\n:was: {svg}\n:now: {svg}\n:alt: wide\n```\n"
    folders = {"second": project.root / "runs" / "second"}
    return build_pages(project, folders, target, title="A small book", front=front)


@pytest.fixture(scope="module")
def built(project):
    """Two builds at the same time."""
    before = contents(project.root)
    targets = [project.root / "made" / name for name in ("one", "two")]
    with ThreadPoolExecutor() as pool:
        indexes = list(pool.map(lambda target: build(project, target), targets))
    assert indexes == [target / "index.html" for target in targets]
    after = contents(project.root)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path.parts[0] for path in changed} == {"_build", "made"}
    assert {path.parts[1] for path in changed if path.parts[0] == "_build"} == {"assets"}
    assert sorted(path.name for path in (project.root / "made").iterdir()) == ["one", "two"]
    return targets


def test_two_builds_have_the_same_bytes(built):
    one, two = map(contents, built)
    assert one == two


def test_no_page_tells_where_it_was_made(built, project):
    for path in files_below(built[0]):
        assert str(project.root).encode() not in path.read_bytes(), path


def test_what_is_not_in_the_book_is_said_in_words(built):
    text = (built[0] / "notebooks" / "second.html").read_text()
    assert "25 % (report)" in text
    assert "8,192 (report)" not in text
    assert '<span class="report-elsewhere">The first chapter</span>' in text
    assert '<span class="report-elsewhere">here</span>' in text
    assert "fig-line (The first chapter, in the whole report)" in text
    assert 'href="#fig-slider"' in text
    assert 'href="../glossary.html#term-chunk"' in text
    assert 'href="../bibliography.html#' in text


def test_what_nobody_has_fails_and_the_pages_before_stay(built, project, tmp_path):
    folder = tmp_path / "second"
    shutil.copytree(project.root / "runs" / "second", folder)
    notebook = folder / "second.ipynb"
    text = notebook.read_text()
    notebook.write_text(text.replace("{num}`first/share`", "{num}`first/shore`"))
    before = contents(built[1])
    with pytest.raises(BookError) as caught:
        build_pages(project, {"second": folder}, built[1], title="A small book")
    lines = str(caught.value).splitlines()
    assert lines[0] == "the book was not built, see _build/pages.log"
    assert "no number 'shore' in the results of first" in lines[1]
    assert str(project.root) not in str(caught.value)
    assert contents(built[1]) == before
    assert (project.build / "pages.log").is_file()


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_it_opens_from_a_folder(built, chrome, scheme, width):
    context = chrome.new_context(
        color_scheme=scheme, viewport={"width": width, "height": 800}, offline=True
    )
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console",
        lambda line: errors.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in ["index.html", *pages(built[0])]:
        page.goto((built[0] / name).as_uri())
        settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
        assert page.evaluate(broken) == 0, name
    context.close()
    assert not errors
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
