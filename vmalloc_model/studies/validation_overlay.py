"""Chapter *Validation*: growth with an overlay, from requests alone and as a kernel logged it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.datafiles import read_toml
from vmalloc_model.replay.streams import record_of
from vmalloc_model.replay.text import machine_for
from vmalloc_model.runs import Run, find_run, measured_overlay, run_id
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.units import MIB, count_text, share_text, size_text

__all__ = ["holes", "overlay_table", "say_overlay", "shown_overlay"]


def holes(gaps: Sequence[tuple[int, int]], first: int, end: int) -> list[int]:
    """Lengths of free ranges (start, length) as far as they lie in ``[first, end)``."""
    cut = [min(start + length, end) - max(start, first) for start, length in gaps]
    return [length for length in cut if length > 0]


def _free_at_end(run: Run) -> list[tuple[int, int]]:
    """Free ranges (start, bytes) of the global free space when a log ends."""
    log = read_oplog(run.path).filter(pl.col("addr").is_not_null())
    sign = {"init_free": 1, "tree_free": 1, "tree_alloc": -1, "chunk_reserve": -1, "pcpu_area": -1}
    change: dict[int, int] = {}
    for op, start, length in (
        log.filter(pl.col("op").is_in(list(sign))).select("op", "addr", "size").iter_rows()
    ):
        change[start] = change.get(start, 0) + sign[op]
        change[start + length] = change.get(start + length, 0) - sign[op]
    edges = sorted(place for place, step in change.items() if step)
    level, gaps = 0, []
    for place, after in pairwise(edges):
        level += change[place]
        if level:
            gaps.append((place, after - place))
    return gaps


def overlay_table(name: str) -> pl.DataFrame:
    """Growth of the address space in the model and in a kernel's log (``tab-validation-overlay``).

    The model gets the requests alone: size, alignment, window, CPU; frees; beginnings of purges.

    Parameters
    ----------
    name : str
        As for `vmalloc_model.runs.measured_overlay`.

    Returns
    -------
    polars.DataFrame
        ``quantity``; ``unit`` (``count`` or ``bytes``), ``model``, ``measured`` (by that log),
        ``stated`` (text from ``data/measured-overlay.toml``), ``why`` (where they differ).
    """
    logged, run = measured_overlay(name), find_run(name)
    recorded, size = record_of(run), run.page_size
    machine = machine_for(recorded, chunk_size=logged.chunk_size)
    allocator = Allocator(machine, "rfc10", auto_purge=False)
    allocator.run(recorded.events)
    counts, says, chunks = allocator.counters(), allocator.measures(), allocator.chunks()
    start, chunk_pages = machine.windows[0][0], machine.chunk_pages
    ours = holes(allocator.state()["gaps"], start, start + says["touched_high"])
    theirs = holes(_free_at_end(run), start * size, start * size + logged.touched)
    earlier = [chunks.base[:number] for number in range(len(chunks.base))]
    reused = sum(
        bool((np.abs(before - base) < chunk_pages).any())
        for base, before in zip(chunks.base, earlier, strict=True)
    )
    stated = _stated(run.id)
    pool = "order of two CPUs' purges: the model does each purge at once"
    follow = "follows from the pool hits"
    rows = [
        ("refills", "count", counts["refills"], logged.refills, follow),
        ("chunks that overlap an earlier one", "count", reused, logged.reused, follow),
        ("end of the highest chunk", "bytes", says["high_water"] * size, logged.high_water, follow),
        ("end of the highest area", "bytes", says["touched_high"] * size, logged.touched, follow),
        ("tail", "bytes", counts["tail_pages"] * size, logged.tail, follow),
        ("padding", "bytes", counts["padding_pages"] * size, logged.padding, follow),
        ("free holes below the highest area", "count", len(ours), len(theirs), follow),
        ("largest hole", "bytes", max(ours, default=0) * size, max(theirs, default=0), follow),
        ("pool hits", "count", counts["pool_hits"], logged.pool_hits, pool),
        ("served by a chunk", "count", counts["bump_hits"], logged.hits, follow),
        (
            "served by the global allocator",
            "count",
            counts["global_hits"],
            logged.global_allocations,
            follow,
        ),
    ]
    return pl.DataFrame(
        [
            {
                "quantity": quantity,
                "unit": unit,
                "model": int(model),
                "measured": int(measured),
                "stated": stated.get(quantity, ""),
                "why": why if model != measured else "",
            }
            for quantity, unit, model, measured, why in rows
        ]
    )


def _stated(run: str) -> dict[str, str]:
    """Say what the data file has of the same kind of run, by quantity."""
    for entry in read_toml("measured-overlay.toml").values():
        if entry["run"] == run:
            low, high = entry["all-runs"]["largest_hole_mib"]
            least, most = entry["all-runs"]["tail_percent"]
            return {
                "refills": count_text(entry["refills"]),
                "end of the highest area": size_text(entry["highest_mib"] * MIB),
                "free holes below the highest area": count_text(entry["holes"]),
                "largest hole": f"{low:.2f} to {high:.2f} MiB (1 to 4 CPUs)",
                "tail": f"{least} to {most} % of chunk bytes (1 to 4 CPUs)",
            }
    return {}


def shown_overlay(table: pl.DataFrame) -> pl.DataFrame:
    """Word the cells of `overlay_table`."""

    def cell(value: int, unit: str) -> str:
        return count_text(value) if unit == "count" else f"{value / MIB:,.2f} MiB"

    rows = [
        {
            "quantity": row["quantity"],
            "model": cell(row["model"], row["unit"]),
            "measured": cell(row["measured"], row["unit"]),
            "difference": cell(row["model"] - row["measured"], row["unit"]),
            "stated": row["stated"] or "-",
            "why": row["why"] or "-",
        }
        for row in table.iter_rows(named=True)
    ]
    return pl.DataFrame(rows)


def say_overlay(table: pl.DataFrame, name: str) -> str:
    """Word the caption of ``tab-validation-overlay``."""
    rows = {row["quantity"]: row for row in table.iter_rows(named=True)}
    refills, pool, reused = (
        rows[key] for key in ("refills", "pool hits", "chunks that overlap an earlier one")
    )
    same = refills["model"] == refills["measured"]
    high, tail = rows["end of the highest chunk"], rows["tail"]
    reuse = (
        "neither reserved an address twice for a chunk"
        if not reused["model"] and not reused["measured"]
        else f"{reused['model']} and {reused['measured']} of the chunks overlap an earlier one"
    )
    shares = [share_text(tail[side] / high[side]) for side in ("model", "measured")]
    return (
        f"From the requests of {run_id(name)} alone the model makes "
        f"{count_text(refills['model'])} refills, "
        + ("as the kernel did" if same else f"the kernel {count_text(refills['measured'])}")
        + f"; {reuse}. The highest chunk ends at {size_text(high['model'])} in the model and at "
        f"{size_text(high['measured'])} in the log, the tail is {shares[0]} and {shares[1]} of "
        "that. Pool hits differ by "
        f"{count_text(abs(pool['model'] - pool['measured']))} of {count_text(pool['measured'])}."
    )
