"""Chapter *Leaks and exhaustion*: when a range or the memory ends, at a rate of allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from vmalloc_model.platforms import Platform, find_platform
from vmalloc_model.studies.leaks import PAIRS, XFS_LEAST
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, pages_for, size_text

__all__ = [
    "DRAWN",
    "MEMORY",
    "RATES",
    "VERSIONS",
    "XFS_RATE",
    "left_out",
    "say_steady",
    "say_time",
    "say_xfs",
    "shown_steady",
    "steady_table",
    "time_summary",
    "time_table",
    "time_text",
]

RATES: Final = (10**2, 10**3, 10**4, 10**5, 10**6)
"""Allocations per second of a whole machine."""

XFS_RATE: Final = 300_000
"""Allocations per second: XFS calls vmalloc several hundred thousand times a second. Source:
Dave Chinner, ZG0zil5dpXUiuF5q@dread.disaster.area; the figure itself is our reading of it."""

DRAWN: Final = ("xfs", PAIRS)
"""Streams that are drawn: those whose rate has a source."""

VERSIONS: Final = ("rfc10", "rfc11", "rfc12")
"""The overlay as posted, patch by patch."""

_STEADY: Final = 0.5
"""Growth counts as steady if the second half has at least this part of the first half's, and the
mark rises by more than was ever live: more than filling up explains."""

MEMORY: Final = "memory"
_GUARD: Final = 1
_MANY: Final = 100
"""A range of fewer chunks ends at once, not at a rate."""


def steady_table(losses: pl.DataFrame) -> pl.DataFrame:
    """Find the stream on which each policy takes fresh addresses fastest, and steadily.

    Parameters
    ----------
    losses : polars.DataFrame
        As `vmalloc_model.studies.leaks.losses_table`.

    Returns
    -------
    polars.DataFrame
        ``policy``, ``stream``, ``growth`` (bytes of the high-water mark per allocation, second half
        of the stream), ``halves`` (this, divided by the first half's), ``memory`` (bytes of page
        tables and of lost chunks' descriptors per allocation). A policy whose mark levels off on
        every stream has an empty ``stream`` and zeros.
    """
    rows = []
    for policy in losses["policy"].unique(maintain_order=True).to_list():
        found = _rising(losses.filter(pl.col("policy") == policy))
        rows.append(
            found.row(0, named=True)
            if found.height
            else {"policy": policy, "stream": "", "growth": 0.0, "halves": 0.0, "memory": 0.0}
        )
    return pl.DataFrame(rows)


def _rising(losses: pl.DataFrame) -> pl.DataFrame:
    """Rows whose mark rises steadily, the fastest first."""
    lasting = (pl.col("growth") > 0) & (pl.col("growth") >= _STEADY * pl.col("before"))
    steady = lasting & (pl.col("rise") > pl.col("peak"))
    return (
        losses.filter(steady)
        .sort("growth", descending=True, maintain_order=True)
        .select(
            "policy",
            "stream",
            "growth",
            halves=pl.col("growth") / pl.col("before"),
            memory=pl.col("tables_growth") + pl.col("descriptors") / 1e6,
        )
    )


def _compared(platforms: Sequence[str], platform: str, chunk_size: int) -> list[Platform]:
    """Platforms of one page size, where an allocation costs as many pages, with many chunks."""
    page = find_platform(platform).page_size
    every = map(find_platform, platforms)
    return [one for one in every if one.page_size == page and one.slots(chunk_size) >= _MANY]


def time_table(
    losses: pl.DataFrame, platforms: Sequence[str], platform: str, chunk_size: int, memory: int
) -> pl.DataFrame:
    """Extrapolate XFS's buffers to the end of ranges and of the memory (``fig-leaks-time``).

    Returns
    -------
    polars.DataFrame
        For each of `DRAWN`, under the version of the overlay that grows fastest there: ``stream``,
        ``policy`` (several, joined by commas, if they grow the same), ``growth``, ``ends``
        (platform, or `MEMORY`), ``size`` (bytes that end), ``rate`` (of `RATES`), ``seconds``:
        ``size / (growth * rate)``, for the memory ``size / (memory per allocation * rate)``.
    """
    ranges = [(one.id, one.usable_size) for one in _compared(platforms, platform, chunk_size)]
    rows: list[tuple[object, ...]] = []
    for stream in DRAWN:
        found = _rising(
            losses.filter((pl.col("stream") == stream) & pl.col("policy").is_in(VERSIONS))
        )
        if not found.height:
            continue
        case = found.row(0, named=True)
        same = found.filter(pl.col("growth") == case["growth"])["policy"].to_list()
        ends = [(MEMORY, memory, case["memory"])] if case["memory"] > 0 else []
        ends += [(name, size, case["growth"]) for name, size in ranges]
        rows += [
            (stream, ", ".join(same), case["growth"], name, size, rate, size / (each * rate))
            for name, size, each in ends
            for rate in RATES
        ]
    names = ["stream", "policy", "growth", "ends", "size", "rate", "seconds"]
    kinds = [pl.String, pl.String, pl.Float64, pl.String, pl.Int64, pl.Int64, pl.Float64]
    return pl.DataFrame(rows, schema=dict(zip(names, kinds, strict=True)), orient="row")


_UNITS: Final = (
    (365.25 * 86_400, "years"),
    (86_400, "days"),
    (3_600, "h"),
    (60, "min"),
    (1, "s"),
    (1e-3, "ms"),
)


def time_text(seconds: float) -> str:
    """Print a duration in its largest unit, with two significant digits.

    Examples
    --------
    >>> time_text(1506), time_text(4e9), time_text(0.004)
    ('25 min', '130 years', '4 ms')
    """
    for size, unit in _UNITS:
        if seconds >= size or unit == _UNITS[-1][1]:
            break
    value = float(f"{seconds / size:.2g}")
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:g} {unit}"


def time_summary(times: pl.DataFrame) -> pl.DataFrame:
    """Time to the end, a column for each rate."""
    rate = pl.lit("at ") + pl.col("rate").cast(pl.String) + pl.lit("/s")
    return wide(times, ["stream", "policy", "ends"], rate, "seconds", time_text)


def say_time(times: pl.DataFrame, memory: int, left: Sequence[str]) -> str:
    """Word the caption of ``fig-leaks-time``: what ends when, and what ends first."""
    text = [
        "Time until a range or the memory ends, by allocations per second. It is the size divided "
        "by growth and rate; the growth per allocation is the model's, in the second half of the "
        f"stream, and the rest is extrapolated. Marked: {count_text(XFS_RATE)} per second."
    ]
    at = times.filter(pl.col("rate") == RATES[0])
    for stream in at["stream"].unique(maintain_order=True).to_list():
        rows = at.filter(pl.col("stream") == stream)
        policy, growth = rows.select("policy", "growth").row(0)
        lasts = {
            name: seconds * RATES[0] / XFS_RATE
            for name, seconds in rows.select("ends", "seconds").rows()
        }
        words = [f"{name} {time_text(s)}" for name, s in lasts.items() if name != MEMORY]
        line = (
            f"*{stream}* under {policy}, {size_text(growth)} of addresses per allocation, at that "
            f"rate: {', '.join(words) or 'no range'}"
        )
        if MEMORY in lasts:
            line += f"; {size_text(memory)} of memory {time_text(lasts[MEMORY])}"
            later = [name for name, s in lasts.items() if s > 1.01 * lasts[MEMORY]]
            line += f", before the range of {', '.join(later)}" if later else ""
        text.append(line + ".")
    if not at.height:
        text.append("No version's mark rises steadily on buffers of XFS here.")
    text.append(
        "Under rfc10 the end is that no refill succeeds; requests go on in holes. Under 11/12 and "
        "12/12 nothing is left."
    )
    if left:
        text.append(
            f"Left out, with another page size or fewer than {_MANY} chunks: {', '.join(left)}."
        )
    return " ".join(text)


def left_out(platforms: Sequence[str], platform: str, chunk_size: int) -> list[str]:
    """Platforms that the extrapolation leaves out."""
    kept = [one.id for one in _compared(platforms, platform, chunk_size)]
    return [name for name in platforms if name not in kept]


def shown_steady(
    steady: pl.DataFrame, platforms: Sequence[str], platform: str, chunk_size: int
) -> pl.DataFrame:
    """Print `steady_table` with the allocations that each range lasts (``tab-leaks-steady``)."""
    ranges = _compared(platforms, platform, chunk_size)
    rows = []
    for row in steady.iter_rows(named=True):
        grows = row["growth"] > 0
        lasts = [
            _rounded(one.usable_size / row["growth"]) if grows else "levels off" for one in ranges
        ]
        rows.append(
            (
                row["policy"],
                row["stream"] or "-",
                size_text(row["growth"]) if grows else "0",
                f"{row['halves']:.2f}" if grows else "-",
                size_text(row["memory"]) if row["memory"] else "0",
                *lasts,
            )
        )
    names = ["policy", "stream", "growth", "halves", "memory", *(one.id for one in ranges)]
    return pl.DataFrame(rows, schema=names, orient="row")


def _rounded(count: float) -> str:
    return f"{float(f'{count:.3g}'):,.0f}"


def say_steady(steady: pl.DataFrame, platform: str) -> str:
    """Word the caption of ``tab-leaks-steady``: who grows, how linear that is."""
    grows = steady.filter(pl.col("growth") > 0)
    level = steady.filter(pl.col("growth") == 0)["policy"].to_list()
    text = [
        f"How many allocations a range lasts, with the growth of the model on {platform}: "
        "addresses and memory per allocation. For each policy the stream on which its high-water "
        "mark rises fastest, if in the second half it "
        "rises by at least half as much as in the first, and by more than was ever live."
    ]
    if grows.height:
        low, high = min(grows["halves"].to_list()), max(grows["halves"].to_list())
        text.append(
            f"Growth in the second half is {low:.2f} to {high:.2f} times that of the first: "
            + (
                "linear over the run."
                if low >= 0.8 and high <= 1.25
                else "not everywhere linear, so take the rates as rough."
            )
        )
    text.append(f"Level on every stream: {', '.join(level)}." if level else "None is level.")
    return " ".join(text)


def say_xfs(losses: pl.DataFrame, platforms: Sequence[str], platform: str, chunk_size: int) -> str:
    """Word the rate that is known from XFS: chunks per second, and when ranges would end."""
    machine = find_platform(platform)
    area = int(pages_for(XFS_LEAST, machine.page_size)) + _GUARD
    fit = chunk_size // machine.page_size // area
    chunks = XFS_RATE / fit
    ends = [
        f"{one.id} {time_text(one.usable_size / (chunks * chunk_size))}"
        for one in _compared(platforms, platform, chunk_size)
    ]
    lasts = f" If all were lost the ranges would last: {', '.join(ends)}." if ends else ""
    lost = losses.filter((pl.col("stream") == PAIRS) & (pl.col("policy") == "rfc12"))
    counted = (
        f" The model loses {count_text(lost['chunks_lost'].to_list()[0])} chunks per million of "
        f"these pairs under rfc12, where {count_text(1e6 / fit)} fill up."
        if lost.height
        else ""
    )
    return (
        f"Buffers of {size_text(XFS_LEAST)}, {count_text(XFS_RATE)} a second and each freed before "
        f"the next, fill {count_text(chunks)} chunks a second: {size_text(chunks * chunk_size)}/s."
        f"{lasts}{counted}"
    )
