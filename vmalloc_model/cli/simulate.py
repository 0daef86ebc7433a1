"""``vmalloc-model simulate``: a synthetic workload through a policy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vmalloc_model.cli import completing
from vmalloc_model.cli.options import parameters
from vmalloc_model.cli.output import check_target, write_whole
from vmalloc_model.cli.values import (
    Value,
    parse_count,
    parse_share,
    workload_parameters,
)
from vmalloc_model.errors import InputError
from vmalloc_model.units import is_power_of_two, parse_size

if TYPE_CHECKING:
    from vmalloc_model.allocator.machine import Machine
    from vmalloc_model.events import Stream

__all__ = ["command"]

_COUNT = Value("count", parse_count)
_SIZE = Value("size", parse_size)
_SHARE = Value("share", parse_share)
_FILE = click.Path(path_type=Path)
_SAMPLES = 100
_MOST_SAMPLES = 100_000


@click.command()
@click.option(
    "--policy",
    required=True,
    shell_complete=completing.policies,
    help="A name that `policies` lists.",
)
@click.option(
    "--workload",
    required=True,
    shell_complete=completing.workloads,
    help="A name that `workloads` lists.",
)
@parameters(
    "Parameter of the workload (`workloads NAME` lists them).",
    completing.workload_parameters,
)
@click.option(
    "--platform",
    default="x86_64-4level",
    show_default=True,
    shell_complete=completing.platforms,
    help="Its vmalloc range.",
)
@click.option("--cpus", type=_COUNT, default=8, show_default=True, help="Possible CPUs.")
@click.option("--chunk", type=_SIZE, default="64M", show_default=True, help="Chunk size.")
@click.option("--events", type=_COUNT, default="1e6", show_default=True, help="Length of the run.")
@click.option("--seed", type=_COUNT, default=1, show_default=True, help="Of all that is random.")
@click.option("--freespace", default="rbtree", show_default=True, help="rbtree or gaps.")
@click.option("--decay", default="6.12", show_default=True, help="Pools' decay: 6.12 or 6.16.")
@click.option("--nodes", type=_COUNT, help="vmap nodes.  [default: by the kernel's rule]")
@click.option("--nr-cpus", type=_COUNT, help="CONFIG_NR_CPUS.  [default: the platform's]")
@click.option(
    "--share",
    type=_SHARE,
    default=1 / 64,
    show_default="1/64",
    help="Of the range that all chunks may take, for policy scaled-chunk.",
)
@click.option("--series", type=_FILE, metavar="FILE", help="CSV file: one row for each sample.")
@click.option(
    "--samples",
    type=_COUNT,
    help=f"Rows of --series, evenly over the events.  [default: {_SAMPLES}]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="One row for each name.")
@click.option("-o", "--output", type=_FILE, metavar="FILE", help="Write here instead of printing.")
def command(**options: Any) -> None:
    """Run a synthetic workload through a policy; print what it counted.

    \b
    Examples:
      vmalloc-model simulate --policy rfc10 --workload fix_size
      vmalloc-model simulate --policy rfc12 --workload churn -p live=100k --events 2e6
      vmalloc-model simulate --policy mainline --workload stacks --cpus 64 --json
      vmalloc-model simulate --policy scaled-chunk --share 1% --workload bursts --csv -o out.csv
      vmalloc-model simulate --policy rfc12 --workload pinning --series pinning.csv --samples 50
    """  # noqa: D301
    output, series, samples = _targets(options)
    from vmalloc_model.allocator.policies import find_policy

    policy = find_policy(options["policy"], "--policy")
    stream, machine = _setting(options)
    from vmalloc_model.freespace.fast import RULES

    if options["freespace"] not in RULES:
        raise InputError(
            "--freespace",
            "no such free space",
            value=options["freespace"],
            allowed=", ".join(RULES),
        )
    from tqdm import tqdm

    from vmalloc_model.cli.simulation_text import csv_text, json_text, plain_text
    from vmalloc_model.native import warm_up
    from vmalloc_model.simulate import simulate

    warm_up()
    total = stream.events or options["events"]
    quiet = not sys.stderr.isatty()
    with tqdm(total=total, unit=" events", unit_scale=True, leave=False, disable=quiet) as bar:
        simulation = simulate(
            stream, machine, policy, options["freespace"], samples=samples, progress=bar.update
        )
    setup = {name: options[name] for name in ("platform", "cpus", "seed")}
    setup["events"] = simulation.events
    form = json_text if options["as_json"] else csv_text if options["as_csv"] else plain_text
    text = form(simulation, setup)
    if series is not None:
        write_whole(series, simulation.series.write_csv())
    if output is not None:
        write_whole(output, text)
    else:
        click.echo(text, nl=False)


def _targets(options: dict[str, Any]) -> tuple[Path | None, Path | None, int]:
    """Check what has to do with the output; return the two files and the number of samples."""
    if options["as_json"] and options["as_csv"]:
        raise InputError("--csv", "given together with --json", allowed="one of the two")
    output, series, samples = options["output"], options["series"], options["samples"]
    if samples is not None and series is None:
        raise InputError("--samples", "nothing to write them to", allowed="together with --series")
    if samples is not None and not 1 <= samples <= _MOST_SAMPLES:
        allowed = f"1..{_MOST_SAMPLES:,}"
        raise InputError("--samples", "out of range", value=samples, allowed=allowed)
    for target in (output, series):
        if target is not None:
            check_target(target)
    if output is not None and series is not None and output.resolve() == series.resolve():
        raise InputError("--series", "the same file as -o", value=str(series), allowed="another")
    return output, series, 0 if series is None else samples or _SAMPLES


def _setting(options: dict[str, Any]) -> tuple[Stream, Machine]:
    """Make the stream and the machine."""
    from vmalloc_model.allocator.machine import machine_of
    from vmalloc_model.platforms import find_platform
    from vmalloc_model.workloads import find_workload, make

    workload = find_workload(options["workload"], "--workload")
    values = workload_parameters(workload, options["given"])
    platform = find_platform(options["platform"], "--platform")
    least, most = 2 * platform.page_size, 1 << (8 * platform.pointer_size - 1)
    chunk, nr_cpus = options["chunk"], options["nr_cpus"]
    if not least <= chunk <= most or not is_power_of_two(chunk):
        allowed = f"a power of two from {least:,} to {most:,} bytes"
        raise InputError("--chunk", "not a chunk size", value=chunk, allowed=allowed)
    if nr_cpus is not None and not 1 <= nr_cpus <= platform.nr_cpus_max:
        allowed = f"1..{platform.nr_cpus_max:,} on {platform.id}"
        raise InputError("--nr-cpus", "out of range", value=nr_cpus, allowed=allowed)
    if "bits" in workload.parameters:
        values.setdefault("bits", str(8 * platform.pointer_size))
    try:
        machine = machine_of(
            platform,
            options["cpus"],
            chunk_size=chunk,
            nr_cpus=nr_cpus,
            nodes=options["nodes"],
            decay=options["decay"],
            possible_share=options["share"],
        )
        stream = make(
            workload.name,
            page_size=platform.page_size,
            cpus=options["cpus"],
            events=options["events"],
            seed=options["seed"],
            **values,
        )
    except InputError as error:  # places are options here
        name = error.where.removeprefix("$.")
        where = f"-p {name}" if name in workload.parameters else f"--{name}"
        raise InputError(where, error.problem, value=error.value, allowed=error.allowed) from None
    return stream, machine
