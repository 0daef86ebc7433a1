"""``vmalloc-model replay``: predict what a recorded kernel did, and count what was right."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from tqdm import tqdm

from vmalloc_model.cli import completing
from vmalloc_model.cli.options import vmallocinfo
from vmalloc_model.cli.output import aligned
from vmalloc_model.replay.result import Replay
from vmalloc_model.units import count_text, cpus_text, many_text

__all__ = ["command"]


@click.command()
@click.argument("file", shell_complete=completing.runs)
@vmallocinfo(", for areas without events")
@click.option(
    "--policy",
    shell_complete=completing.policies,
    help="Policy of the recorded kernel; by default what the file says.",
)
@click.option(
    "--decay", default="6.12", show_default=True, help="Decay of node pools: 6.12 or 6.16."
)
@click.option("as_json", "--json", is_flag=True, help="Print one JSON object.")
def command(
    file: str, copies: tuple[Path, ...], policy: str | None, decay: str, as_json: bool
) -> int:
    """Replay FILE: a trace or an operation log as `import` reads or makes it, or a run's id.

    Only the requests are taken from the recording; every address is predicted. Exit status: 0 if
    all predictions were right, 1 if not, 2 if the file cannot be used. Beside NAME.ftrace.txt,
    files called NAME.vmallocinfo* are taken for --vmallocinfo.

    \b
    Examples:
      vmalloc-model replay smp1
      vmalloc-model replay data/runs/debian-6.12.117-smp1.ftrace.txt.gz
      vmalloc-model replay data/runs/debian-6.12.117-smp4-sync-purge.ftrace.txt.gz \\
        --vmallocinfo data/runs/debian-6.12.117-smp4-sync-purge.vmallocinfo.txt.gz
      vmalloc-model replay oplog-rfc10 --json
    """  # noqa: D301 (click wants the control character)
    from vmalloc_model.native import warm_up
    from vmalloc_model.replay.run import replay

    warm_up()
    with tqdm(
        desc="replay", unit=" events", unit_scale=True, disable=not sys.stderr.isatty(), leave=False
    ) as bar:
        result = replay(file, copies, policy, decay, bar.update)
    for line in [_json(result)] if as_json else _text(result):
        click.echo(line)
    return 0 if result.right else 1


def _share(right: int, made: int) -> str:
    """Percentage of right ones, rounded down: 100 % means all."""
    return f"{10_000 * right // made / 100:.2f} %" if made else "none"


def _text(result: Replay) -> list[str]:
    what = {"ftrace": "ftrace text", "oplog": "operation log"}[result.form]
    addresses = result.tallies["addresses"]
    lines = [
        f"MODEL against MEASURED: {result.file.name}",
        f"{what}, {cpus_text(result.cpus)}, {many_text(result.nodes, 'vmap node')}, "
        f"policy {result.policy}, "
        f"{many_text(result.events, 'event' if result.form == 'ftrace' else 'row')}",
        *(f"area without an event: {line}" for line in result.added),
        "",
        f"{addresses.right} of {addresses.made} allocation addresses predicted "
        f"({_share(addresses.right, addresses.made)})",
    ]
    others = [
        (f"  {kind}", f"{tally.right} of {tally.made}", _share(tally.right, tally.made))
        for kind, tally in result.tallies.items()
        if tally.made and kind != "addresses"
    ]
    lines += aligned(others, right=(1, 2))
    if result.differences:
        first = result.differences[0]
        lines += [
            "",
            f"first difference: line {count_text(first.line)}, {first.kind}",
            f"  expected {first.expected}",
            f"  recorded {first.recorded}",
            f"  likely cause: {first.cause}",
            f"exact for the first {count_text(result.exact)} allocations; {result.different} "
            f"differences, resynchronised {result.resynchronised} times",
        ]
    return lines


def _json(result: Replay) -> str:
    record = asdict(result)
    record["file"] = str(result.file)
    record["all_right"] = result.right
    return json.dumps(record, indent=2)
