"""``vmalloc-model import``: a recording of the reader's own as one file."""

from __future__ import annotations

from pathlib import Path

import click

from vmalloc_model.cli.options import vmallocinfo
from vmalloc_model.cli.output import check_target
from vmalloc_model.cli.recording_text import bytes_bar, recording_lines
from vmalloc_model.errors import InputError

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.npz",
    help="The new file.",
)
@vmallocinfo()
def command(file: Path, out: Path, copies: tuple[Path, ...]) -> None:
    """Make one file of a recording, which stands for it wherever a recorded run is asked for.

    FILE is the text of ftrace (trace, trace_pipe), of `trace-cmd report`, of `perf script`, an
    operation log or a copy of /proc/vmallocinfo; plain, gzip or zstd. `-` is standard input. What
    was found is printed, and what is missing for which use (`vmalloc-model record` says how to
    record). Names of tasks are not kept.

    A trace of any length takes less than 300 MB of memory here. Who reads the file holds all of
    it: about 200 bytes for each event, 400 for a replay.

    \b
    Examples:
      vmalloc-model import data/runs/debian-6.12.117-smp1.ftrace.txt.gz -o run.npz
      zcat data/runs/debian-6.12.117-smp2.ftrace.txt.gz | vmalloc-model import - -o run2.npz
      vmalloc-model replay run.npz
      vmalloc-model import data/runs/debian-6.12.117-smp4-sync-purge.ftrace.txt.gz -o smp4.npz \\
        --vmallocinfo data/runs/debian-6.12.117-smp4-sync-purge.vmallocinfo.txt.gz
    """  # noqa: D301
    if out.suffix != ".npz":
        raise InputError("-o", "the name must end in .npz", value=str(out), allowed="FILE.npz")
    check_target(out)
    from vmalloc_model.traces.importing import import_recording

    with bytes_bar("import", file) as bar:
        about = import_recording(file, out, copies, bar.update)
    for line in recording_lines(about):
        click.echo(line)
    click.echo(f"written: {out} ({out.stat().st_size:,} bytes)")
