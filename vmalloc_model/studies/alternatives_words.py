"""Chapter *Alternatives*: the tables as they are shown, and the sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.experiments.settled import DESIGNS, Design
from vmalloc_model.studies.alternatives import BASELINE, HELD, designs_of
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "AUTHOR",
    "author_table",
    "designs_table",
    "front_table",
    "points_summary",
    "rate_text",
    "say_author",
    "say_designs",
    "say_front",
    "say_held",
    "say_points",
    "say_streams",
]

POSTED: Final = "rfc10"
AUTHOR: Final = "rfc12"
"""The state after the last patch."""


def rate_text(visits: float) -> str:
    """Print visits per 1,000 requests."""
    return f"{visits:.3g}" if visits < 999.5 else count_text(visits)


def designs_table(policies: Sequence[str]) -> pl.DataFrame:
    """List what is compared, with what its rules say about safety and loss.

    Returns
    -------
    polars.DataFrame
        ``design``, ``title``, ``flush`` (whether addresses may come back before it),
        ``why``, ``lost`` (what never comes back).
    """
    rows = [
        (
            name,
            one.title,
            "maybe before the flush" if one.early else "after the flush",
            _why(one),
            one.leaks or "-",
        )
        for name in designs_of(policies)
        for one in [DESIGNS[name]]
    ]
    return pl.DataFrame(rows, schema=["design", "title", "flush", "why", "lost"], orient="row")


def _why(design: Design) -> str:
    """Say from the rules when addresses can be handed out again."""
    rules = design.rules
    if not rules.overlay:
        return "a freed area waits for the purge, which flushes"
    if not rules.resident:
        return "areas are ordinary ones: each waits for the purge"
    if rules.release == "drained":
        also = ", or at the refill" if rules.release_at_refill else ""
        return f"the chunk's range goes back when its last area is freed{also}; the purge is later"
    if rules.release_at_refill:
        return "an empty chunk goes back at the refill; the purge may be later"
    again = "; the pointer goes back after a purge" if rules.rewind else ""
    return f"the chunk's range goes back in the purge, after the flush{again}"


def say_designs(policies: Sequence[str]) -> str:
    """Word the caption of ``tab-alternatives-designs``."""
    chosen = [DESIGNS[name] for name in designs_of(policies)]
    early = [one.name for one in chosen if one.early]
    whole = [one.name for one in chosen if one.rules.overlay and not one.early and not one.leaks]
    text = "What is compared, and what its rules alone say about safety and loss. "
    if early:
        text += (
            f"{len(early)} of {len(chosen)} may hand out an address before the TLB flush of its "
            f"last use: {', '.join(early)}. "
        )
    return text + (
        f"With an overlay, only {' and '.join(whole)} neither does that nor loses address "
        "space for good, except "
        "where a request does not fit an empty chunk."
    )


def say_held() -> str:
    """Say what counts as held."""
    parts = "; ".join(f"*{name}*, {meaning}" for name, meaning in HELD.items())
    return (
        "*Held* is address space that nobody uses and that no request on any CPU can have: "
        f"{parts}. All are read at the end of a stream."
    )


def say_streams(table: pl.DataFrame, cpus: int, events: int) -> str:
    """Word the list of streams, and where one does not fit."""
    made = table.filter(~pl.col("recorded"))["stream"].unique(maintain_order=True).to_list()
    lines = [f"*{name}*: {WORKLOADS[name].title}" for name in made]
    text = f"Synthetic, {count_text(events)} events on {cpus_text(cpus)}: {'; '.join(lines)}."
    for name, platform in _unique(table.filter("recorded"), "stream", "platform"):
        text += f" Recorded, on its own machine of {platform}: the requests of *{name}*."
    missing = _unique(table.filter(~pl.col("fits")), "stream", "platform")
    if missing:
        words = [f"*{stream}* on {platform}" for stream, platform in missing]
        text += f" Mainline itself cannot serve all of {_and(words)}; nothing is compared there."
    return text


def _unique(table: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return table.select(columns).unique(maintain_order=True).rows()


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _name(row: dict[str, Any]) -> str:
    size = f" {size_text(row['asked'])}" if row["asked"] else ""
    return f"{row['design']}{size}"


def say_points(table: pl.DataFrame, platform: str, chunk_size: int) -> str:
    """Word the caption of ``fig-alternatives``: the ends of each front, and the patches' point."""
    text = [f"Designs on {platform}, by visits to the global lock and address space held."]
    for (stream,) in _unique(
        table.filter((pl.col("platform") == platform) & pl.col("fits")), "stream"
    ):
        rows = table.filter((pl.col("platform") == platform) & (pl.col("stream") == stream))
        front = rows.filter("safe_front").sort("held", "visits", maintain_order=True)
        words = [
            f"{_name(row)} ({rate_text(row['visits'])} visits, {size_text(row['held'])} held)"
            for row in [front.row(0, named=True), front.row(-1, named=True)]
        ]
        ends = words[0] if words[0] == words[1] else f"from {words[0]} to {words[1]}"
        text.append(f"*{stream}*: the front of what is safe goes {ends}.")
        for row in rows.filter(design=AUTHOR, asked=chunk_size).iter_rows(named=True):
            text.append(f"{_name(row)}: {_place(row, rows)}.")
    return " ".join(text)


def _place(row: dict[str, Any], rows: pl.DataFrame) -> str:
    """Say where a point lies: on the front, or beaten by what."""
    if not row["usable"]:
        return f"not judged: {_unusable(row)}"
    if row["front"]:
        return "on the front"
    better = rows.filter(
        "front",
        pl.col("held") <= row["held"],
        pl.col("visits") <= row["visits"],
    ).sort("held", "visits", maintain_order=True)
    best = better.row(0, named=True)
    return (
        f"behind {_name(best)}: {rate_text(best['visits'])} visits, {size_text(best['held'])} held"
    )


def _unusable(row: dict[str, Any]) -> str:
    if not row["fits"]:
        return "mainline cannot serve the stream either"
    if row["failures"]:
        return f"{count_text(row['failures'])} requests fail, and none with mainline"
    return "the stream is too short to use up its chunks"


def points_summary(table: pl.DataFrame, platform: str) -> pl.DataFrame:
    """Print the points of one platform that are on a front, and mainline's."""
    rows = table.filter(
        (pl.col("platform") == platform)
        & (pl.col("front") | pl.col("safe_front") | (pl.col("design") == BASELINE))
    )
    return pl.DataFrame(
        {
            "stream": rows["stream"],
            "design": pl.Series(
                [_name(row) for row in rows.iter_rows(named=True)], dtype=pl.String
            ),
            "visits": pl.Series([rate_text(v) for v in rows["visits"]], dtype=pl.String),
            "held": pl.Series([size_text(v) for v in rows["held"]], dtype=pl.String),
            "high_water": pl.Series([size_text(v) for v in rows["high_water"]], dtype=pl.String),
            "front": rows["front"].cast(pl.Int64),
            "safe": rows["safe_front"].cast(pl.Int64),
        }
    )


def front_table(table: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    """Count how often each design is on a front (``tab-alternatives-fronts``).

    Returns
    -------
    polars.DataFrame
        ``design``; ``front``, ``safe``, ``mark``: on how many fronts it is at some size, of all
        designs, of the safe ones, and of the safe ones with the high-water mark for held;
        ``judged``: of the first, at `chunk_size`; ``failed``: streams on which some size fails
        requests.
    """
    rows = []
    for (design,) in _unique(table, "design"):
        of = table.filter(pl.col("design") == design)
        counts = [
            len(_unique(of.filter(mask), "platform", "stream"))
            for mask in (
                pl.col("front"),
                pl.col("safe_front"),
                pl.col("mark_front"),
                pl.col("front") & (pl.col("asked") == chunk_size),
                pl.col("fits") & (pl.col("failures") > 0),
            )
        ]
        early = DESIGNS[design].early
        sized = DESIGNS[design].sized
        texts = [str(count) for count in counts]
        texts[1:3] = ["-", "-"] if early else texts[1:3]
        texts[3] = texts[3] if sized else "-"
        rows.append((design, *texts))
    names = ["design", "front", "safe", "mark", "judged", "failed"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_front(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-alternatives-fronts``."""
    fronts = len(_unique(table.filter("fits"), "platform", "stream"))
    counts = {
        design: len(_unique(table.filter("safe_front", design=design), "platform", "stream"))
        for (design,) in _unique(table, "design")
    }
    most = max(counts.values())
    first = [design for design, count in counts.items() if count == most]
    both = _unique(
        table.filter(pl.col("safe_front") & pl.col("mark_front")), "platform", "stream", "design"
    )
    either = _unique(
        table.filter(pl.col("safe_front") | pl.col("mark_front")), "platform", "stream", "design"
    )
    return (
        f"Fronts, one for each stream and platform: {fronts}. Among safe designs "
        f"{_and(first)} {'is' if len(first) == 1 else 'are'} on most, {most}. With the "
        f"high-water mark in place of *held*, {len(both)} of {len(either)} appearances are the "
        "same. Designs with the same point count alike. Of the sizes of a design one is enough, "
        f"except in the column for {size_text(chunk_size)}."
    )


def author_table(table: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    """Tell where the last patch at one chunk size lies (``tab-alternatives-patches``).

    Returns
    -------
    polars.DataFrame
        ``platform``, ``stream``, ``visits``, ``held``, ``place`` (on the front of all designs,
        behind which, or not judged).
    """
    rows = []
    for row in table.filter("fits", design=AUTHOR, asked=chunk_size).iter_rows(named=True):
        same = table.filter(stream=row["stream"], platform=row["platform"])
        numbers = (rate_text(row["visits"]), size_text(row["held"]))
        rows.append((row["platform"], row["stream"], *numbers, _place(row, same)))
    names = ["platform", "stream", "visits", "held", "place"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def say_posted(table: pl.DataFrame, platform: str, chunk_size: int) -> str:
    """Say where 10/12 as posted lies on a platform, and what it holds after the horizon."""
    rows = table.filter("fits", design=POSTED, platform=platform, asked=chunk_size)
    name = f"{POSTED} with chunks of {size_text(chunk_size)}"
    if not rows.height:
        return f"{name} is not among what is compared on {platform}."
    on = rows.filter("front").height
    visits, plain = (
        rate_text(max(of["visits"].to_list()))
        for of in (rows, table.filter("fits", design=BASELINE, platform=platform))
    )
    worst = rows.sort("later", descending=True, maintain_order=True).row(0, named=True)
    return (
        f"On {platform} {name} waits for the flush and makes at worst {visits} visits per 1,000 "
        f"(mainline {plain}). It is on the front of all designs for {on} of {rows.height} streams. "
        f"After the horizon it would hold {share_text(worst['later'] / worst['range'])} of the "
        f"range on *{worst['stream']}*."
    )


def say_author(table: pl.DataFrame, chunk_size: int) -> str:
    """Say how often the last patch at one chunk size is on the front of all designs."""
    rows = table.filter("fits", design=AUTHOR, asked=chunk_size)
    name = f"{AUTHOR} with chunks of {size_text(chunk_size)}"
    if not rows.height:
        return f"{name} is not among what is compared."
    on = _unique(rows.filter("front"), "stream", "platform")
    where = _and([f"*{stream}* on {platform}" for stream, platform in on])
    return (
        f"{name} is on the front of all designs, safe or not, for {len(on)} of {rows.height} "
        f"streams: {where}."
        if on
        else f"{name} is on the front of none of {rows.height} streams."
    )
