"""``vmalloc-model dist``: the release, as one archive."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmalloc_model.cli.output import shown_path
from vmalloc_model.cli.uptodate import report_up_to_date
from vmalloc_model.errors import InputError

if TYPE_CHECKING:
    from vmalloc_model.report.commit import Commit
    from vmalloc_model.report.project import Project

__all__ = ["command"]


@click.command()
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("dist"),
    show_default=True,
    metavar="DIR",
    help="Folder for the archive.",
)
@click.option(
    "--allow-dirty",
    is_flag=True,
    help="Pack changes that are not committed, too; the version then ends in +dirty.",
)
def command(out: Path, allow_dirty: bool) -> None:
    """Pack the report into one archive: pages, plain text, the data of every figure, checksums.

    What is not up to date is built first. The archive names the commit it was made from, so changes
    that are not committed are refused; so are committed results that are not what the notebooks
    compute. The same commit gives the same bytes.

    \b
    Examples:
      vmalloc-model dist
      vmalloc-model dist -o releases --allow-dirty
    """  # noqa: D301 (click wants the control character)
    from tqdm import tqdm

    from vmalloc_model.report.archive import check_folder, members, pack, release_name, released
    from vmalloc_model.report.commit import commit_of
    from vmalloc_model.report.project import Project

    commit = commit_of(Project.of_checkout().root)
    if not allow_dirty:
        _check_committed(commit)
    check_folder(out)
    project = report_up_to_date(text=True)
    if not allow_dirty:
        _check_results(project)
    click.echo("archive: packing")
    more = {"snippets.txt": _snippets(project).encode("ascii")}
    name, content = release_name(commit), members(project, commit, more)
    hidden = not sys.stderr.isatty()
    with tqdm(total=len(content), unit="file", leave=False, disable=hidden) as bar:
        packed = pack(name, content, out.resolve(), released(project), bar.update)
    click.echo(f"archive: {shown_path(packed.path)}")
    click.echo(f"size: {packed.size:,} bytes in {len(content):,} files")
    click.echo(f"sha256: {packed.digest}")
    changes = f", and {_changes(commit)}" if commit.changes else ""
    click.echo(f"commit: {commit.id or 'unknown, this is not a git checkout'}{changes}")


def _snippets(project: Project) -> str:
    """Write what ``cite --all`` writes."""
    from vmalloc_model.citing.cite import Citer
    from vmalloc_model.citing.forms import together

    citer = Citer(project, lambda _: None)  # the notebooks are up to date, and that was said
    citer.prepare()
    return together([citer.snippet(one) for one in citer.ids], "text", "")


def _check_committed(commit: Commit) -> None:
    if commit.changes:
        raise InputError(
            "checkout",
            _changes(commit),
            value=commit.changes[0],
            allowed="a commit, or --allow-dirty",
        )


def _changes(commit: Commit) -> str:
    many = "s" if len(commit.changes) > 1 else ""
    return f"{len(commit.changes)} file{many} with changes that are not committed"


def _check_results(project: Project) -> None:
    from vmalloc_model.report import current

    found = current.differences(project)
    if found:
        raise InputError(
            "data/results",
            f"not what the notebooks compute ({len(found)} differences)",
            value=found[0],
            allowed="what `vmalloc-model accept` writes, or --allow-dirty",
        )
