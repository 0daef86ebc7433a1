"""Chapter *Contention*: the sentences of its figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from vmalloc_model.contention.demand import Costs
from vmalloc_model.studies.contention_cases import BASELINE, NO_POOLS
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "costs_summary",
    "curves_summary",
    "say_chunks",
    "say_curves",
    "say_limits",
    "say_matters",
    "say_other_costs",
    "say_streams",
    "shown_limits",
    "shown_matters",
]


def say_streams(workloads: Sequence[str], platform: str, machines: Sequence[int]) -> str:
    """Word what was simulated to count visits."""
    names = "; ".join(f"*{name}*, {WORKLOADS[name].title}" for name in workloads)
    sizes = ", ".join(count_text(size) for size in sorted(machines))
    return f"Workloads: {names}. Simulated on {platform} with {sizes} CPUs."


def say_curves(curves: pl.DataFrame, costs: Costs) -> str:
    """Word the caption of ``fig-contention``: how long a pair takes with the most CPUs."""
    most = max(curves["cpus"].to_list())
    text = [
        f"Time of an allocation and its free, from {count_text(costs.pair)} ns on one CPU, when "
        "all CPUs do nothing else and wait for the global lock alone."
    ]
    for workload, rows in _by(curves.filter(cpus=most), "workload"):
        words = [f"{row['design']} {_time(row['pair_ns'])}" for row in rows.iter_rows(named=True)]
        text.append(f"*{workload}* with {cpus_text(most)}: {', '.join(words)}.")
    return " ".join(text)


def curves_summary(curves: pl.DataFrame) -> pl.DataFrame:
    """Pair times, one row for each workload and count of CPUs."""
    return wide(curves, ["workload", "cpus"], "design", "pair_ns", _time)


def shown_limits(limits: pl.DataFrame, most: int) -> pl.DataFrame:
    """Print the limits of `vmalloc_model.studies.contention.limits_table`."""
    rows = [
        (
            row["workload"],
            row["design"],
            _per_1000(row["visits"]),
            _per_1000(row["areas"]),
            _rate(row["global_limit"]),
            _from(row["knee"], most),
            _rate(row["node_limit"]),
        )
        for row in limits.iter_rows(named=True)
    ]
    names = ["workload", "design", "visits", "areas", "global", "knee", "node"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_limits(limits: pl.DataFrame, machines: Sequence[int], most: int) -> str:
    """Word the caption of ``tab-contention-limits``: who saturates where, which lock is next."""
    text = [
        f"Counted on {cpus_text(max(machines))} ({NO_POOLS}: {cpus_text(min(machines))}): visits "
        "and areas moved under the global lock for 1,000 pairs, how many million pairs a second "
        "that lock allows at most (*global limit*), and the CPUs at which it has no time left "
        "(*knee*)."
    ]
    knees = [
        f"{design} {_range(rows['knee'].to_list(), most)}" for design, rows in _by(limits, "design")
    ]
    text.append(f"These are, from workload to workload: {', '.join(knees)}.")
    tighter = [
        f"{row['design']} on *{row['workload']}*"
        for row in limits.iter_rows(named=True)
        if row["node_limit"] < row["global_limit"] and row["design"] != NO_POOLS
    ]
    single = limits.filter(design=NO_POOLS)
    also = single.filter(pl.col("node_limit") < pl.col("global_limit")).height
    text.append(
        "Where a visit to a node's lock costs as much, the busiest of these (*node limit*) limits "
        "sooner than the "
        f"global one in {len(tighter)} of "
        f"{limits.height - single.height} cases"
        + (f": {', '.join(tighter)}" if tighter else "")
        + f". {NO_POOLS}, which has one node, is not among these; there it does in {also} of "
        f"{single.height}."
    )
    return " ".join(text)


def say_node_locks(limits: pl.DataFrame) -> str:
    """Say where locks of nodes undo what an overlay gains at the global lock.

    Both limits of a design are taken together: the tighter one counts.
    """
    rows = limits.filter(pl.col("design") != NO_POOLS).with_columns(
        tighter=pl.min_horizontal("global_limit", "node_limit")
    )
    plain = {row["workload"]: row for row in rows.filter(design=BASELINE).iter_rows(named=True)}
    others = rows.filter(pl.col("design") != BASELINE).to_dicts()
    undone = [
        f"{row['design']} on *{row['workload']}* ({_rate(row['tighter'])} against "
        f"{_rate(plain[row['workload']]['tighter'])} million pairs a second)"
        for row in others
        if row["global_limit"] > plain[row["workload"]]["global_limit"]
        and row["tighter"] < plain[row["workload"]]["tighter"]
    ]
    start = "If a visit to a node's lock costs as much as one to the global lock, an overlay that "
    start += "gains at the global lock is limited sooner than mainline all the same"
    if not undone:
        return f"{start} in none of {len(others)} cases."
    return f"{start} in {len(undone)} of {len(others)} cases: {', '.join(undone)}."


def shown_matters(matters: pl.DataFrame, most: int) -> pl.DataFrame:
    """Print `vmalloc_model.studies.contention.matters_table`."""
    rows = [
        (
            row["workload"],
            row["policy"],
            size_text(row["chunk_size"]),
            _per_1000(row["visits"]),
            _from(row["cpus"], most),
            _from(row["knee"], most),
        )
        for row in matters.iter_rows(named=True)
    ]
    names = ["workload", "policy", "chunk", "visits", "cpus", "knee"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_matters(matters: pl.DataFrame, slowdown: float, most: int) -> str:
    """Word from how many CPUs on pools alone are slower, for each workload."""
    text = [
        f"Least number of CPUs with which a pair under {BASELINE} takes {share_text(slowdown)} "
        "longer than under the overlay."
    ]
    for workload, rows in _by(matters, "workload"):
        words = []
        for policy, found in _by(rows, "policy"):
            words.append(f"{policy} {_range(found['cpus'].to_list(), most)}")
        text.append(f"*{workload}*: {', '.join(words)}.")
    return " ".join(text) + " " + say_chunks(matters, most)


def say_chunks(matters: pl.DataFrame, most: int) -> str:
    """Word what the chunk size moves: where the overlay begins to matter, and where it ends."""
    sizes = sorted(set(matters["chunk_size"].to_list()))
    if len(sizes) < 2:
        return f"Only chunks of {size_text(sizes[0])} were tried." if sizes else ""
    groups = list(matters.group_by("workload", "policy", maintain_order=True))
    moved = sum(rows["cpus"].n_unique() > 1 for _, rows in groups)
    text = [
        f"From {size_text(sizes[0])} to {size_text(sizes[-1])} the chunk size moves this number in "
        f"{moved} of {len(groups)} cases."
    ]
    for policy, rows in _by(matters, "policy"):
        words = []
        for workload, found in _by(rows.sort("chunk_size", maintain_order=True), "workload"):
            ends = found["knee"].to_list()
            words.append(f"{_range(ends, most)} on *{workload}*")
        text.append(f"With these sizes {policy} itself saturates at {', '.join(words)}.")
    return " ".join(text)


def say_other_costs(other: pl.DataFrame, slowdown: float, most: int) -> str:
    """Word the caption of ``fig-contention-costs``: what time outside the lock does."""
    pairs = sorted(set(other["pair_ns"].to_list()))
    locks = sorted(set(other["lock_factor"].to_list()))
    policy = other["policy"].to_list()[-1]
    text = [
        f"CPUs from which on {BASELINE} is {share_text(slowdown)} slower than {policy}, when a "
        f"CPU alone comes back for another pair every {_time(pairs[0])} to {_time(pairs[-1])}, and "
        f"the lock costs {', '.join(f'{lock:g}' for lock in locks)} times as much. Points above "
        f"{count_text(most)} CPUs are not drawn."
    ]
    middle = other.filter(pl.col("lock_factor") == 1.0)
    for workload, rows in _by(middle.sort("pair_ns", maintain_order=True), "workload"):
        ends = rows["cpus"].to_list()
        text.append(
            f"*{workload}*: {_from(ends[0], most)} CPUs at {_time(pairs[0])}, "
            f"{_from(ends[-1], most)} at {_time(pairs[-1])}."
        )
    return " ".join(text)


def costs_summary(other: pl.DataFrame, most: int) -> pl.DataFrame:
    """CPUs for each workload and lock cost, against the time from pair to pair."""
    shown = other.with_columns(
        shown=pl.Series([_from(cpus, most) for cpus in other["cpus"].to_list()], dtype=pl.String),
        pair=pl.Series([_time(value) for value in other["pair_ns"].to_list()], dtype=pl.String),
    )
    return wide(shown, ["workload", "lock_factor"], "pair", "shown", str)


def _by(table: pl.DataFrame, column: str) -> list[tuple[str, pl.DataFrame]]:
    names = table[column].unique(maintain_order=True).to_list()
    return [(name, table.filter(pl.col(column) == name)) for name in names]


def _range(values: Sequence[int | None], most: int) -> str:
    numbers = sorted(most + 1 if value is None else value for value in values)
    low, high = (_from(n if n <= most else None, most) for n in (numbers[0], numbers[-1]))
    return low if low == high else f"{low} to {high}"


def _from(cpus: int | None, most: int) -> str:
    return f"over {count_text(most)}" if cpus is None else count_text(cpus)


def _per_1000(value: float) -> str:
    return f"{1000 * value:.3g}" if 1000 * value < 999.5 else count_text(1000 * value)


def _rate(per_s: float) -> str:
    millions = per_s / 1e6
    return f"{millions:.3g}" if millions < 999.5 else count_text(millions)


def _time(ns: float) -> str:
    for unit, name in ((1e6, "ms"), (1e3, "us")):
        if ns >= 0.9995 * unit:
            value = ns / unit
            return (f"{value:.3g}" if value < 999.5 else count_text(value)) + f" {name}"
    return f"{ns:.3g} ns"
