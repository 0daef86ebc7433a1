import os
import signal
import subprocess

import pytest

from vmalloc_model.report import book
from vmalloc_model.report.book import BookError, build_book
from vmalloc_model.report.files import files_below
from vmalloc_model.report.project import Project

pytestmark = pytest.mark.notebooks

CONFIG = """title: Small
author: Nobody
only_build_toc_files: true
execute: {execute_notebooks: "off"}
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A built book of one page; tests leave it as they find it."""
    root = tmp_path_factory.mktemp("book")
    for name, text in {
        "_config.yml": CONFIG,
        "requirements.txt": "nothing==1\n",
        "README.md": "# Small\n",
        "book/_toc.yml": "format: jb-book\nroot: index\n",
        "book/index.md": "# First\n\nSee {ref}`here <place>`.\n\n(place)=\n## Place\n\nText.\n",
        "book/notebooks/alpha.ipynb": "{}",
        "data/platforms.csv": "id\narm\n",
        "notebooks/alpha.md": "# Alpha\n",
        "vmalloc_model/units.py": "MIB = 1\n",
        "_build/notebooks/alpha/numbers.json": "{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    project = Project(root, root / "data")
    lines = []
    assert build_book(project, lines.append) == project.build / "html" / "index.html"
    assert lines[0] == "book: building: no earlier book"
    return project


def pages(project):
    return {path: path.read_bytes() for path in files_below(project.build / "html")}


def reason(project, monkeypatch):
    """Why the book would be built now; None if it would not."""
    lines = []
    with monkeypatch.context() as patch:
        patch.setattr(book, "_make", lambda project, form: 1 / 0)
        try:
            build_book(project, lines.append)
        except ZeroDivisionError:
            return lines[0].removeprefix("book: building: ")
    assert lines == ["book: up to date"]
    return None


def test_the_book_is_there_and_nothing_else_is_left(first):
    assert "See <a" in (first.build / "html" / "index.html").read_text()
    names = {path.name for path in first.build.iterdir()}
    assert names == {".lock", "book.json", "book.log", "html", "notebooks"}
    assert "\x1b" not in (first.build / "book.log").read_text()


def test_an_unchanged_book_is_not_built(first, monkeypatch):
    for path in first.root.rglob("*"):
        os.utime(path)
    assert reason(first, monkeypatch) is None


@pytest.mark.parametrize(
    "name",
    [
        "_config.yml",
        "requirements.txt",
        "README.md",
        "CHANGELOG.md",
        "book/_toc.yml",
        "book/index.md",
        "book/_ext/new.py",
        "data/platforms.csv",
        "vmalloc_model/units.py",
        "_build/notebooks/alpha/numbers.json",
    ],
)
def test_whatever_it_is_made_of_counts(first, monkeypatch, name):
    path = first.root / name
    before = path.read_bytes() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((before or b"") + b"\n")
    try:
        assert reason(first, monkeypatch) == f"{name} changed"
    finally:
        path.unlink() if before is None else path.write_bytes(before)
    assert reason(first, monkeypatch) is None


def test_copies_of_notebooks_and_their_sources_do_not_count(first, monkeypatch):
    (first.book / "notebooks" / "alpha.ipynb").write_text("{ }")
    (first.notebooks / "alpha.md").write_text("# Alpha again\n")
    assert reason(first, monkeypatch) is None


def test_pages_that_were_altered_count(first, monkeypatch):
    extra = first.build / "html" / "more.html"
    extra.touch()
    assert reason(first, monkeypatch) == "its pages were altered"
    extra.unlink()
    assert reason(first, monkeypatch) is None


def test_a_warning_fails_the_build_and_the_last_good_book_stays(first):
    index = first.book / "index.md"
    before, text = pages(first), index.read_text()
    index.write_text(text.replace("<place>", "<nowhere>"))
    try:
        with pytest.raises(BookError) as caught:
            build_book(first, print)
    finally:
        index.write_text(text)
    assert pages(first) == before
    lines = str(caught.value).splitlines()
    assert lines[0] == "the book was not built, see _build/book.log"
    assert lines[1] == "  book/index.md:3: WARNING: undefined label: 'nowhere'"
    assert len(lines) == 2


def test_a_build_that_is_killed_leaves_the_last_good_book(first, monkeypatch):
    before = pages(first)
    run = subprocess.run

    def killed(command, **options):
        return run(["sh", "-c", f"kill -{signal.SIGKILL.value} $$"], **options)

    (first.root / "CHANGELOG.md").touch()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "run", killed)
            with pytest.raises(BookError, match="the book was not built"):
                build_book(first, print)
    finally:
        (first.root / "CHANGELOG.md").unlink()
    assert pages(first) == before
