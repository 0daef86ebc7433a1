"""The release: one archive with pages, plain text, the data of every figure, and checksums.

The same inputs give the same bytes: members are sorted, and have one time, owner and mode.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import vmalloc_model
from vmalloc_model.errors import FileError
from vmalloc_model.report.commit import Commit
from vmalloc_model.report.files import files_below
from vmalloc_model.report.pictures import png_of
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD

__all__ = ["Packed", "check_folder", "members", "pack", "release_name", "released"]

_TOP: Final = ("CHANGELOG.md", "CITATION.cff", "LICENSE", "LICENSE-TEXT")
_FILES: Final = {
    "data.csv": "csv",
    "chart.svg": "svg",
    "chart.vl.json": "vl.json",
    "text.txt": "txt",
    "meta.json": "meta.json",
}
"""File of a figure's results -> ending of its name in the archive."""
_SUMS: Final = "SHA256SUMS"

_README: Final = """\
The vmalloc chunk report
========================

{version}

An executable, citable review of one decision in a Linux kernel patch:
a per-CPU bump allocator over the vmalloc address allocator, with chunks
of 64 MB. Everything here opens without a network.

book/index.html     the report as pages, for a browser
text/report.txt     the same as plain text, figures as their tables;
                    text/ also has one file per chapter
{snippets}data/CHAPTER/       per figure and table its data (csv), picture
                    (svg, png), plain text (txt), Vega-Lite
                    specification (vl.json), and caption, parameters and
                    command (meta.json); numbers.json: the numbers of
                    the chapter's prose; provenance.json: what the
                    chapter was made from, each file by its SHA-256
CITATION.cff        how to cite the report
CHANGELOG.md        what changed
LICENSE             of code and data: BSD-3-Clause
LICENSE-TEXT        of text and figures: CC-BY-4.0
SHA256SUMS          of every file but itself

To check that nothing was altered since it was packed:

    sha256sum -c --quiet SHA256SUMS

To compute everything again, type `make book` in a checkout;
`make check` compares the results.
"""
_SNIPPETS: Final = """\
snippets.txt        each claim, figure and table as it can stand in a
                    mail; the pages that it names are below book/
"""


class Packed(NamedTuple):
    """An archive: its file, size in bytes, and SHA-256."""

    path: Path
    size: int
    digest: str


def release_name(commit: Commit) -> str:
    """Name of the archive and of its one folder; changes that are not committed show."""
    return f"vmalloc-chunk-report-{_version(commit)}"


def members(
    project: Project, commit: Commit, more: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Gather what the archive holds.

    Parameters
    ----------
    project : Project
        The checkout; notebooks, book and plain text are up to date.
    commit : Commit
        What it holds.
    more : mapping, optional
        Path -> content of files that are made elsewhere.

    Returns
    -------
    dict
        Path in the archive's folder -> content, sorted; with README and checksums.
    """
    found: dict[str, bytes] = dict(more or {})
    for name, folder in {"book": project.build / "html", "text": project.build / "text"}.items():
        for path in files_below(folder):
            found[f"{name}/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
    for notebook in project.names():
        found |= _results(f"data/{notebook}", project.runs / notebook)
    for name in _TOP:
        found[name] = (project.root / name).read_bytes()
    whence = f"commit {commit.id}" if commit.id else "made outside of a git checkout"
    whence += " with changes that are not committed" if commit.changes else ""
    readme = _README.format(
        version=textwrap.fill(f"Version {_version(commit)}, {whence}.", 72, break_on_hyphens=False),
        snippets=_SNIPPETS if "snippets.txt" in found else "",
    )
    found["README.txt"] = readme.encode("ascii")
    sums = [f"{hashlib.sha256(found[name]).hexdigest()}  {name}\n" for name in sorted(found)]
    found[_SUMS] = "".join(sums).encode()
    return dict(sorted(found.items()))


def released(project: Project) -> datetime:
    """Date of the release, from ``CITATION.cff``; the time stamp of every member."""
    import yaml

    day = yaml.safe_load((project.root / "CITATION.cff").read_bytes())["date-released"]
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def check_folder(folder: Path) -> None:
    """Make sure, before long work begins, that a folder is there and can be written.

    Raises
    ------
    FileError
        If it is not, and cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(prefix=".new-", dir=folder).cleanup()
    except OSError as error:
        raise FileError(folder, f"cannot be written ({error.strerror})") from None


def pack(
    name: str,
    content: Mapping[str, bytes],
    folder: Path,
    when: datetime,
    progress: Callable[[], object] = lambda: None,
) -> Packed:
    """Write ``NAME.tar.gz`` and ``NAME.tar.gz.sha256``, whole or not at all.

    Parameters
    ----------
    name : str
        Of the archive and of the one folder in it.
    content : mapping
        Path in that folder -> content.
    folder : Path
        For the archive; it is made if it is not there.
    when : datetime
        Time stamp of every member.
    progress : callable
        Called after each member.

    Raises
    ------
    FileError
        If the disk is full or the folder cannot be written; what was there before stays.
    """
    target = folder / f"{name}.tar.gz"
    check_folder(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as private:
            made, beside = Path(private) / "archive", Path(private) / "sum"
            with made.open("wb") as file:
                _write(file, name, content, when, progress)
            with made.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            beside.write_text(f"{digest}  {target.name}\n", encoding="ascii")
            made.replace(target)
            beside.replace(target.with_name(f"{target.name}.sha256"))
    except OSError as error:
        raise FileError(target, f"cannot be written ({error.strerror})") from None
    return Packed(target, target.stat().st_size, digest)


def _write(
    file: BinaryIO,
    name: str,
    content: Mapping[str, bytes],
    when: datetime,
    progress: Callable[[], object],
) -> None:
    with (
        gzip.GzipFile("", "wb", 9, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, data in sorted(content.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode, member.mtime = len(data), 0o644, int(when.timestamp())
            archive.addfile(member, io.BytesIO(data))
            progress()


def _results(place: str, run: Path) -> dict[str, bytes]:
    """Find the data of a notebook: its figures and tables, numbers, and provenance."""
    found = {}
    for name in ("numbers.json", RECORD):
        if (run / name).is_file():
            found[f"{place}/{name}"] = (run / name).read_bytes()
    for meta in sorted(run.glob("*/meta.json")):
        shown = meta.parent
        for name, ending in _FILES.items():
            if (shown / name).is_file():
                found[f"{place}/{shown.name}.{ending}"] = (shown / name).read_bytes()
        if (shown / "chart.svg").is_file():
            found[f"{place}/{shown.name}.png"] = png_of(shown / "chart.svg")
    return found


def _version(commit: Commit) -> str:
    return vmalloc_model.__version__ + ("+dirty" if commit.changes else "")
