"""Chapter *What is left to win*: the sentences of its figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from vmalloc_model.experiments.lock_visits import CAUSES, LOCKS
from vmalloc_model.runs import find_run
from vmalloc_model.studies.left_to_win import GROWS, SWEPT, VARIANTS
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "LITTLE",
    "MUCH",
    "causes_summary",
    "causes_text",
    "locks_table",
    "range_text",
    "rate_text",
    "say_causes",
    "say_layers",
    "say_left",
    "say_locks",
    "say_order",
    "say_streams",
    "say_visits",
    "streams_table",
    "variants_table",
    "visits_summary",
]

MUCH: Final = 100
"""Visits per 1,000 allocations from which there is much to win."""

LITTLE: Final = 10
"""Visits per 1,000 allocations below which there is little."""


def rate_text(value: float) -> str:
    """Print visits per 1,000 allocations.

    Examples
    --------
    >>> rate_text(1841.02), rate_text(20.36), rate_text(0.4801), rate_text(0)
    ('1,841', '20.4', '0.48', '0')
    """
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def _listed(streams: Sequence[str]) -> str:
    return ", ".join(f"*{stream}*" for stream in streams) or "none"


def _of(table: pl.DataFrame, variant: str, half: int = 2) -> pl.DataFrame:
    return table.filter((pl.col("variant") == variant) & (pl.col("half") == half))


def range_text(rows: pl.DataFrame, column: str, text: Callable[[float], str] = rate_text) -> str:
    """Word the least and the most of a column, with their streams."""
    low = rows.sort(column, maintain_order=True).row(0, named=True)
    high = rows.sort(column, descending=True, maintain_order=True).row(0, named=True)
    if text(low[column]) == text(high[column]):
        return text(low[column])
    return f"{text(low[column])} (*{low['stream']}*) to {text(high[column])} (*{high['stream']}*)"


# --- what is compared ----------------------------------------------------------------------------


def variants_table() -> pl.DataFrame:
    """List the variants.

    Returns
    -------
    polars.DataFrame
        ``variant``, ``title``, ``policy`` (of the model, with the number of vmap nodes if that is
        not the kernel's).
    """
    rows = [
        (name, one.title, one.policy if one.pools else f"{one.policy}, 1 node")
        for name, one in VARIANTS.items()
    ]
    return pl.DataFrame(rows, schema=["variant", "title", "policy"], orient="row")


def streams_table(table: pl.DataFrame, runs: Sequence[str], cpus: int) -> pl.DataFrame:
    """List the streams of `vmalloc_model.studies.left_to_win.visits_table`.

    Parameters
    ----------
    table : polars.DataFrame
        That table.
    runs : sequence of str
        The recorded runs in it, as for `vmalloc_model.runs.find_run`.
    cpus : int
        Of the workloads.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``what``, ``cpus``, ``requests`` of the second half, ``grows`` ("yes", "-").
    """
    recorded = {run.id: run.cpus for run in map(find_run, runs)}
    rows = []
    for row in _of(table, "pools only").iter_rows(named=True):
        name = row["stream"]
        made = name in WORKLOADS
        rows.append(
            (
                name,
                WORKLOADS[name].title if made else "recorded, MODEL on MEASURED requests",
                cpus if made else recorded[name],
                count_text(row["requests"]),
                "yes" if row["grows"] else "-",
            )
        )
    return pl.DataFrame(rows, schema=["stream", "what", "cpus", "requests", "grows"], orient="row")


def say_streams(table: pl.DataFrame, platform: str, cpus: int, events: int) -> str:
    """Word the caption of ``tab-left-streams``: the machine, and where live sets still grow."""
    growing = _of(table, "pools only").filter("grows")["stream"].to_list()
    text = (
        f"The streams. Workloads have {count_text(events)} events or a few more, on {platform} "
        f"with {cpus_text(cpus)}; recorded requests keep their machine. "
    )
    if not growing:
        return text + "No live set grows in the second half."
    return (
        f"{text}The live set still grows in the second half, by more than {GROWS:g} areas per "
        f"allocation, on {_listed(growing)}: a set-up still, wholly or in part."
    )


# --- visits --------------------------------------------------------------------------------------


def say_visits(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-left-visits``: where pools leave much, where little."""
    pools = _of(table, "pools only")
    much = pools.filter(pl.col("visits") >= MUCH)["stream"].to_list()
    little = pools.filter(pl.col("visits") < LITTLE)["stream"].to_list()
    ranges = [
        f"{name}, {range_text(_of(table, name), 'visits')}"
        for name in ("no pools", "overlay only", *SWEPT)
    ]
    return (
        "Visits to the global lock per 1,000 allocations in the second half of each stream, "
        f"chunks of {size_text(chunk_size)}. Pools alone leave {MUCH} or more on {_listed(much)}; "
        f"less than {LITTLE} on {_listed(little)}. From stream to stream: {'; '.join(ranges)}."
        f"{_failed(table, 'failures', 'Allocations that failed for lack of room')}"
    )


def _failed(table: pl.DataFrame, column: str, what: str) -> str:
    """Tell what failed, per 1,000 allocations, if anything did: its visits are counted as well."""
    rows = table.filter((pl.col("half") == 2) & (pl.col(column) > 0))
    if not rows.height:
        return ""
    row = rows.sort(column, descending=True, maintain_order=True).row(0, named=True)
    return (
        f" {what}: up to {rate_text(row[column])} per 1,000 (*{row['stream']}*, {row['variant']})."
    )


def say_worse(table: pl.DataFrame) -> str:
    """Say where a version of the overlay makes more visits than pools alone."""
    pools = dict(_of(table, "pools only").select("stream", "visits").rows())
    worse = [
        f"{name} on *{stream}* ({rate_text(visits)} against {rate_text(pools[stream])})"
        for name in ("10/12", "11/12", "12/12")
        for stream, visits in _of(table, name).select("stream", "visits").rows()
        if visits > pools[stream]
    ]
    start = "More visits than with pools alone"
    return f"{start}: {', '.join(worse)}." if worse else f"{start} has no version on any stream."


def say_left(table: pl.DataFrame) -> str:
    """Word the verdict: what the overlay of 12/12 saves where pools leave much, and where not."""
    pools = _of(table, "pools only").select("stream", before="visits")
    both = pools.join(_of(table, "12/12").select("stream", "visits"), on="stream", how="left")
    both = both.with_columns(saved=pl.col("before") - pl.col("visits"))
    much = both.filter(pl.col("before") >= MUCH)
    little = both.filter(pl.col("before") < LITTLE)
    text = "Against mainline's pools, "
    if much.height:
        text += (
            f"12/12 {_saved(much)} visits to the global lock per 1,000 allocations on the "
            f"{much.height} of {both.height} streams where pools alone leave {MUCH} or more"
        )
    else:
        text += f"no stream has {MUCH} or more visits per 1,000 allocations left"
    if little.height:
        text += f"; on the {little.height} where they leave less than {LITTLE}, it {_saved(little)}"
    return text + "."


def _saved(rows: pl.DataFrame) -> str:
    """Word what is saved, or what is saved at best and added at worst."""
    if min(rows["saved"].to_list()) >= 0:
        return f"saves {range_text(rows, 'saved')}"
    ends = rows.sort("saved", maintain_order=True).select("saved", "stream").rows()
    (least, worst), (most, best) = ends[0], ends[-1]
    return (
        f"saves at most {rate_text(max(most, 0))} (*{best}*) and adds up to {rate_text(-least)} "
        f"(*{worst}*)"
    )


def say_order(table: pl.DataFrame) -> str:
    """Compare 10/12 with its other order, and that with 12/12: what order alone changes."""
    return (
        f"From *10/12* to *chunk first* there are {_compared(table, '10/12', 'chunk first')}. "
        f"From *chunk first* to *12/12* there are {_compared(table, 'chunk first', '12/12')}."
    )


def say_layers(table: pl.DataFrame) -> str:
    """Compare the overlay alone with the overlay behind pools."""
    return f"From *overlay only* to *10/12* there are {_compared(table, 'overlay only', '10/12')}."


def _compared(table: pl.DataFrame, before: str, after: str) -> str:
    both = _of(table, before).select("stream", before="visits")
    both = both.join(_of(table, after).select("stream", "visits"), on="stream", how="left")
    both = both.with_columns(more=pl.col("visits") - pl.col("before"))
    fewer, more = (
        both.filter(pl.col("more") < 0).sort("more", maintain_order=True),
        both.filter(pl.col("more") > 0).sort("more", descending=True, maintain_order=True),
    )
    words = []
    for rows, name in ((fewer, "fewer"), (more, "more")):
        text = f"{name} visits on {rows.height} of {both.height} streams"
        if rows.height:
            row = rows.row(0, named=True)
            text += (
                f" (most on *{row['stream']}*, {rate_text(row['before'])} to "
                f"{rate_text(row['visits'])})"
            )
        words.append(text)
    return ", ".join(words)


def visits_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Visits of the second half, one row for each stream, a column for each variant."""
    second = table.filter(pl.col("half") == 2)
    return wide(second, ["stream"], "variant", "visits", rate_text)


# --- causes and locks ----------------------------------------------------------------------------


def causes_text() -> str:
    """List the causes of visits with their meanings."""
    return "; ".join(f"*{name}*, {meaning}" for name, meaning in CAUSES.items())


def say_causes(table: pl.DataFrame) -> str:
    """Word the caption of ``fig-left-causes``: what most visits are for, by variant."""
    parts = ["What sends allocators to the global lock, as shares of all visits."]
    for name in SWEPT:
        rows = _of(table, name).filter(pl.col("visits") > 0)
        if not rows.height:
            parts.append(f"{name} has no visit.")
            continue
        top: dict[str, int] = {}
        for row in rows.iter_rows(named=True):
            cause = max(CAUSES, key=lambda one: row[one])  # the first of equals
            top[cause] = top.get(cause, 0) + 1
        words = [
            f"*{cause}* on {top[cause]}" for cause in sorted(top, key=lambda one: (-top[one], one))
        ]
        shares = rows.with_columns(share=pl.col("refill") / pl.col("visits"))
        parts.append(
            f"{name}: the largest part is {', '.join(words)} of {rows.height} streams; refills are "
            f"{range_text(shares, 'share', share_text)}."
        )
    failed = _failed(table, "refill_failures", "Refills that found no room for a chunk")
    return " ".join(parts) + failed


def causes_summary(table: pl.DataFrame, variants: Sequence[str]) -> pl.DataFrame:
    """Visits of the second half by cause, one row for each stream and variant."""
    rows = [
        (row["stream"], row["variant"], *(rate_text(row[name]) for name in ("visits", *CAUSES)))
        for row in table.filter(pl.col("half") == 2).iter_rows(named=True)
        if row["variant"] in variants
    ]
    return pl.DataFrame(rows, schema=["stream", "variant", "visits", *CAUSES], orient="row")


def locks_table(table: pl.DataFrame) -> pl.DataFrame:
    """Visits to each kind of lock (``tab-left-locks``), from stream to stream.

    Returns
    -------
    polars.DataFrame
        One row for each variant: ``variant``, and for each of
        `vmalloc_model.experiments.lock_visits.LOCKS` the least and the most visits per 1,000
        allocations of the second half, as text.
    """
    rows = []
    for name in VARIANTS:
        second = _of(table, name)
        cells = []
        for lock in LOCKS:
            values = second["visits" if lock == "global" else f"lock_{lock}"].to_list()
            low, high = rate_text(min(values)), rate_text(max(values))
            cells.append(low if low == high else f"{low} to {high}")
        rows.append((name, *cells))
    return pl.DataFrame(rows, schema=["variant", *LOCKS], orient="row")


def say_locks() -> str:
    """Word the caption of ``tab-left-locks``: what each lock is."""
    return (
        "Visits to every kind of lock per 1,000 allocations, second half, least and most of the "
        f"streams: {'; '.join(f'*{name}*, {what}' for name, what in LOCKS.items())}. Of *global* "
        "and *list* there is one each, of *chunk* one for each CPU, of the others one for each "
        "node (of pools one for each node and size), and where there is one node, one for all CPUs."
    )
