"""Chapter *Edges*: ranges that hold few chunks or one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments import edges
from vmalloc_model.studies.edges_words import by_value, cases_text
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import grid, sweep
from vmalloc_model.units import count_text, cpus_text, share_text, size_text

__all__ = [
    "MAPPINGS",
    "churn_table",
    "kept_table",
    "lines_summary",
    "placed_table",
    "say_fallback",
    "say_kept",
    "say_largest",
    "say_placed",
    "say_searches",
    "start_table",
    "without",
]

MAPPINGS: Final = 8
"""Device mappings that are made on the way and stay."""
_LIVE: Final = 200
_BASELINE: Final = "mainline"
_ALWAYS: Final = 0.9
"""From this share of the requests on, "always"."""


def start_table(
    platforms: Sequence[str], cpu_counts: Sequence[int], policies: Sequence[str], chunk_size: int
) -> pl.DataFrame:
    """Tell what is left when every CPU has allocated one page (``fig-edges-largest``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``cpus``, ``policy``, ``window`` (bytes), ``chunk`` (bytes, 0 for none),
        ``chunks``, ``largest`` (bytes, guard page included), ``share`` (of the window),
        ``per_cpu`` (whether one more chunk of per-CPU memory fits).
    """
    points = grid(platform=platforms, cpus=cpu_counts, policy=policies, chunk_size=[chunk_size])
    rows = []
    for point, told in zip(points, sweep(edges.start, points, inputs=edges.inputs), strict=True):
        page = told["page_size"]
        rows.append(
            {name: point[name] for name in ("platform", "cpus", "policy")}
            | {name: told[name] * page for name in ("window", "chunk", "largest")}
            | {"share": told["largest"] / told["window"], "chunks": told["chunks"]}
            | {"per_cpu": bool(told["per_cpu"])}
        )
    return pl.DataFrame(rows)


def churn_table(
    platforms: Sequence[str],
    cpu_counts: Sequence[int],
    policies: Sequence[str],
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Churn few small areas, without and with device mappings that stay (``fig-edges-searches``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``cpus``, ``policy``, ``mappings`` (how many); ``requests``, ``failures``,
        ``misses``, ``refills``, ``refill_failures``, ``searches``, ``searches_per_1000``
        requests; in bytes: ``window``, ``peak`` (of live areas), ``mapped``, and, when all but the
        mappings was freed and purged, ``held`` (by chunks) and ``largest`` (area to be had).
    """
    points = grid(
        platform=platforms,
        cpus=cpu_counts,
        policy=policies,
        mappings=[0, MAPPINGS],
        chunk_size=[chunk_size],
        events=[events],
        seed=[seed],
        live=[_LIVE],
        placed=[0],
    )
    rows = []
    results = sweep(edges.small, points, inputs=edges.inputs, title="small ranges")
    for point, told in zip(points, results, strict=True):
        page = told["page_size"]
        names = ("requests", "failures", "refills", "refill_failures", "searches")
        rows.append(
            {name: point[name] for name in ("platform", "cpus", "policy", "mappings")}
            | {name: told[name] for name in names}
            | {"misses": told["bump_misses"], "peak": told["peak_pages"] * page}
            | {"searches_per_1000": 1000 * told["searches"] / told["requests"]}
            | {name: told[name] * page for name in ("window", "mapped", "held", "largest")}
        )
    return pl.DataFrame(rows)


def without(churn: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `churn_table` without mappings."""
    return churn.filter(pl.col("mappings") == 0)


def lines_summary(table: pl.DataFrame, value: str) -> pl.DataFrame:
    """One row for each platform and policy, a column for each number of CPUs."""
    text = share_text if value == "share" else _rate
    columns = pl.col("cpus").map_elements(cpus_text, pl.String)
    return wide(table, ["platform", "policy"], columns, value, text)


def _rate(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def kept_table(churn: pl.DataFrame) -> pl.DataFrame:
    """Print what is left at the end, for the fewest and the most CPUs (``tab-edges-kept``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``cpus``, ``mappings``, and a column for each policy: the largest area that
        can be had, and the share of allocations that failed before, if any did.
    """
    counts = churn["cpus"].to_list()
    shown = churn.filter(pl.col("cpus").is_in([min(counts), max(counts)]))
    cells = [_cell(row) for row in shown.iter_rows(named=True)]
    texts = shown.select("platform", "cpus", "mappings", "policy", text=pl.Series(cells))
    return wide(texts, ["platform", "cpus", "mappings"], "policy", "text", str)


def _cell(row: dict[str, Any]) -> str:
    text = size_text(row["largest"])
    if row["failures"]:
        text += f" ({share_text(row['failures'] / row['requests'])} failed)"
    return text


def say_largest(start: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-edges-largest``: what chunks leave of each range."""
    text = [
        "Every CPU has allocated one page, nothing else happened: the largest single allocation "
        "that can still be had, guard page included."
    ]
    most = max(start["cpus"].to_list())
    for platform in start["platform"].unique(maintain_order=True).to_list():
        rows = start.filter(platform=platform, cpus=most)
        window = rows["window"].to_list()[0]
        fit = window // chunk_size
        text.append(
            f"*{platform}*, {size_text(window)}, has room for {count_text(fit)} "
            f"chunk{'' if fit == 1 else 's'} of {size_text(chunk_size)}; with {cpus_text(most)}: "
            f"{by_value(rows.select('policy', 'largest').iter_rows(), size_text)}."
        )
    without = cases_text(start.filter(~pl.col("per_cpu")).iter_rows(named=True))
    return " ".join(text) + (
        f" One more chunk of per-CPU memory, 32 KiB for each CPU, does not fit any more: {without}."
        if without
        else " One more chunk of per-CPU memory, 32 KiB for each CPU, fits everywhere."
    )


def say_fallback(start: pl.DataFrame, chunk_size: int) -> str:
    """Word from how many CPUs on some CPU has no chunk and its every request falls back."""
    words = []
    for row in start.unique("platform", maintain_order=True).iter_rows(named=True):
        fit = row["window"] // chunk_size
        words.append(f"{row['platform']} from {cpus_text(fit + 1)} on")
    return (
        "In an empty range some CPU finds no room for a chunk, and falls back with every request, "
        f"on {listed(words)}."
    )


def say_searches(churn: pl.DataFrame) -> str:
    """Word the caption of ``fig-edges-searches``: searches, failed refills, failed allocations."""
    plain = without(churn)
    requests = count_text(plain["requests"].to_list()[0])
    share = max(row["peak"] / row["window"] for row in plain.iter_rows(named=True))
    text = [
        f"Searches of the global free space per 1,000 requests, in {requests} requests that "
        f"replace {_LIVE} areas of 1 to 64 pages one by one; at most "
        f"{share_text(share)} of a range is live."
    ]
    for platform in plain["platform"].unique(maintain_order=True).to_list():
        rows = plain.filter(pl.col("platform") == platform)
        rates = []
        for policy in rows["policy"].unique(maintain_order=True).to_list():
            own = rows.filter(policy=policy)["searches_per_1000"].to_list()
            low, high = _rate(min(own)), _rate(max(own))
            rates.append((policy, low if low == high else f"{low} to {high}"))
        text.append(f"*{platform}*: {by_value(rates, str)}.")
    always = [
        row
        for row in plain.iter_rows(named=True)
        if row["refill_failures"] > _ALWAYS * row["requests"]
    ]
    if always:
        text.append(
            f"More than {share_text(_ALWAYS)} of the requests try a refill that fails: "
            f"{cases_text(always)}."
        )
    failed = plain.filter(pl.col("failures") > 0).to_dicts()
    if failed:
        shares = [row["failures"] / row["requests"] for row in failed]
        text.append(
            f"Allocations fail for lack of room, up to {share_text(max(shares))} of them: "
            f"{cases_text(failed)}."
        )
    return " ".join(text)


def say_kept(churn: pl.DataFrame) -> str:
    """Word the caption of ``tab-edges-kept``: what long-lived mappings do to chunks."""
    mapped = churn.filter(pl.col("mappings") > 0)
    text = (
        "After the same churn everything is freed and purged, except the device mappings where "
        "there are some: the largest area that can be had then, and the share of allocations that "
        f"failed on the way. The {MAPPINGS} mappings hold {size_text(max(mapped['mapped']))}."
    )
    worst = mapped.filter(pl.col("held") > 0).sort("held", descending=True, maintain_order=True)
    if worst.height:
        row = worst.row(0, named=True)
        text += (
            f" They keep up to {size_text(row['held'])} of chunks ({row['policy']} on "
            f"{row['platform']}, {share_text(row['held'] / row['window'])} of the range)."
        )
    failed = mapped.filter(pl.col("failures") > 0).to_dicts()
    if failed:
        text += f" Allocations fail, with mappings: {cases_text(failed)}."
    plain = mapped.filter(policy=_BASELINE)
    if plain.height:
        text += " Mainline loses room to mappings too, for they stay where they were made; "
        text += "some allocations fail." if sum(plain["failures"]) else "no allocation fails."
    return text


def placed_table(churn: pl.DataFrame, chunk_size: int, events: int, seed: int) -> pl.DataFrame:
    """Repeat the cases in which allocations fail, with per-CPU memory at the top first.

    Parameters
    ----------
    churn : polars.DataFrame
        As from `churn_table`, with the chunk size, events and seed of that.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``cpus``, ``policy``, ``mappings``, ``requests``, ``failures`` (as before),
        ``placed_failures``.
    """
    names = ("platform", "cpus", "policy", "mappings", "requests", "failures")
    cases = churn.filter(pl.col("failures") > 0).select(names)
    points = [
        {name: row[name] for name in names[:4]}
        | {"chunk_size": chunk_size, "events": events, "seed": seed, "live": _LIVE, "placed": 1}
        for row in cases.iter_rows(named=True)
    ]
    results = sweep(edges.small, points, inputs=edges.inputs, title="small ranges")
    again = pl.Series("placed_failures", [told["failures"] for told in results], dtype=pl.Int64)
    return cases.with_columns(again)


def say_placed(placed: pl.DataFrame) -> str:
    """Word whether failures go away when something else lies in the range first.

    Cases are the platforms, CPUs and policies with failures, without or with mappings.
    """
    if not placed.height:
        return "No allocation fails in these streams."
    still = placed.filter(pl.col("placed_failures") > 0)
    start = (
        "An empty range is the worst case. With one chunk of per-CPU memory at its top before the "
        "first allocation, and all policies together,"
    )
    if not still.height:
        return f"{start} none of the {count_text(placed.height)} cases with failures has any left."
    cases = cases_text(still.unique(("platform", "cpus", "policy"), maintain_order=True).to_dicts())
    return (
        f"{start} {count_text(still.height)} of the {count_text(placed.height)} cases with "
        f"failures still have some: {cases}."
    )
