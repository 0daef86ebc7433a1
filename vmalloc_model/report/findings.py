"""What the chapters found for one recorded run, in sentences read off their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import polars as pl

from vmalloc_model.report.provenance import read_record
from vmalloc_model.units import count_text, parse_size, share_text, size_text

__all__ = ["findings"]

_BASE: Final = "pools only"
"""Variant of ``fig-left-visits`` that the others are compared with: mainline."""

_PROPOSED: Final = ("10/12", "11/12", "12/12")
_POLICIES: Final = {"rfc10": "10/12", "rfc11": "11/12", "rfc12": "12/12"}


def findings(folders: Mapping[str, Path], run: str) -> list[str]:
    """Word what the chapters found for a run.

    Parameters
    ----------
    folders : mapping
        Notebook -> folder of its finished results.
    run : str
        How the results name the run: its id, or its path.

    Returns
    -------
    list of str
        Sentences in MyST; none for a chapter that is not there or does not show the run.
    """
    words = {"coverage": _coverage, "left-to-win": _visits, "growth": _lost}
    return [
        sentence
        for name, say in words.items()
        if name in folders
        for sentence in say(folders[name], run)
    ]


def _rows(folder: Path, id: str, column: str, run: str) -> pl.DataFrame:
    """Rows of a result that are about the run."""
    return pl.read_csv(folder / id / "data.csv", infer_schema_length=None).filter(
        pl.col(column).cast(pl.String) == run
    )


def _coverage(folder: Path, run: str) -> list[str]:
    record = read_record(folder)
    chunk = parse_size(record["parameters"]["chunk_size"]) if record else 0
    shares = _rows(folder, "fig-eligible", "stream", run).filter(pl.col("chunk_size") == chunk)
    by_measure = {row["measure"]: row for row in shares.iter_rows(named=True)}
    why = _rows(folder, "tab-rules", "run", run)
    if not by_measure or why.is_empty():
        return []
    asked, size = by_measure["requests"], by_measure["bytes"]
    row = why.row(0, named=True)
    return [
        f"A chunk of {size_text(chunk)} admits {count_text(asked['admitted'])} of "
        f"{count_text(asked['total'])} recorded requests ({share_text(asked['share'])}) and "
        f"{share_text(size['share'])} of their bytes. Not eligible: "
        f"{count_text(row['outside'])} outside the standard window, {count_text(row['over_half'])} "
        f"above half a chunk, {count_text(row['align'])} with an alignment above half a chunk."
    ]


def _visits(folder: Path, run: str) -> list[str]:
    rows = _rows(folder, "fig-left-visits", "stream", run).filter(pl.col("half") == 2)
    visits = dict(rows.select("variant", "visits").iter_rows())
    if _BASE not in visits:
        return []
    base = visits[_BASE]
    parts = [
        f"{variant} {_number(visits[variant])}, {_change(base, visits[variant])}"
        for variant in _PROPOSED
        if variant in visits
    ]
    return [
        f"Visits to the global lock per 1,000 allocations, in the second half of the recording: "
        f"mainline {_number(base)}; {'; '.join(parts)}."
    ]


def _change(before: float, after: float) -> str:
    if before == after:
        return "the same"
    return f"{_number(abs(after - before))} {'fewer' if after < before else 'more'}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _lost(folder: Path, run: str) -> list[str]:
    rows = _rows(folder, "fig-growth-regions", "stream", run)
    parts = [
        f"{_POLICIES[policy]} {size_text(lost)} (high water {size_text(high)})"
        for policy, lost, high in rows.select("policy", "lost", "high_water").iter_rows()
        if policy in _POLICIES
    ]
    mainline = rows.filter(pl.col("policy") == "mainline")
    if not parts or mainline.is_empty():
        return []
    return [
        f"Space that nobody uses and no request can get, when the recording ends: "
        f"{'; '.join(parts)}. "
        f"Mainline has no chunks; its high water is {size_text(mainline.item(0, 'high_water'))}."
    ]
