"""``vmalloc-model report``: the chapters that take a recorded run, for the reader's own."""

from __future__ import annotations

from pathlib import Path

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.output import progress, shown_path

__all__ = ["command"]


@click.command()
@click.argument("run", metavar="RUN", shell_complete=completing.runs)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for the results: new, or that of an earlier run, which is replaced."
    "  [default: name of RUN, and -report]",
)
@click.option(
    "names",
    "--chapter",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.notebooks,
    help="Only this chapter; may be repeated.  [default: all that take a recorded run]",
)
@click.option(
    "--platform",
    metavar="ID",
    shell_complete=completing.platforms,
    help="Platform of the machine.  [default: that of RUN]",
)
@click.option(
    "--cpus",
    type=click.IntRange(1, 1 << 20),
    metavar="N",
    help="CPUs of the machine that chapters compute for.  [default: their own]",
)
def command(
    run: str, out: Path | None, names: tuple[str, ...], platform: str | None, cpus: int | None
) -> int:
    """Make the small book "Your machine" for a recorded run.

    RUN is a file that `import` made, trace text, or the id of a run that comes with the report. The
    folder gets a first page that says what was recorded and found, the chapters, and their results
    as `run` leaves them; all pages open offline. A chapter that cannot take the run is left out,
    and the first page says why. After Ctrl-C the same command goes on.

    \b
    Examples:
      vmalloc-model report smp1 --chapter coverage
      vmalloc-model report data/runs/debian-6.12.117-smp1.ftrace.txt.gz --chapter coverage -o mine
    """  # noqa: D301
    from vmalloc_model.native import warm_up
    from vmalloc_model.report.kept import keep
    from vmalloc_model.report.machine import TITLE, Machine, chapters, reasons
    from vmalloc_model.report.project import Project
    from vmalloc_model.report.runfolder import RunFolder

    project = Project.at()
    machine = Machine.of(project, run, platform, cpus)
    wanted = list(dict.fromkeys(names)) or chapters(project)
    overrides = machine.overrides(wanted)
    left_out = {name: why for name in wanted if (why := machine.cannot(name))}
    target = (out or Path(f"{Path(run).name.split('.')[0]}-report")).resolve()
    words = ["vmalloc-model", "report", run]
    words += [word for name in names for word in ("--chapter", name)]
    words += ["--platform", platform] if platform else []
    words += ["--cpus", str(cpus)] if cpus else []
    words += ["-o", str(out)] if out else []
    RunFolder(project, target, {}, overrides, words).check()
    warm_up(progress)
    kept = keep(project, {n: overrides[n] for n in wanted if n not in left_out}, progress)
    failed = [name for name in wanted if name not in left_out and name not in kept.folders]
    left_out |= reasons(kept.errors, failed)
    for name, why in left_out.items():
        click.echo(f"{name}: left out: {why}", err=True)
    if not kept.folders:
        click.echo("error: no chapter can take this run", err=True)
        return 1
    front = machine.front(kept.folders, left_out, words)
    folder = RunFolder(project, target, kept.folders, overrides, words, title=TITLE, front=front)
    folder.lay_out(progress)
    click.echo(f"results: {shown_path(target)}")
    click.echo(f"pages: {shown_path(target / 'index.html')}")
    return 0
