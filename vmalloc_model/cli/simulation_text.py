"""A simulation as text: plain, JSON, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.cli.output import aligned
from vmalloc_model.simulate import MEASURES, STRANDED, Simulation, stranded
from vmalloc_model.units import count_text, cpus_text, many_text, size_text
from vmalloc_model.workloads import find_workload

__all__ = ["csv_text", "json_text", "plain_text"]

_IN_PAGES: Final = {"largest_gap", "high_water", "touched_high", *STRANDED}

_Row = tuple[str, str, int, str]  # kind, name, value, meaning


def plain_text(simulation: Simulation, setup: dict[str, Any]) -> str:
    """Set everything in aligned columns: the setting first, then numbers with their meanings."""
    machine, policy = simulation.machine, simulation.policy
    page = machine.page_size
    chunks = f"chunks of {size_text(machine.chunk_pages * page)}" if machine.chunk_pages else ""
    parts = (
        setup["platform"],
        cpus_text(machine.cpus),
        many_text(machine.nodes, "vmap node"),
        f"pages of {size_text(page)}",
        chunks or "no chunks",
        f"decay as in {machine.decay}",
        f"free space {simulation.freespace}",
    )
    values = [f"{name}={value}" for name, value in _own(simulation, machine.cpus).items()]
    head = [
        ("policy", f"{policy.name}: {policy.title}"),
        ("workload", f"{simulation.workload}: {find_workload(simulation.workload).title}"),
        ("parameters", ", ".join(values) or "none"),
        ("machine", ", ".join(parts)),
        ("events", count_text(simulation.events)),
        ("seed", str(setup["seed"])),
    ]
    lines = ["MODEL", *aligned(head)]
    rows = list(_rows(simulation))
    cells = [
        (name, f"{value:,}", size_text(value * page) if _in_pages(name) else "", meaning)
        for _, name, value, meaning in rows
    ]
    kind = ""
    for (other, *_), line in zip(rows, aligned(cells, right=(1, 2)), strict=True):
        if other != kind:
            kind = other
            lines += ["", kind]
        lines.append(f"  {line}")
    lines += ["", "lock visits by node"]
    visits = [
        (name, f"{sum(by_node):,} in all", f"{max(by_node):,} at the busiest node")
        for name, by_node in simulation.visits.items()
    ]
    lines += [f"  {line}" for line in aligned(visits, right=(1, 2))]
    return "\n".join(lines) + "\n"


def json_text(simulation: Simulation, setup: dict[str, Any]) -> str:
    """One object: the setting, counters, measures, stranded pages, visits by node."""
    machine, policy = simulation.machine, simulation.policy
    told = {
        "label": "MODEL",
        "policy": {"name": policy.name, "title": policy.title},
        "workload": simulation.workload,
        "parameters": _own(simulation, machine.cpus),
        **setup,
        "machine": {
            "page_size": machine.page_size,
            "cpus": machine.cpus,
            "nodes": machine.nodes,
            "chunk_pages": machine.chunk_pages,
            "block_pages": machine.block_pages,
            "lazy_max_pages": machine.lazy_max_pages,
            "decay": machine.decay,
            "possible_share": machine.possible_share,
            "windows": [[start, end] for start, end in machine.windows],
        },
        "freespace": simulation.freespace,
        "counters": simulation.counters,
        "measures": simulation.measures,
        "stranded": stranded(simulation),
        "visits": simulation.visits,
    }
    return json.dumps(told, indent=2) + "\n"


def csv_text(simulation: Simulation, setup: dict[str, Any]) -> str:
    """One row for each name: ``kind,name,value,unit,meaning``; what was set comes first."""
    machine = simulation.machine
    settings = {
        "policy": simulation.policy.name,
        "workload": simulation.workload,
        **setup,
        "page_size": machine.page_size,
        "nodes": machine.nodes,
        "chunk_pages": machine.chunk_pages,
        "decay": machine.decay,
        "possible_share": machine.possible_share,
        "freespace": simulation.freespace,
    }
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("kind", "name", "value", "unit", "meaning"))
    writer.writerow(("label", "label", "MODEL", "", ""))
    writer.writerows(("setting", *item, "", "") for item in settings.items())
    writer.writerows(("parameter", *one, "", "") for one in _own(simulation, machine.cpus).items())
    for kind, name, value, meaning in _rows(simulation):
        writer.writerow((kind, name, value, "pages" if _in_pages(name) else "", meaning))
    for name, by_node in simulation.visits.items():
        for node, value in enumerate(by_node):
            writer.writerow(("visits", f"{name}[{node}]", value, "", f"lock visits at node {node}"))
    return file.getvalue()


def _own(simulation: Simulation, cpus: int) -> dict[str, Any]:
    """Parameters of the workload itself; those that follow from the machine with their value."""
    return {
        name: cpus if value is None else value
        for name, value in simulation.parameters.items()
        if name not in ("events", "seed")
    }


def _in_pages(name: str) -> bool:
    return name.endswith("_pages") or name in _IN_PAGES


def _rows(simulation: Simulation) -> Iterator[_Row]:
    for kind, values, meanings in (
        ("counters", simulation.counters, COUNTERS),
        ("measures", simulation.measures, MEASURES),
        ("stranded", stranded(simulation), STRANDED),
    ):
        for name, value in values.items():
            yield kind, name, value, meanings[name]
