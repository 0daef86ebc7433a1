"""``vmalloc-model accept``: commit what the notebooks compute."""

from __future__ import annotations

import click

from vmalloc_model.cli.uptodate import notebooks_up_to_date

__all__ = ["command"]


@click.command()
def command() -> int:
    """Replace the results under data/results by what the notebooks compute.

    \b
    Example:
      vmalloc-model accept
    """  # noqa: D301
    from vmalloc_model.report import current

    for line in current.accept(notebooks_up_to_date()) or ["data/results: nothing to change"]:
        click.echo(line)
    return 0
