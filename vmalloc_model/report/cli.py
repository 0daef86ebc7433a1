"""Command line of the report: build it, rerun a chapter with other parameters, check its results.

Exit status: 0 fine; 1 a notebook failed, results differ, or the book has warnings; 2 the input is
not usable; 130 interrupted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from vmalloc_model.cli.errors import report_errors, run_command
from vmalloc_model.native import warm_up
from vmalloc_model.report import book, current, runner
from vmalloc_model.report.project import Project

__all__ = ["cli", "main"]


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; every expected error is one line on stderr.

    Parameters
    ----------
    words : sequence of str, optional
        Arguments; those of the process by default.
    """
    done = "interrupted; results that were finished are kept"
    run_command(cli, words, "python -m vmalloc_model.report", interrupted=done)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Make the report from its notebooks.

    \b
    Examples:
      python -m vmalloc_model.report build
      python -m vmalloc_model.report params
      python -m vmalloc_model.report run NOTEBOOK -p chunk_size 32M --out my-run
      python -m vmalloc_model.report check
    """  # noqa: D301 (click wants the control character)


@cli.command()
@click.option("--notebooks-only", is_flag=True, help="Run notebooks; do not build the book.")
def build(notebooks_only: bool) -> int:
    """Run the notebooks that are not up to date, then build the book if anything changed.

    A notebook runs again if its text, a module it uses, a data file it reads or the lock file
    changed, or if its results are not as it left them. When a notebook or the book fails, the last
    good results stay in place.
    """
    project = Project.at()
    _up_to_date(project)
    if not notebooks_only:
        click.echo(f"book: {_shown(book.build_book(project, click.echo))}")
    return 0


@cli.command()
@click.argument("notebook")
@click.option(
    "parameters",
    "-p",
    nargs=2,
    multiple=True,
    metavar="NAME VALUE",
    help="Another value of a parameter; lists are separated by commas. May be repeated.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder for the results: new, or that of an earlier run of the notebook.",
)
def run(notebook: str, parameters: tuple[tuple[str, str], ...], out: Path) -> int:
    """Run NOTEBOOK with other parameters into a folder of its own.

    The folder gets the executed notebook, per figure its data, chart (SVG and Vega-Lite) and plain
    text, and provenance.json. The book is left alone.

    \b
    Examples (see `params` for what each notebook knows):
      python -m vmalloc_model.report run NOTEBOOK -p chunk_size 32M --out half
      python -m vmalloc_model.report run NOTEBOOK -p cpu_counts 1:8192:*2 -p page_size 64K --out big
    """  # noqa: D301
    errors = runner.run_one(Project.at(), notebook, parameters, out, click.echo)
    if not errors:
        click.echo(f"results: {_shown(out.resolve())}")
    return report_errors(errors)


@cli.command()
def check() -> int:
    """Compare the results under data/results with what the notebooks compute."""
    project = Project.at()
    _up_to_date(project)
    found = current.differences(project)
    for line in found:
        click.echo(f"error: {line}", err=True)
    if not found:
        click.echo("data/results: agrees with what the notebooks compute")
    return 1 if found else 0


@cli.command()
def accept() -> int:
    """Replace the results under data/results by what the notebooks compute."""
    project = Project.at()
    _up_to_date(project)
    for line in current.accept(project) or ["data/results: nothing to change"]:
        click.echo(line)
    return 0


@cli.command()
@click.argument("notebook", required=False)
def params(notebook: str | None) -> int:
    """List the parameters of NOTEBOOK, or of all notebooks: name, kind, value, meaning."""
    from vmalloc_model.parameters import find

    project = Project.at()
    for name in [notebook] if notebook else project.names():
        rows = [
            (parameter, find(parameter).kind, _text(value), find(parameter).meaning)
            for parameter, value in runner.defaults(project, name).items()
        ]
        click.echo(name)
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(2)]
        for parameter, kind, value, meaning in rows:
            click.echo(f"  {parameter:{widths[0]}}  {kind:{widths[1]}}  {meaning}")
            click.echo(f"  {'':{widths[0]}}  = {value}")
    return 0


def _up_to_date(project: Project) -> None:
    warm_up(click.echo)  # once, here, rather than in each notebook's process
    errors = runner.bring_up_to_date(project, click.echo)
    if errors:
        click.get_current_context().exit(report_errors(errors))


def _text(value: Any) -> str:
    return ",".join(str(one) for one in value) if isinstance(value, list) else str(value)


def _shown(path: Path) -> str:
    """Path as the user would type it."""
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)
