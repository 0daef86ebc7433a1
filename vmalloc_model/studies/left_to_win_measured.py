"""Chapter *What is left to win*: searches and refills that kernels logged, beside the model's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from vmalloc_model.claims.recorded import Mainline, Overlay, read_mainline, read_overlay
from vmalloc_model.experiments.lock_visits import inputs, lock_visits
from vmalloc_model.runs import find_run, run_id
from vmalloc_model.studies.left_to_win_words import rate_text
from vmalloc_model.sweep import sweep
from vmalloc_model.units import count_text

__all__ = ["Measured", "load_measured", "measured_table", "say_measured"]


@dataclass(frozen=True)
class Measured:
    """Two operation logs of one workload and binary, and the model on their requests.

    Attributes
    ----------
    mainline, overlay : Mainline, Overlay
        What the logs say: without the overlay, and with that of 10/12.
    model : dict of str to dict
        Name of each run -> what `vmalloc_model.experiments.lock_visits.lock_visits` counts, both
        halves together.
    """

    mainline: Mainline
    overlay: Overlay
    model: dict[str, dict[str, int]]


def load_measured(mainline: str = "oplog-stock", overlay: str = "oplog-rfc10") -> Measured:
    """Read both logs, and run their requests through the policies that the kernels had."""
    logged = read_overlay(overlay)
    points: list[dict[str, Any]] = [
        {
            "stream": run,
            "platform": find_run(run).platform,
            "cases": [{"policy": policy, "pools": True, "chunk_sizes": list(logged.chunk_sizes)}],
        }
        for run, policy in ((mainline, "mainline"), (overlay, "rfc10"))
    ]
    done = sweep(lock_visits, points, inputs=inputs, title="logged runs")
    model = {
        run_id(point["stream"]): {
            name: sum(row[name] for row in result["rows"]) for name in _SUMMED
        }
        for point, result in zip(points, done, strict=True)
    }
    return Measured(read_mainline(mainline), logged, model)


_SUMMED = ("requests", "search", "refill", "pool_hits")


def _rows(measured: Measured) -> list[tuple[str, float, float, float, float]]:
    """Quantity, then per 1,000 allocations: mainline's log and model, the overlay's likewise."""
    stock, run = measured.mainline, measured.overlay
    first, second = (measured.model[one.run] for one in (stock, run))
    plain, chunk = 1000 / stock.allocations, 1000 / run.allocations
    one, two = 1000 / first["requests"], 1000 / second["requests"]
    return [
        (
            "answered by node pools",
            plain * (stock.allocations - stock.searches),
            one * first["pool_hits"],
            chunk * run.pool_hits,
            two * second["pool_hits"],
        ),
        (
            "searches for an area",
            plain * stock.searches,
            one * first["search"],
            chunk * run.tree_allocations,
            two * second["search"],
        ),
        ("searches for a chunk", 0, 0, chunk * run.reserves, two * second["refill"]),
    ]


def measured_table(measured: Measured) -> pl.DataFrame:
    """Put the logs and the model side by side (``tab-left-measured``).

    Returns
    -------
    polars.DataFrame
        ``quantity``; per 1,000 allocations, as text: ``mainline`` and ``overlay`` as logged,
        ``mainline_model`` and ``overlay_model``.
    """
    rows = [(name, *(rate_text(value) for value in values)) for name, *values in _rows(measured)]
    names = ["quantity", "mainline", "mainline_model", "overlay", "overlay_model"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_measured(measured: Measured) -> str:
    """Word the caption: what the log shows, and how far the model is from it."""
    rows = _rows(measured)
    before, after = rows[1][1], rows[1][3] + rows[2][3]
    far = max(max(abs(row[1] - row[2]), abs(row[3] - row[4])) for row in rows)
    return (
        f"Of 1,000 allocations in a real kernel with node pools, {rate_text(before)} searched the "
        f"global free space without the overlay, {rate_text(after)} with that of 10/12 on the same "
        f"binary and workload ({count_text(measured.mainline.allocations)} and "
        f"{count_text(measured.overlay.allocations)} allocations). The model has the same requests "
        f"and purges, and is at most {rate_text(far)} per 1,000 away in any row."
    )
