"""How a command line ends: every expected error is one line on standard error.

Exit status: 0 fine; 1 something failed, or what was checked is not so; 2 the input is not usable;
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import click

from vmalloc_model.errors import InputError, ModelError

__all__ = ["report_errors", "run_command"]


def run_command(
    command: click.Command, words: Sequence[str] | None, prog_name: str, *, interrupted: str
) -> NoReturn:
    """Run a command and exit.

    Parameters
    ----------
    command : click.Command
        What it returns is the exit status; None is 0.
    words : sequence of str, or None
        Arguments; None: those of the process.
    prog_name : str
        What help and errors call the program.
    interrupted : str
        Line for the user after Ctrl-C.
    """
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(128 + signal.SIGTERM))
    try:
        status = command(words, prog_name=prog_name, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:  # its message is the help
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        sys.exit(_refused(error, prog_name))
    except (click.Abort, KeyboardInterrupt):
        click.echo(interrupted, err=True)
        sys.exit(130)
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ModelError, OSError) as error:
        sys.exit(report_errors([error]))
    sys.exit(status or 0)


def report_errors(errors: Iterable[Exception]) -> int:
    """Print errors, one line each with its notes; return the exit status."""
    status = 0
    for error in errors:
        _print("; ".join([str(error), *getattr(error, "__notes__", [])]))
        unusable = isinstance(error, InputError) or getattr(error, "from_input", False)
        status = max(status, 2 if unusable else 1)
    return status


def _refused(error: click.ClickException, prog_name: str) -> int:
    """Print why click refused the words, and where there is help."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else prog_name
    text = error.format_message().rstrip(".")
    _print(f"{text} (see `{path} --help`)" if error.exit_code == 2 else text)
    return error.exit_code


def _print(text: str) -> None:
    click.echo(f"error: {' '.join(text.split())}", err=True)
