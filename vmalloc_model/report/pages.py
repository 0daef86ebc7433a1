"""Small books: a few chapters with the results of one run, in the looks of the whole report.

A reference to a chapter that is left out shows its title, or a figure's place in the whole report.
A number of such a chapter is the one that is committed, marked as the report's: nothing in a small
book looks as if it followed from the run when it does not.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vmalloc_model.report.book import BookError, render
from vmalloc_model.report.files import replace_folder
from vmalloc_model.report.project import Project

__all__ = ["build_pages"]

_KEPT: Final = ("glossary.md", "bibliography.md", "references.bib")
"""Sources that go into every small book, for terms and citations."""


def build_pages(
    project: Project, folders: Mapping[str, Path], target: Path, *, title: str, front: str = ""
) -> Path:
    """Build a small book out of finished results.

    Parameters
    ----------
    project : Project
        The checkout, for configuration, styles and scripts; its own book is left alone.
    folders : mapping
        Notebook -> folder of its finished results, in the order of the chapters.
    target : Path
        Folder of the pages; one that is there is replaced once the new pages are whole.
    title : str
        Of the book and its first page.
    front : str
        Text of the first page, in MyST; a chapter is ``{doc}`notebooks/NAME```.

    Returns
    -------
    Path
        The first page. It opens from a folder, with no network.

    Raises
    ------
    BookError
        On any warning; ``_build/pages.log`` has the whole output.
    OSError
        If the disk is full or `target` cannot be written; it is then as it was.

    Notes
    -----
    Several may be built at the same time, into different folders.
    """
    target = target.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as private:
        stage = Path(private)
        source, log = stage / "book", stage / "book.log"
        _lay_out(project, folders, stage, title, front)
        try:
            made = render(project, source, stage, log)
        except BookError as error:
            kept = project.build / "pages.log"
            shutil.copyfile(log, kept)
            message = str(error).replace(project.label(log), project.label(kept))
            raise BookError(message) from None
        replace_folder(made, target)
    return target / "index.html"


def _lay_out(
    project: Project, folders: Mapping[str, Path], stage: Path, title: str, front: str
) -> None:
    """Write the sources of the book: configuration, contents, first page, chapters."""
    source = stage / "book"
    (source / "notebooks").mkdir(parents=True)
    _write_yaml(stage / "_config.yml", _configuration(project, folders, title))
    _write_yaml(source / "_toc.yml", _contents(list(folders)))
    (source / "index.md").write_text(f"# {title}\n\n{front}", encoding="utf-8")
    for name, folder in folders.items():
        shutil.copyfile(folder / f"{name}.ipynb", source / "notebooks" / f"{name}.ipynb")
    for name in _KEPT:
        shutil.copyfile(project.book / name, source / name)
    shutil.copytree(project.book / "_static", source / "_static")


def _configuration(project: Project, folders: Mapping[str, Path], title: str) -> dict[str, Any]:
    import yaml

    text = (project.root / "_config.yml").read_text(encoding="utf-8")
    configuration: dict[str, Any] = yaml.safe_load(text)
    configuration["title"] = title
    sphinx = configuration["sphinx"]
    sphinx["local_extensions"] = {
        name: str(project.root / place) for name, place in sphinx["local_extensions"].items()
    }
    sphinx["config"]["report_root"] = str(project.root)
    sphinx["config"]["report_results"] = {
        name: str(folder.absolute()) for name, folder in folders.items()
    }
    return configuration


def _contents(names: Sequence[str]) -> dict[str, Any]:
    chapters = [{"file": f"notebooks/{name}"} for name in names]
    reference = [{"file": Path(name).stem} for name in _KEPT if name.endswith(".md")]
    return {
        "format": "jb-book",
        "root": "index",
        "parts": [
            {"caption": "Chapters", "numbered": True, "chapters": chapters},
            {"caption": "Reference", "chapters": reference},
        ],
    }


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
