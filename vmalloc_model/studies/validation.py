"""Chapter *Validation*: what the model predicts of recorded kernels, and where it does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import polars as pl

from vmalloc_model.replay.result import Replay
from vmalloc_model.replay.run import replay
from vmalloc_model.runs import Run, find_run
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, share_text

__all__ = [
    "along_summary",
    "along_table",
    "causes_table",
    "kinds_table",
    "predictions_table",
    "replayed",
    "say_along",
    "say_kinds",
    "say_predictions",
    "shown_causes",
    "shown_kinds",
    "shown_predictions",
]

_BLOCK: Final = 1000


def replayed(name: str) -> tuple[Run, Replay]:
    """Replay a recorded run with the default rules, unless the file was replayed before."""
    run = find_run(name)
    state = run.path.stat()
    return run, _replayed(name, str(run.path), state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=16)
def _replayed(name: str, path: str, changed: int, size: int) -> Replay:
    """Replay; path, time and size are there to notice another file."""
    return replay(name)


# --- what was predicted ---------------------------------------------------------------------------


def predictions_table(runs: Sequence[str]) -> pl.DataFrame:
    """Addresses predicted from the requests, run by run (``tab-validation``).

    Returns
    -------
    polars.DataFrame
        ``run``, ``kernel``, ``cpus``, ``form``, ``events``, ``allocations``, ``right``, ``share``
        (of 1), ``exact`` (allocations before the first wrong prediction of any kind),
        ``resynchronised``, ``predictions`` and ``different`` (of all kinds), ``added`` (areas
        without an event).
    """
    rows = []
    for name in runs:
        run, result = replayed(name)
        addresses = result.tally("addresses")
        rows.append(
            {
                "run": run.id,
                "kernel": run.kernel or "not known",
                "cpus": run.cpus,
                "form": result.form,
                "events": result.events,
                "allocations": addresses.made,
                "right": addresses.right,
                "share": addresses.right / addresses.made,
                "exact": result.exact,
                "resynchronised": result.resynchronised,
                "predictions": sum(tally.made for tally in result.tallies.values()),
                "different": result.different,
                "added": len(result.added),
            }
        )
    return pl.DataFrame(rows)


def shown_predictions(table: pl.DataFrame) -> pl.DataFrame:
    """Word the cells of `predictions_table`."""
    counts = ("events", "allocations", "right", "exact", "resynchronised", "added")
    return (
        table.drop("predictions", "different")
        .with_columns(pl.col(name).map_elements(count_text, pl.String) for name in counts)
        .with_columns(
            share=pl.Series([share_text(share) for share in table["share"]]),
            exact=pl.when(table["different"] == 0).then(pl.lit("the end")).otherwise("exact"),
        )
    )


def say_predictions(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-validation``."""
    right = table.filter(pl.col("different") == 0)
    text = (
        f"In {len(right)} of {len(table)} recorded runs every prediction is right"
        + (
            f": {count_text(int(right['right'].sum()))} addresses of allocations"
            if len(right)
            else ""
        )
        + (
            f", {count_text(int(right['predictions'].sum()))} predictions of all kinds."
            if len(right)
            else "."
        )
    )
    for row in table.filter(pl.col("different") > 0).iter_rows(named=True):
        text += (
            f" In {row['run']} the first {count_text(row['exact'])} allocations are right, and "
            f"{share_text(row['share'])} of all when the model takes over the recorded address "
            f"after each of {count_text(row['resynchronised'])} differences."
        )
    return text


def kinds_table(runs: Sequence[str]) -> pl.DataFrame:
    """Each kind of prediction in operation logs: ``kind``, ``run``, ``made``, ``right``."""
    rows = [
        (kind, run.id, tally.made, tally.right)
        for run, result in map(replayed, runs)
        if result.form == "oplog"
        for kind, tally in result.tallies.items()
    ]
    schema = {"kind": pl.String, "run": pl.String, "made": pl.Int64, "right": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def shown_kinds(table: pl.DataFrame) -> pl.DataFrame:
    """Put `kinds_table` into one row for each kind, ``right of made`` where they differ."""
    cells = table.with_columns(
        cell=pl.struct("made", "right").map_elements(
            lambda one: (
                count_text(one["made"])
                if one["made"] == one["right"]
                else f"{count_text(one['right'])} of {count_text(one['made'])}"
            ),
            pl.String,
        )
    )
    return wide(cells, ["kind"], "run", "cell", str)


def say_kinds(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-validation-kinds``."""
    made, right = int(table["made"].sum()), int(table["right"].sum())
    if not made:
        return "None of the chosen runs is an operation log."
    how = "all of them right" if made == right else f"{count_text(right)} of them right"
    return (
        f"Predictions in operation logs: {count_text(made)}, {how}. A kind with 0 does not "
        "occur in that run."
    )


# --- where it is not exact ------------------------------------------------------------------------


def along_table(runs: Sequence[str]) -> pl.DataFrame:
    """Right addresses per 1,000 allocations (``fig-validation-exact``).

    Returns
    -------
    polars.DataFrame
        ``run``, ``first`` and ``last`` (allocations counted from 1), ``wrong``, ``percent`` right.
    """
    rows = []
    for name in runs:
        run, result = replayed(name)
        made = result.tally("addresses").made
        for first in range(0, made, _BLOCK):
            last = min(first + _BLOCK, made)
            wrong = result.wrong_by_thousand.get(first // _BLOCK, 0)
            percent = 100 * (1 - wrong / (last - first))
            rows.append((run.id, first + 1, last, wrong, percent))
    schema = {
        "run": pl.String,
        "first": pl.Int64,
        "last": pl.Int64,
        "wrong": pl.Int64,
        "percent": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def along_summary(table: pl.DataFrame) -> pl.DataFrame:
    """One row for each thousand of allocations, one column of percentages for each run."""
    return wide(table, ["first"], "run", "percent", lambda value: f"{value:.1f}")


def say_along(table: pl.DataFrame) -> str:
    """Word the caption of ``fig-validation-exact``."""
    wrong = table.group_by("run", maintain_order=True).agg(
        pl.col("wrong").sum(),
        pl.col("percent").min(),
        (pl.col("wrong") == 0).sum().alias("clean"),
        pl.len().alias("blocks"),
    )
    bad = wrong.filter(pl.col("wrong") > 0)
    if not len(bad):
        return "Every address is predicted in all of the chosen runs."
    texts = [
        f"{row['run']} has {count_text(row['wrong'])} wrong addresses: none in {row['clean']} of "
        f"{row['blocks']} blocks of {count_text(_BLOCK)} allocations, and down to "
        f"{row['percent']:.0f} % right in the worst"
        for row in bad.iter_rows(named=True)
    ]
    rest = len(wrong) - len(bad)
    return "; ".join(texts) + "." + (f" The other {rest} have none." if rest else "")


def causes_table(runs: Sequence[str]) -> pl.DataFrame:
    """Wrong predictions by likely cause: ``run``, ``cause``, ``count``, most frequent first."""
    rows = [
        (run.id, cause, count)
        for run, result in map(replayed, runs)
        for cause, count in sorted(result.causes.items(), key=lambda one: -one[1])
    ]
    schema = {"run": pl.String, "cause": pl.String, "count": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def shown_causes(table: pl.DataFrame) -> pl.DataFrame:
    """Word the counts of `causes_table`; one row that says so where nothing was wrong."""
    if not len(table):
        return pl.DataFrame({"run": ["all"], "cause": ["no difference"], "count": ["0"]})
    return table.with_columns(pl.col("count").map_elements(count_text, pl.String))
