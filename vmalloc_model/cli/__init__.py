"""The command line of the model: ``vmalloc-model``.

A command is a module of this package with a click command named ``command``; its line in `COMMANDS`
registers it. The module is loaded when the command is used, so that help is there at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from vmalloc_model import __version__
from vmalloc_model.cli.errors import run_command
from vmalloc_model.errors import InputError, nearest

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final = {
    "replay": "Replay a recorded kernel run and count the predictions that were right.",
    "simulate": "Run a synthetic workload through a policy.",
    "policies": "List the policies.",
    "workloads": "List the workloads, or the parameters of one.",
}
"""Name of a command and of its module -> its line in the help."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            allowed = ", ".join(nearest(cmd_name, COMMANDS))
            raise InputError("command", "no such command", value=cmd_name, allowed=allowed)
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit; every expected error is one line on stderr.

    Parameters
    ----------
    words : sequence of str, optional
        Arguments; those of the process by default.
    """
    run_command(cli, words, "vmalloc-model", interrupted="interrupted; nothing was written")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Run the model of the kernel's vmalloc allocator.

    \b
    Examples:
      vmalloc-model replay smp1
      vmalloc-model policies
      vmalloc-model workloads fix_size
      vmalloc-model simulate --policy rfc12 --workload fix_size --events 1e6
      vmalloc-model simulate -h
    """  # noqa: D301 (click wants the control character)
