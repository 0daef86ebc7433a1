"""``vmalloc-model cite``: snippets for a mail, and whether those of a mail still hold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.options import parameters
from vmalloc_model.cli.output import check_target, write_whole
from vmalloc_model.errors import FileError, InputError, ModelError

if TYPE_CHECKING:
    from vmalloc_model.citing.cite import Citer

__all__ = ["command"]

_FILE = click.Path(path_type=Path)
_FORMS = ("text", "markdown", "bibtex", "json")
_TERMINAL = 80


@click.command()
@click.argument("id", required=False, shell_complete=completing.citable)
@parameters(
    "Another value of a parameter: of the chapter (`params`), or for a claim page_size, "
    "guard_pages, platform, run, barely, policy, cpus, events, seed or bound.",
    completing.chapter_parameters,
)
@click.option("form", "--format", type=click.Choice(_FORMS), default="text", show_default=True)
@click.option(
    "--base",
    default="",
    envvar="VMALLOC_REPORT_URL",
    metavar="URL",
    help="Where the book is published, for full links; or the environment's VMALLOC_REPORT_URL. "
    "By default the link is a page of the release's archive, for the report has no address.",
)
@click.option(
    "--quote",
    type=click.IntRange(0, 40),
    metavar="N",
    help="Fail unless the text, quoted N times with '> ', fits 80 columns.",
)
@click.option("every", "--all", is_flag=True, help="All claims, figures and tables as one file.")
@click.option("--list", "listed", is_flag=True, help="List the ids.")
@click.option(
    "mail",
    "--verify",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Compute the snippets in a mail again (- reads standard input). Exit status 0: all hold; "
    "1: one does not; 2: there is none.",
)
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write here instead of printing.")
def command(
    id: str | None,
    given: tuple[tuple[str, str], ...],
    form: str,
    base: str,
    quote: int | None,
    every: bool,
    listed: bool,
    mail: Path | None,
    output: Path | None,
) -> int:
    """Print a claim, a figure or a table for a plain-text mail.

    The snippet stands on its own: kind of evidence, finding, a table with both ends of each column,
    assumptions, patch, version, parameters, command, digest and page. It is ASCII with at most 72
    columns. With -p the chapter runs again, unless it has been run with these values before.

    \b
    Examples:
      vmalloc-model cite fig-refills
      vmalloc-model cite allocations-at-4kb --quote 2
      vmalloc-model cite allocations-at-4kb -p guard_pages=0
      vmalloc-model cite tab-guard --format markdown
      vmalloc-model cite fig-refills -o snippet.txt
      vmalloc-model cite --verify snippet.txt
    """  # noqa: D301
    from vmalloc_model.citing.cite import Citer
    from vmalloc_model.report.project import Project

    if sum(map(bool, (id, every, listed, mail))) != 1:
        raise InputError("cite", "wants one of", allowed="ID, --all, --list, --verify FILE")
    if given and id is None:
        raise InputError("-p", "wants one result", allowed="together with ID")
    if output is not None:
        check_target(output)
    citer = Citer(Project.at(), lambda line: click.echo(line, err=True))
    status = 0
    if mail is not None:
        text, status = _verified(citer, mail)
    elif listed:
        text = "".join(f"{one}\n" for one in citer.ids)
    else:
        text = _cited(citer, id, given, form, base)
        _check_quoted(text if form == "text" else "", quote)
    if output is not None:
        write_whole(output, text)
    else:
        click.echo(text, nl=False)
    return status


def _cited(
    citer: Citer, id: str | None, given: tuple[tuple[str, str], ...], form: str, base: str
) -> str:
    from vmalloc_model.citing.forms import FORMS, together

    if id is not None:
        return FORMS[form](citer.snippet(id, given), base)
    citer.prepare()
    return together([citer.snippet(one) for one in citer.ids], form, base)


def _check_quoted(text: str, levels: int | None) -> None:
    from vmalloc_model.citing.snippet import quoted_width

    width = quoted_width(text, levels or 0)
    if levels is not None and width > _TERMINAL:
        raise ModelError(f"quoted {levels} times it takes {width} columns, not {_TERMINAL}")


def _verified(citer: Citer, path: Path) -> tuple[str, int]:
    from vmalloc_model.citing.verify import verify

    name = "standard input" if str(path) == "-" else str(path)
    try:
        with click.open_file(str(path), "rb") as file:
            mail = file.read().decode("utf-8", errors="replace")
    except OSError as error:
        raise FileError(name, f"cannot be read ({error.strerror})") from None
    outcomes = verify(mail, citer)
    if not outcomes:
        first = "MODEL, no kernel was run [ID]"
        raise FileError(name, "holds no snippet", allowed=f"text with a line such as {first}")
    lines = []
    for one in outcomes:
        lines.append(f"line {one.quoted.lines[0][0]:,}, {one.quoted.id}: {one.state}")
        lines += [f"  {detail}" for detail in one.details]
    return "\n".join(lines) + "\n", int(any(one.state != "holds" for one in outcomes))
