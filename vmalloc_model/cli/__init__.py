"""The command line of the report and its model: ``vmalloc-model``.

A command is a module of this package with a click command named ``command``; its line in `COMMANDS`
registers it. The module is loaded when the command is used, so that help is there at once.
"""

from __future__ import annotations

import importlib
import keyword
import os
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from vmalloc_model import __version__
from vmalloc_model.cli.errors import run_command
from vmalloc_model.errors import InputError, nearest

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final = {
    "run": "Run chapters with other parameters.",
    "params": "List what can be changed in the chapters.",
    "record": "Print how to record a trace, or check one for what is missing.",
    "import": "Make one file of a recording: run.npz.",
    "replay": "Replay a recorded kernel run and count the predictions that were right.",
    "report": 'Make the small book "Your machine" for a recorded run.',
    "simulate": "Run a synthetic workload through a policy.",
    "sweep": "Compute metrics over a grid of settings.",
    "recommend": "Judge chunk sizes for one configuration, and say what is left.",
    "claims": "List what the mail claims and what the checks find.",
    "cite": "Print a claim or a figure for a plain-text mail; verify what a mail cites.",
    "policies": "List the policies.",
    "workloads": "List the workloads, or the parameters of one.",
    "completion": "Print the script that completes words in a shell.",
    "build": "Build the whole report.",
    "check": "Compare the committed results with what is computed now.",
    "accept": "Make what is computed now the committed results.",
    "dist": "Pack the whole report into one archive.",
}
"""Name of a command and of its module -> its line in the help."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS and ctx.resilient_parsing:
            return None  # a shell asks, no user
        if cmd_name not in COMMANDS:
            allowed = ", ".join(nearest(cmd_name, COMMANDS))
            raise InputError("command", "no such command", value=cmd_name, allowed=allowed)
        underscore = "_" if keyword.iskeyword(cmd_name) else ""
        module = importlib.import_module(f"{__name__}.{cmd_name}{underscore}")
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
    if "_VMALLOC_MODEL_COMPLETE" in os.environ:  # a shell asks how a line goes on
        import vmalloc_model.cli.bash  # noqa: F401 (registers itself)
    done = "interrupted; what was finished is kept, and nothing is half-written"
    run_command(cli, words, "vmalloc-model", interrupted=done)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Rerun and cite the vmalloc chunk report; run the allocator model behind it.

    \b
    Examples:
      vmalloc-model run coverage -p chunk_size=32M
      vmalloc-model replay smp1
      vmalloc-model policies
      vmalloc-model workloads fix_size
      vmalloc-model simulate --policy rfc12 --workload fix_size --events 1e6
      vmalloc-model simulate -h
    """  # noqa: D301 (click wants the control character)
