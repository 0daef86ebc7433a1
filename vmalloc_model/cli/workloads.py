"""``vmalloc-model workloads``: what can stand behind ``--workload`` and ``-p``."""

from __future__ import annotations

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.output import aligned

__all__ = ["command"]


@click.command()
@click.argument("name", required=False, shell_complete=completing.workloads)
def command(name: str | None) -> None:
    """List the workloads, or what is known of workload NAME: its parameters.

    \b
    Examples:
      vmalloc-model workloads
      vmalloc-model workloads churn
    """  # noqa: D301
    from vmalloc_model.workloads import WORKLOADS, find_workload

    if name is None:
        for line in aligned([(one.name, one.title) for one in WORKLOADS.values()]):
            click.echo(line)
        return
    workload = find_workload(name, "workload")
    click.echo(f"{workload.name}: {workload.title}")
    rows = [
        (key, "by machine" if one.default is None else str(one.default), one.allowed, one.meaning)
        for key, one in workload.parameters.items()
    ]
    for line in aligned([("parameter", "default", "allowed", "meaning"), *rows]):
        click.echo(f"  {line}")
