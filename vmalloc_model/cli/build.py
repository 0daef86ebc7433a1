"""``vmalloc-model build``: the whole report."""

from __future__ import annotations

import click

from vmalloc_model.cli.uptodate import notebooks_up_to_date, report_up_to_date

__all__ = ["command"]


@click.command()
@click.option("--notebooks-only", is_flag=True, help="Run notebooks; do not build the book.")
@click.option("--text", is_flag=True, help="Build the plain-text edition as well.")
def command(notebooks_only: bool, text: bool) -> None:
    """Run the notebooks that are not up to date, then build the book if anything changed.

    A notebook runs again if its text, a module it uses, a data file it reads or the lock file
    changed, or if its results are not as it left them. The commands that pages of the book show are
    run as well. When a notebook, a command or the book fails, the last good results stay in place.

    \b
    Examples:
      vmalloc-model build
      vmalloc-model build --notebooks-only
      vmalloc-model build --text
    """  # noqa: D301 (click wants the control character)
    if notebooks_only:
        notebooks_up_to_date()
    else:
        report_up_to_date(text=text)
