"""Chapter *Alternatives*: the recommendation, and the sentences that would change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from vmalloc_model.experiments.settled import DESIGNS
from vmalloc_model.studies.alternatives import BASELINE
from vmalloc_model.studies.alternatives_choice import (
    Choice,
    Limit,
    candidates,
    choose,
    limits,
    objections,
    without_each,
)
from vmalloc_model.studies.alternatives_words import AUTHOR, rate_text
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "advice_table",
    "change_table",
    "regions_summary",
    "say_advice",
    "say_change",
    "say_changes",
    "say_recommendation",
    "say_regions",
    "say_rule",
    "say_size",
]


def _named(choice: Choice | None) -> str:
    if choice is None:
        return "nothing"
    if not choice["asked"]:
        return str(choice["design"])
    return f"{choice['design']} with chunks of {size_text(choice['asked'])}"


def say_rule(budget: float, barely: float, horizon: int) -> str:
    """Say the rule with its parameters."""
    return (
        "Leave out what may hand out an address before its flush, what fails a request that "
        "mainline serves, and what a stream is too short to judge. Leave out what holds more than "
        f"{share_text(budget)} of the range after {count_text(horizon)} allocations. Of the rest, "
        f"take those whose visits are within {rate_text(barely)} per 1,000 of the fewest, and of "
        "these the one that holds least. Visits and space are those of the worst stream."
    )


def say_recommendation(table: pl.DataFrame, platform: str, budget: float, barely: float) -> str:
    """Name what the rule takes on a platform, and what mainline and the patches come to there."""
    found = candidates(table, platform)
    chosen = choose(found, budget, barely)
    if chosen is None:
        return f"On {platform} no stream fits, so nothing is recommended."
    text = f"On {platform} the rule takes {_named(chosen)}: at worst {_worst(chosen)}."
    if not DESIGNS[chosen["design"]].rules.overlay:
        return text + " No overlay, that is."
    plain = found.filter(pl.col("design") == BASELINE).to_dicts()
    return text + (f" Mainline: at worst {_worst(plain[0])}." if plain else "")


def _worst(choice: Choice) -> str:
    return (
        f"{rate_text(choice['visits'])} visits per 1,000 and {size_text(choice['space'])} held, "
        f"{share_text(choice['share'])} of the range"
    )


def say_size(
    table: pl.DataFrame, platforms: Sequence[str], budget: float, barely: float, chunk_size: int
) -> str:
    """Say on how many platforms the rule takes one chunk size, another, or no overlay."""
    groups: dict[str, list[str]] = {}
    for platform in platforms:
        chosen = choose(candidates(table, platform), budget, barely)
        if chosen is None:
            kind = "nothing"
        elif not DESIGNS[chosen["design"]].rules.overlay:
            kind = "no overlay"
        elif chosen["asked"] == chunk_size:
            kind = f"chunks of {size_text(chunk_size)}"
        else:
            kind = "another chunk size"
        groups.setdefault(kind, []).append(platform)
    words = [f"{kind} on {', '.join(names)}" for kind, names in groups.items()]
    return f"The rule takes {'; '.join(words)}."


def say_change(table: pl.DataFrame, platform: str, budget: float, barely: float) -> str:
    """Say what would change the choice on a platform: each limit, each stream, each premise."""
    rows = _changes(table, platform, budget, barely)
    if not rows:
        return f"On {platform} no budget, no margin and no single stream changes that."
    words = [f"{what} ({then})" for what, then in rows]
    return f"On {platform} something else would be taken with {'; with '.join(words)}."


def _changes(
    table: pl.DataFrame, platform: str, budget: float, barely: float
) -> list[tuple[str, str]]:
    found = candidates(table, platform)
    chosen = choose(found, budget, barely)
    if chosen is None:
        return []
    same = _named(chosen)
    rows = [(_limit(limit), _named(limit.then)) for limit in limits(found, budget, barely)]
    rows += [
        (f"*{stream}* left out", _named(then))
        for stream, then in without_each(table, platform, budget, barely)
        if _named(then) != same
    ]
    unsafe = choose(found, budget, barely, early=True)
    # the mark contains what is in use: no budget of held space applies to it
    by_mark = choose(candidates(table, platform, "mark"), float("inf"), barely)
    rows += [
        (what, _named(then))
        for what, then in (
            ("designs admitted that may hand out an address before its flush", unsafe),
            ("the high-water mark in place of what is held", by_mark),
        )
        if _named(then) != same
    ]
    return rows


def _limit(limit: Limit) -> str:
    if limit.parameter == "budget":
        where = "from" if limit.upwards else "below"
        return f"a budget {where} {share_text(limit.at)}"
    where = "from" if limit.upwards else "below"
    return f"a margin {where} {rate_text(limit.at)} visits"


def advice_table(
    table: pl.DataFrame, platforms: Sequence[str], budget: float, barely: float, chunk_size: int
) -> pl.DataFrame:
    """Put mainline, the patches and the choice of each platform side by side.

    Returns
    -------
    polars.DataFrame
        ``platform``, ``what``, ``design``, ``visits``, ``held`` (after the horizon), ``share``,
        ``high_water`` and ``page_tables`` (all of the worst stream), ``verdict`` of the rule.
    """
    rows = []
    for platform in platforms:
        chosen = choose(candidates(table, platform), budget, barely)
        wanted = [("baseline", BASELINE, 0), ("patches", AUTHOR, chunk_size)]
        if chosen is not None and chosen["design"] != BASELINE:
            wanted.append(("choice", chosen["design"], chosen["asked"]))
        for what, design, asked in wanted:
            of = table.filter("fits", platform=platform, design=design, asked=asked)
            if of.height:
                rows.append((platform, what, *_row(of, budget, chosen)))
    names = ["platform", "what", "design", "visits", "held", "share"]
    names += ["high_water", "page_tables", "verdict"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def _row(of: pl.DataFrame, budget: float, chosen: Choice | None) -> tuple[str, ...]:
    first = of.row(0, named=True)
    most: dict[str, Any] = of.select(pl.exclude("platform", "stream", "design").max()).row(
        0, named=True
    )
    size = f" {size_text(first['asked'])}" if first["asked"] else ""
    share = most["later"] / most["range"]
    return (
        f"{first['design']}{size}",
        rate_text(most["visits"]),
        size_text(most["later"]),
        share_text(share),
        size_text(most["high_water"]),
        size_text(most["page_tables"]),
        _verdict(of, budget, chosen),
    )


def _verdict(of: pl.DataFrame, budget: float, chosen: Choice | None) -> str:
    first = of.row(0, named=True)
    if chosen and (first["design"], first["asked"]) == (chosen["design"], chosen["asked"]):
        return "taken"
    reasons = objections(of, budget)
    if reasons:
        return "left out: " + ", ".join(reasons.values())
    best = chosen["visits"] if chosen else 0.0
    return "more visits" if max(of["visits"].to_list()) > best else "holds as much or more"


def say_advice(table: pl.DataFrame, platforms: Sequence[str], budget: float, barely: float) -> str:
    """Word the caption of ``tab-alternatives-advice``: what is taken where."""
    taken: dict[str, list[str]] = {}
    for platform in platforms:
        name = _named(choose(candidates(table, platform), budget, barely))
        taken.setdefault(name, []).append(platform)
    words = [f"{name} on {', '.join(where)}" for name, where in taken.items()]
    return (
        f"The rule takes {'; '.join(words)}. Figures are of the worst stream of each column; page "
        "tables are those of the lowest level, which vmalloc never frees."
    )


def say_changes(table: pl.DataFrame, platforms: Sequence[str], budget: float, barely: float) -> str:
    """Word the caption of ``tab-alternatives-change``: how firm the choices are."""
    words = []
    for platform in platforms:
        count = len(_changes(table, platform, budget, barely))
        words.append(f"{count} on {platform}" if count else f"none on {platform}")
    return (
        "What changes the choice, each change alone: the budget and the margin at the exact value "
        "where they do, and each stream, the safety and the measure of space. Changes that count: "
        f"{', '.join(words)}."
    )


def change_table(
    table: pl.DataFrame, platforms: Sequence[str], budget: float, barely: float
) -> pl.DataFrame:
    """List, for each platform, what would change the choice (``tab-alternatives-change``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``chosen``, ``change``, ``then``; a platform without any has one row of
        dashes.
    """
    rows = []
    for platform in platforms:
        name = _named(choose(candidates(table, platform), budget, barely))
        changes = _changes(table, platform, budget, barely) or [("-", "-")]
        rows += [(platform, name, *change) for change in changes]
    names = ["platform", "chosen", "change", "then"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def say_regions(regions: pl.DataFrame, budget: float, barely: float) -> str:
    """Word the caption of ``fig-alternatives-choice``: how many choices each platform has."""
    text = [
        "What the rule takes for every budget and every margin; the cross is at "
        f"{share_text(budget)} and {rate_text(barely)}."
    ]
    for platform in regions["platform"].unique(maintain_order=True).to_list():
        rows = regions.filter(pl.col("platform") == platform)
        count = rows.select("design", "asked").n_unique()
        without = [not DESIGNS[name].rules.overlay for name in rows["design"]]
        if all(without):
            text.append(f"{platform}: no overlay anywhere.")
        else:
            share = "nowhere" if not any(without) else "where the budget is small or margins large"
            text.append(f"{platform}: {count} choices, no overlay {share}.")
    return " ".join(text)


def regions_summary(regions: pl.DataFrame) -> pl.DataFrame:
    """Print the rectangles."""
    rows = [
        (
            row["platform"],
            _named(row),
            f"{share_text(row['budget_low'])} to {share_text(row['budget_high'])}",
            f"{rate_text(row['margin_low'])} to {rate_text(row['margin_high'])}",
        )
        for row in regions.iter_rows(named=True)
    ]
    names = ["platform", "chosen", "budget", "margin"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
