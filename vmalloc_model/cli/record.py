"""``vmalloc-model record``: how to record a trace, and whether one is good."""

from __future__ import annotations

from pathlib import Path

import click

from vmalloc_model.cli.options import vmallocinfo
from vmalloc_model.cli.recording_text import bytes_bar, recording_lines
from vmalloc_model.errors import InputError, nearest

__all__ = ["command"]

_TOOLS = "ftrace, trace-cmd, perf, bpftrace"


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--tool", default="ftrace", show_default=True, metavar="TOOL", help=f"One of {_TOOLS}."
)
@vmallocinfo()
def command(file: Path | None, tool: str, copies: tuple[Path, ...]) -> None:
    """Print the commands that record a trace on your machine, or check FILE for what is missing.

    Without FILE: commands with comments, to be read and then run as root; nothing is run here. With
    FILE, in any form that `import` reads: one line for each check, and the uses that are possible.
    Exit status: 0 if there is one, 2 if FILE cannot be used at all.

    \b
    Examples:
      vmalloc-model record
      vmalloc-model record --tool trace-cmd
      vmalloc-model record data/runs/debian-6.12.117-smp2.ftrace.txt.gz
    """  # noqa: D301
    from vmalloc_model.traces.importing import examine
    from vmalloc_model.traces.recipes import RECIPES, recipe

    if tool not in RECIPES:
        allowed = ", ".join(nearest(tool, RECIPES))
        raise InputError("--tool", "no such tool", value=tool, allowed=allowed)
    if file is None:
        if copies:
            raise InputError("--vmallocinfo", "only with FILE")
        click.echo(recipe(tool), nl=False)
        return
    with bytes_bar("record", file) as bar:
        about = examine(file, copies, bar.update)
    for line in recording_lines(about):
        click.echo(line)
