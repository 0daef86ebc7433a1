"""What the commands that work on the whole report begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmalloc_model.cli.errors import report_errors
from vmalloc_model.cli.output import shown_path

if TYPE_CHECKING:
    from vmalloc_model.report.project import Project

__all__ = ["notebooks_up_to_date", "report_up_to_date"]


def notebooks_up_to_date() -> Project:
    """Run the notebooks that are not up to date; leave the command if one fails."""
    from vmalloc_model.native import warm_up
    from vmalloc_model.report import runner
    from vmalloc_model.report.project import Project

    project = Project.of_checkout()
    warm_up(click.echo)  # once, here, rather than in each notebook's process
    errors = runner.bring_up_to_date(project, click.echo)
    if errors:
        click.get_current_context().exit(report_errors(errors))
    return project


def report_up_to_date(*, text: bool) -> Project:
    """Build what is not up to date of the whole report, on request its plain text; say where it is.

    The command is left if a notebook, a command that a page shows, or the book fails.
    """
    from vmalloc_model.report import transcripts
    from vmalloc_model.report.book import build_book, build_text

    project = notebooks_up_to_date()
    errors = transcripts.bring_up_to_date(project, click.echo)
    if errors:
        click.get_current_context().exit(report_errors(errors))
    click.echo(f"book: {shown_path(build_book(project, click.echo))}")
    if text:
        click.echo(f"plain text: {shown_path(build_text(project, click.echo))}")
    return project
