"""Chapter *Alternatives*: which design a rule would take, and what would change that.

The rule: of the designs that hand out no address before its TLB flush, serve every request and
stay within a budget of address space, take the one that holds least among those whose visits, in
the worst stream, are within a margin of the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments.settled import DESIGNS
from vmalloc_model.units import count_text

__all__ = [
    "SPACES",
    "Choice",
    "Limit",
    "candidates",
    "choose",
    "limits",
    "objections",
    "regions_table",
    "without_each",
]

SPACES: Final = {"held": "later", "mark": "high_water"}
"""What counts as space: what is held after the horizon, or the high-water mark -> its column."""

_BUDGETS: Final = (1e-6, 1.0)
_MARGINS: Final = (0.1, 1000.0)

Choice = dict[str, Any]
"""A row of `candidates`."""


def candidates(table: pl.DataFrame, platform: str, space: str = "held") -> pl.DataFrame:
    """Sum up, over the streams that fit on a platform, what can be chosen there.

    Parameters
    ----------
    table : polars.DataFrame
        Of `vmalloc_model.studies.alternatives.points_table`.
    platform : str
        Id.
    space : str
        One of `SPACES`.

    Returns
    -------
    polars.DataFrame
        Designs that are usable on all these streams: ``design``, ``asked``, ``chunk_size``
        (bytes), ``early``, ``visits`` (most over the streams, per 1,000), ``space`` (bytes, most
        over the streams), ``share`` (of the range), ``leaks`` (whether its rules lose address
        space for good). Empty if no stream fits.
    """
    rows = table.filter((pl.col("platform") == platform) & pl.col("fits"))
    streams = rows["stream"].n_unique()
    space_of = pl.col(SPACES[space]).max()
    leaking = [name for name, design in DESIGNS.items() if design.leaks]
    return (
        rows.filter("usable")
        .group_by("design", "asked", maintain_order=True)
        .agg(
            pl.col("chunk_size").max(),
            pl.col("early").first(),
            pl.col("visits").max(),
            space=space_of,
            share=space_of / pl.col("range").first(),
            streams=pl.len(),
        )
        .filter(pl.col("streams") == streams)
        .with_columns(leaks=pl.col("design").is_in(leaking))
        .drop("streams")
    )


def choose(found: pl.DataFrame, budget: float, barely: float, early: bool = False) -> Choice | None:
    """Apply the rule.

    Parameters
    ----------
    found : polars.DataFrame
        Of `candidates`.
    budget : float
        Share of the range that may be held.
    barely : float
        Visits per 1,000 requests that are not worth paying for.
    early : bool
        Whether designs that may hand out an address before its flush may be chosen, too.

    Returns
    -------
    dict or None
        The row that is chosen: of those that hold as little, the one with the fewest visits; of
        equals, one that does not leak. None if nothing is within the budget.
    """
    open_to = found.filter((pl.col("share") <= budget) & (pl.lit(early) | ~pl.col("early")))
    if not open_to.height:
        return None
    best = min(open_to["visits"].to_list())
    near = open_to.filter(pl.col("visits") - best <= barely)
    return near.sort("space", "visits", "leaks", maintain_order=True).row(0, named=True)


def objections(of: pl.DataFrame, budget: float) -> dict[str, str]:
    """Say why the rule leaves out one design at one chunk size: word -> words.

    Parameters
    ----------
    of : polars.DataFrame
        Its rows of `vmalloc_model.studies.alternatives.points_table`, one for each stream that
        fits; at least one.
    budget : float
        As for `choose`.

    Returns
    -------
    dict of str to str
        Of ``fails``, ``flush``, ``budget`` and ``short`` those that apply; empty if none does.
    """
    reasons = {}
    failures = sum(of["failures"].to_list())
    if failures:
        reasons["fails"] = f"fails {count_text(failures)} requests"
    if of["early"][0]:
        reasons["flush"] = "maybe before the flush"
    if max(of["later"].to_list()) / max(of["range"].to_list()) > budget:
        reasons["budget"] = "above the budget"
    if not all(of["filled"]):
        reasons["short"] = "a stream is too short"
    return reasons


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a choice ends, in one direction.

    Attributes
    ----------
    parameter : {"budget", "barely"}
    upwards : bool
    at : float
        The first value with another choice, going up; the last with the same, going down.
    then : dict or None
        What is chosen beyond.
    """

    parameter: str
    upwards: bool
    at: float
    then: Choice | None


def limits(found: pl.DataFrame, budget: float, barely: float) -> list[Limit]:
    """Find how far budget and margin can move, each alone, before the choice changes.

    The choice is a step function of both, and the steps are at shares and at differences of visits
    of the candidates: so the limits are exact.
    """
    chosen = choose(found, budget, barely)
    if chosen is None:
        return []
    ends = []
    safe = found.filter(~pl.col("early"))
    shares = sorted(set(safe["share"].to_list()))
    for at in reversed([share for share in shares if share <= budget]):
        below = [share for share in shares if share < at]
        then = choose(found, below[-1], barely) if below else None
        if then != chosen and at > 0:
            ends.append(Limit("budget", False, at, then))
            break
    for at in (share for share in shares if share > budget):
        if (then := choose(found, at, barely)) != chosen:
            ends.append(Limit("budget", True, at, then))
            break
    within = safe.filter(pl.col("share") <= budget)
    best = min(within["visits"].to_list())
    if chosen["visits"] > best:
        at = chosen["visits"] - best
        less = max(v for v in within["visits"].to_list() if v < chosen["visits"]) - best
        ends.append(Limit("barely", False, at, choose(found, budget, less)))
    cheaper = within.filter(pl.col("space") < chosen["space"])
    if cheaper.height:
        at = min(cheaper["visits"].to_list()) - best
        ends.append(Limit("barely", True, at, choose(found, budget, at)))
    return ends


def without_each(
    table: pl.DataFrame, platform: str, budget: float, barely: float
) -> list[tuple[str, Choice | None]]:
    """Choose again without each stream, one at a time; nothing where only one stream fits."""
    rows = table.filter((pl.col("platform") == platform) & pl.col("fits"))
    streams = rows["stream"].unique(maintain_order=True).to_list()
    if len(streams) < 2:
        return []
    return [
        (
            stream,
            choose(candidates(rows.filter(pl.col("stream") != stream), platform), budget, barely),
        )
        for stream in streams
    ]


def regions_table(
    table: pl.DataFrame,
    platforms: Sequence[str],
    budget: float,
    barely: float,
) -> pl.DataFrame:
    """Divide the plane of budget and margin into rectangles with one choice each.

    The part of the plane that is divided contains the given point.

    Parameters
    ----------
    table : polars.DataFrame
        Of `vmalloc_model.studies.alternatives.points_table`.
    platforms : sequence of str
        Ids.
    budget, barely : float
        As for `choose`.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``design``, ``asked``, ``budget_low``, ``budget_high``, ``margin_low``,
        ``margin_high``; the rectangles of a platform cover the part and do not overlap. A platform
        on which no stream fits has none.
    """
    budgets = (min(_BUDGETS[0], budget / 10), _BUDGETS[1])
    margins = (min(_MARGINS[0], barely / 10), max(_MARGINS[1], 10 * barely))
    rows: list[tuple[Any, ...]] = []
    for platform in platforms:
        found = candidates(table, platform)
        inner = set(found.filter(~pl.col("early"))["share"].to_list())
        edges = [budgets[0], *sorted(s for s in inner if budgets[0] < s < budgets[1]), budgets[1]]
        open_rows: dict[tuple[Any, ...], float] = {}
        for low, high in pairwise(edges):
            steps = _steps(found, low, margins)
            for key in [key for key in open_rows if key not in steps]:
                rows.append((platform, *key[:2], open_rows.pop(key), low, *key[2:]))
            for key in steps:
                open_rows.setdefault(key, low)
            if high == edges[-1]:
                rows += [(platform, *k[:2], start, high, *k[2:]) for k, start in open_rows.items()]
    names = ("platform", "design", "asked", "budget_low", "budget_high", "margin_low")
    kinds = [pl.String, pl.String, pl.Int64, *4 * [pl.Float64]]
    schema = dict(zip((*names, "margin_high"), kinds, strict=True))
    return pl.DataFrame(rows, schema=schema, orient="row")


def _steps(
    found: pl.DataFrame, budget: float, margins: tuple[float, float]
) -> list[tuple[str, int, float, float]]:
    """Choices at a budget as the margin grows: design, chunk size, from, to."""
    steps, at = [], margins[0]
    while (chosen := choose(found, budget, at)) is not None:
        ends = [
            limit.at
            for limit in limits(found, budget, at)
            if limit.parameter == "barely" and limit.upwards
        ]
        end = min([*ends, margins[1]])
        steps.append((chosen["design"], chosen["asked"], at, end))
        if end >= margins[1]:
            break
        at = end
    return steps
