"""``vmalloc-model recommend``: which chunk sizes one configuration leaves."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import numpy as np

from vmalloc_model.cli import completing
from vmalloc_model.cli.output import check_target, write_whole
from vmalloc_model.cli.values import Value, parse_count, parse_share
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.units import GIB, KIB, MIB, parse_size

__all__ = ["command"]

_COUNT = Value("count", parse_count)
_SIZE = Value("size", parse_size)
_SHARE = Value("share", parse_share)


def _sizes(text: str, where: str) -> list[int]:
    """Read chunk sizes: a list, or a range as ``1M:1G:*2``."""
    from vmalloc_model.parameters import checked, literal

    try:
        sizes: tuple[int, ...] = checked(chunk_sizes=literal("chunk_sizes", text)).chunk_sizes
    except InputError as error:
        raise InputError(where, error.problem, value=error.value, allowed=error.allowed) from None
    return sorted(sizes)


@click.command()
@click.option(
    "--platform",
    required=True,
    shell_complete=completing.platforms,
    help="Its vmalloc range and page size.",
)
@click.option("--cpus", type=_COUNT, required=True, help="Possible CPUs; each holds a chunk.")
@click.option("--largest", type=_SIZE, required=True, help="Request that a chunk must admit.")
@click.option("--budget", type=_SHARE, required=True, help="Share of the range for all chunks.")
@click.option(
    "--mean-size", type=_SIZE, default="4K", show_default=True, help="Mean request, without guard."
)
@click.option(
    "--min-allocations",
    type=_COUNT,
    default=1000,
    show_default=True,
    help="Requests of that size that one refill must serve.",
)
@click.option(
    "--guard-pages", type=_COUNT, default=1, show_default=True, help="Pages behind each area."
)
@click.option(
    "--chunks",
    type=Value("sizes", _sizes),
    default="1M:1G:*2",
    show_default=True,
    help="Chunk sizes to judge: powers of two.",
)
@click.option(
    "workloads",
    "--workload",
    multiple=True,
    shell_complete=completing.workloads,
    help="Workload to simulate (`workloads` lists them). May be repeated."
    "  [default: those of chapter Alternatives]",
)
@click.option("--events", type=_COUNT, help="Length of their streams.  [default: by CPUs]")
@click.option("--seed", type=_COUNT, default=1, show_default=True, help="Of all that is random.")
@click.option(
    "--run",
    metavar="FILE|ID",
    shell_complete=completing.runs,
    help="Recorded run of that platform, simulated too.",
)
@click.option(
    "--simulation/--no-simulation",
    default=True,
    help="Whether to simulate, or judge by the arguments only.  [default: simulation]",
)
@click.option(
    "form",
    "--format",
    type=click.Choice(["text", "json", "csv", "markdown"]),
    default="text",
    show_default=True,
    help="Text has 72 columns of ASCII.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write here instead of printing.",
)
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Judge chunk sizes for one configuration by the patch's three arguments.

    Says which sizes meet which argument, which are left, what binds and by how much it would have
    to move, and what the overlay would win and lose against mainline for the sizes left (four at
    most) and for the patch's 64 MiB.

    \b
    Examples:
      vmalloc-model recommend --platform arm64-39bit-4k --cpus 64 --largest 32M --budget 1%
      vmalloc-model recommend --platform x86_64-4level --cpus 2 --largest 1M --budget 1% --run smp2
      vmalloc-model recommend --platform i386 --cpus 4 --largest 1M --budget 50% --no-simulation
      vmalloc-model recommend --platform arm --cpus 4 --largest 1M --budget 50% --format json
    """  # noqa: D301
    if options["output"] is not None:
        check_target(options["output"])
    if not options["simulation"]:
        for name in ("workloads", "events", "run"):
            if options[name]:
                where = "--workload" if name == "workloads" else f"--{name}"
                raise InputError(where, "given together with --no-simulation")
    from vmalloc_model.cli.recommend_text import FORMS

    try:
        told = _recommend(options)
    except FileError:
        raise
    except InputError as error:  # places are options here
        where = error.where.replace("$.", "--").replace("_", "-")
        raise InputError(where, error.problem, value=error.value, allowed=error.allowed) from None
    text = FORMS[options["form"]](told, _again(context))
    if options["output"] is not None:
        write_whole(options["output"], text)
    else:
        click.echo(text, nl=False)


def _recommend(options: dict[str, Any]) -> Any:
    from vmalloc_model.platforms import find_platform
    from vmalloc_model.recommend.arguments import Configuration, judge
    from vmalloc_model.recommend.play import WORKLOADS, play
    from vmalloc_model.recommend.words import Recommendation

    names = ("cpus", "largest", "budget", "mean_size", "min_allocations", "guard_pages")
    platform = find_platform(options["platform"], "--platform")
    asked = Configuration(platform=platform, **{name: options[name] for name in names})
    sizes = judge(asked, options["chunks"])
    if not options["simulation"]:
        return Recommendation(asked, sizes)
    from vmalloc_model.native import warm_up

    warm_up()
    played = play(
        asked,
        sizes,
        workloads=options["workloads"] or WORKLOADS,
        run=options["run"],
        events=options["events"],
        seed=options["seed"],
    )
    return Recommendation(asked, sizes, played)


def _again(context: click.Context) -> list[str]:
    """Return the command that gives the same answer, in parts that can stand on lines."""
    parts = ["vmalloc-model recommend"]
    for one in context.command.params:
        name = one.name or ""
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name not in ("form", "output"):
            parts += [_words(one, value) for value in _each(context.params[name])]
    return parts


def _each(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value,)


def _words(option: click.Parameter, value: Any) -> str:
    """Print one option with its value as it can be typed, exactly."""
    if isinstance(value, bool):
        return option.opts[0] if value else option.secondary_opts[0]
    if isinstance(value, list):
        text = ",".join(map(_typed, value))
    elif isinstance(value, float):
        text = np.format_float_positional(value, trim="-")
    else:
        text = _typed(value) if option.type is _SIZE else str(value)
    return f"{option.opts[0]} {shlex.quote(text)}"


def _typed(size: int) -> str:
    """Print a size as it can be typed, exactly."""
    for unit, letter in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
