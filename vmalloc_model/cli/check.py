"""``vmalloc-model check``: whether the committed results are what the notebooks compute."""

from __future__ import annotations

import click

from vmalloc_model.cli.uptodate import notebooks_up_to_date

__all__ = ["command"]


@click.command()
def command() -> int:
    """Compare the results under data/results with what the notebooks compute.

    Each difference is one line with figure, row and column. Exit status 1 if there is any.

    \b
    Example:
      vmalloc-model check
    """  # noqa: D301
    from vmalloc_model.report import current

    found = current.differences(notebooks_up_to_date())
    for line in found:
        click.echo(f"error: {line}", err=True)
    if not found:
        click.echo("data/results: agrees with what the notebooks compute")
    return 1 if found else 0
