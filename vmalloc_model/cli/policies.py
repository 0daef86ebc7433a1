"""``vmalloc-model policies``: what can stand behind ``--policy``."""

from __future__ import annotations

import click

from vmalloc_model.cli.output import aligned

__all__ = ["command"]


@click.command()
def command() -> None:
    """List the policies: name and title.

    \b
    Example:
      vmalloc-model policies
    """  # noqa: D301 (click wants the control character)
    from vmalloc_model.allocator.policies import load_policies

    for line in aligned([(name, rules.title) for name, rules in load_policies().items()]):
        click.echo(line)
