"""``vmalloc-model sweep``: metrics over a grid of settings, as a table."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.options import parameters
from vmalloc_model.cli.output import aligned, check_target, write_whole
from vmalloc_model.cli.values import (
    ASSIGNMENT,
    Value,
    parse_count,
    parse_values,
    workload_parameter,
)
from vmalloc_model.errors import InputError, nearest
from vmalloc_model.units import parse_size

if TYPE_CHECKING:
    import polars as pl

    from vmalloc_model.sweep import Executor

__all__ = ["command"]

_ENDINGS = (".csv", ".parquet")
_FIXED = {
    "policy": "Policy.",
    "workload": "Workload.",
    "run": "Recorded run, or trace file, instead of a workload.",
    "platform": "Platform.  [default: x86_64-4level; of a run: its own]",
    "cpus": "Possible CPUs.  [default: 8]",
    "chunk": "Chunk size.  [default: 64M]",
    "events": "Length of the stream.  [default: 1e6]",
    "seed": "Of all that is random.  [default: 1]",
    "nodes": "vmap nodes.  [default: by the kernel's rule]",
    "payload": "Request of closed forms, without guard.  [default: 4K]",
    "guard-pages": "Guard pages behind it.  [default: 1]",
}
"""Option of a setting that does not vary -> its line in the help."""


def _list_metrics(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from vmalloc_model.metrics import METRICS

    for title, simulated in (("simulated", True), ("closed forms", False)):
        rows = [
            (one.name, one.unit, one.meaning)
            for one in METRICS.values()
            if one.simulated == simulated
        ]
        click.echo(title)
        for line in aligned(rows):
            click.echo(f"  {line}")
    ctx.exit()


def _fixed(function: Callable[..., Any]) -> Callable[..., Any]:
    for name, words in reversed(_FIXED.items()):
        offer = completing.BY_KIND.get(name)
        function = click.option(f"--{name}", metavar="VALUE", help=words, shell_complete=offer)(
            function
        )
    return function


@click.command()
@click.option(
    "varied",
    "--vary",
    multiple=True,
    type=ASSIGNMENT,
    metavar="NAME=VALUES",
    help="Setting (an option below without its dashes) or parameter of the workload, and its "
    "values: a,b,c or 1:64:*2 (1, 2, 4, ..., 64) or 0:100:+10. The last --vary changes fastest.",
    shell_complete=completing.settings,
)
@click.option(
    "names",
    "--metric",
    multiple=True,
    metavar="NAME[,NAME]...",
    help="What to compute, a column each (--list-metrics). May be repeated.",
    shell_complete=completing.metrics,
)
@_fixed
@parameters(
    "Parameter of the workload (`workloads NAME` lists them).",
    completing.workload_parameters,
)
@click.option("--workers", type=Value("count", parse_count), help="Threads.  [default: one a core]")
@click.option(
    "--scheduler", metavar="ADDRESS", help="Compute on this dask cluster: tcp://HOST:PORT."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write FILE.csv or FILE.parquet.  [default: print CSV]",
)
@click.option(
    "--list-metrics",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_metrics,
    help="List the metrics with unit and meaning, and exit.",
)
def command(
    varied: tuple[tuple[str, str], ...],
    names: tuple[str, ...],
    given: tuple[tuple[str, str], ...],
    workers: int | None,
    scheduler: str | None,
    output: Path | None,
    **fixed: str | None,
) -> int:
    """Compute metrics at every combination of settings; print a table, one row for each.

    A metric is a number of a simulation or a closed form. A row has the settings of its point, the
    metrics, and `error`: a point that fails is a row with its error and without numbers. Metrics of
    a chunk are empty under a policy without chunks.

    Each simulation that is finished is kept: after Ctrl-C the same command goes on, and another
    sweep computes only what is new. On a cluster the workers need the same vmalloc-model; what they
    finish is kept here.

    \b
    Examples:
      vmalloc-model sweep --vary platform=x86_64-4level,arm64-39bit-4k --vary chunk=1M:1G:*4 \\
          --cpus 512 --metric reserved_bytes,reserved_share
      vmalloc-model sweep --vary cpus=1:64:*4 --vary policy=mainline,rfc10,rfc12 \\
          --workload churn --events 1e5 --metric lock_global_per_1000 -o locks.csv
      vmalloc-model sweep --vary live=1k:16k:*4 --vary seed=1:3:+1 --policy rfc12 \\
          --workload churn --events 1e5 --metric chunks_lost_bytes -o lost.parquet
      vmalloc-model sweep --run smp1 --policy rfc10 --vary chunk=1M:64M:*2 --metric refills
      vmalloc-model sweep --list-metrics
    """  # noqa: D301
    if output is not None:
        if output.suffix not in _ENDINGS:
            allowed = ", ".join(_ENDINGS)
            raise InputError("-o", "unknown ending", value=str(output), allowed=allowed)
        check_target(output)
    if scheduler is not None and workers is not None:
        raise InputError("--workers", "given together with --scheduler", allowed="one of the two")
    from vmalloc_model.metrics import METRICS, find_metric, settings_of, survey

    if not names:
        allowed = f"one or more, such as {', '.join(list(METRICS)[:2])} (--list-metrics)"
        raise InputError("--metric", "missing", allowed=allowed)
    listed = dict.fromkeys(name.strip() for given in names for name in given.split(","))
    metrics = [find_metric(name, "--metric") for name in listed]
    axes, places = _axes(varied, given, fixed)
    points = settings_of(axes, metrics, places)
    if any(one.simulated for one in metrics):
        from vmalloc_model.native import warm_up

        warm_up()
    try:
        with _executor(scheduler, workers) as executor:
            told = survey(points, metrics, executor)
    except KeyboardInterrupt as stopped:
        kept = "; ".join([*getattr(stopped, "__notes__", []), "the same command goes on"])
        click.echo(f"interrupted: {kept}", err=True)
        return 130
    if told.found:
        say = f"{told.found:,} of {len(points):,} points were already there"
        click.echo(say, err=True)
    _write(told.table, output)
    if told.failed:
        say = f"{told.failed:,} of {len(points):,} points failed; see the column error"
        click.echo(say, err=True)
    return 0


@contextmanager
def _executor(scheduler: str | None, workers: int | None) -> Iterator[Executor]:
    from vmalloc_model.sweep import threads

    if scheduler is None:
        try:
            executor = threads(workers)
        except InputError as error:
            raise InputError(
                "--workers", error.problem, value=error.value, allowed=error.allowed
            ) from None
        yield executor
        return
    from vmalloc_model.cluster import connected

    with connected(scheduler, "--scheduler") as executor:
        yield executor


def _axes(
    varied: tuple[tuple[str, str], ...],
    given: tuple[tuple[str, str], ...],
    fixed: dict[str, str | None],
) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Read all that was typed: values by axis, and the place of each in errors."""
    from vmalloc_model.metrics import SETTINGS
    from vmalloc_model.metrics.settings import PARAMETERS
    from vmalloc_model.workloads import find_workload

    settings = {name: text for name, text in fixed.items() if text is not None}
    workload = dict(varied).get("workload", settings.get("workload"))
    known = find_workload(workload.split(",")[0].strip(), "--workload") if workload else None
    parameters = known.parameters if known else {}
    places = {name: f"--{name.replace('_', '-')}" for name in SETTINGS}
    axes: dict[str, list[Any]] = {
        name: [_value(name, text, places[name])] for name, text in settings.items()
    }
    for name, text in given:
        where = f"-p {name}"
        if known is None:
            raise InputError(where, "no workload to have it", allowed="together with --workload")
        if PARAMETERS + name in axes:
            raise InputError(where, "given twice", allowed="each parameter once")
        axes[PARAMETERS + name] = [workload_parameter(known, name, text, where)]
        places[PARAMETERS + name] = where
    for name, text in varied:
        where = f"--vary {name}"
        if (axis := name.replace("-", "_")) in SETTINGS:
            values = parse_values(text, where, partial(_value, axis))
        elif known is not None and name in parameters:
            axis = PARAMETERS + name
            values = parse_values(text, where, partial(workload_parameter, known, name))
        else:
            allowed = ", ".join(nearest(name, [*SETTINGS, *parameters]))
            raise InputError("--vary", "nothing that can be varied", value=name, allowed=allowed)
        if axis in axes:
            raise InputError(where, "given twice", allowed="each setting once")
        axes[axis], places[axis] = values, where
    return axes, places


def _value(name: str, text: str, where: str) -> Any:
    """Read one value of a setting."""
    from vmalloc_model.metrics import check_value

    if name in ("chunk", "payload"):
        value: Any = parse_size(text, where)
    elif name in ("cpus", "events", "seed", "nodes", "guard_pages"):
        value = parse_count(text, where)
    else:
        value = text
    return check_value(name, value, where)


def _write(table: pl.DataFrame, output: Path | None) -> None:
    if output is None:
        click.echo(table.write_csv(), nl=False)
    elif output.suffix == ".csv":
        write_whole(output, table.write_csv())
    else:
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        write_whole(output, buffer.getvalue())
