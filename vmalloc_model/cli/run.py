"""``vmalloc-model run``: chapters again, with other parameters."""

from __future__ import annotations

from pathlib import Path

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.errors import report_errors
from vmalloc_model.cli.options import parameters
from vmalloc_model.cli.output import progress, shown_path

__all__ = ["command"]

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...", shell_complete=completing.notebooks)
@parameters(
    "Another value of a parameter (`params` lists them); lists are separated by commas, "
    "1:64:*2 is 1,2,4,...,64.",
    completing.chapter_parameters,
)
@click.option(
    "file",
    "--params",
    type=_PATH,
    metavar="FILE",
    help="YAML file of such values; -p overrides it.",
)
@click.option(
    "--out",
    type=_PATH,
    metavar="DIR",
    help="Folder for the results: new, or that of an earlier run, which is replaced."
    "  [default: NOTEBOOK-run]",
)
@click.option(
    "--compare", type=_PATH, metavar="DIR", help="Folder of another run, or `book`: what changed."
)
@click.option("--html/--no-html", default=True, help="Whether to build pages.  [default: html]")
def command(
    notebooks: tuple[str, ...],
    given: tuple[tuple[str, str], ...],
    file: Path | None,
    out: Path | None,
    compare: Path | None,
    html: bool,
) -> int:
    """Run chapters with other parameters into a folder of their own.

    Without NOTEBOOK, all chapters. The folder gets per chapter the executed notebook and, for each
    figure and table, data (CSV), chart (SVG, PNG, Vega-Lite) and plain text; pages that open
    offline; and provenance.json. The book is left alone. A value of -p goes to every chosen
    chapter that has such a parameter.

    Chapters run side by side. What has been computed with these parameters before is not computed
    again; after Ctrl-C the same command goes on.

    \b
    Examples:
      vmalloc-model run coverage -p chunk_size=32M
      vmalloc-model run address-space -p platform=arm64-39bit-4k -p cpus=512 --out arm
      vmalloc-model run amortisation -p chunk_sizes=1M:64M:*4 -p runs=smp1 --compare book
      vmalloc-model run patch coverage --params data/examples/16k-pages.yaml --no-html
    """  # noqa: D301
    from vmalloc_model.native import warm_up
    from vmalloc_model.report.kept import keep
    from vmalloc_model.report.overrides import Given, overrides_of, read_file
    from vmalloc_model.report.project import Project
    from vmalloc_model.report.runfolder import Other, RunFolder, run_folders

    project = Project.at()
    names = list(dict.fromkeys(notebooks)) or project.names()
    typed = [Given(name, text) for name, text in given]
    overrides = overrides_of(project, names, read_file(file) if file else [], typed)
    target = (out or Path(f"{names[0] if len(names) == 1 else 'report'}-run")).resolve()
    words = ["vmalloc-model", "run", *notebooks]
    words += [word for name, text in given for word in ("-p", f"{name}={text}")]
    words += ["--params", str(file)] if file else []
    words += ["--out", str(out)] if out else []
    words += ["--compare", str(compare)] if compare else []
    RunFolder(project, target, {}, overrides, words).check()
    other = None
    if compare is not None and str(compare) != "book":
        other = Other(str(compare), run_folders(compare, "--compare"))
    warm_up(progress)
    kept = keep(project, overrides, progress)
    if kept.folders:
        if compare is not None and other is None:
            book = keep(project, {name: {} for name in kept.folders}, progress)
            other = Other("the book", book.folders)
        run = RunFolder(project, target, kept.folders, overrides, words, html, other)
        run.lay_out(progress)
        if other is not None:
            click.echo((target / "compare.txt").read_text(encoding="utf-8"), nl=False)
        click.echo(f"results: {shown_path(target)}")
        if html:
            click.echo(f"pages: {shown_path(target / 'index.html')}")
    return report_errors(kept.errors)
