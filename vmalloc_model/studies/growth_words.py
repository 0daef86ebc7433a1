"""Chapter *Growth*: the sentences of its figures and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.studies.growth import BASELINE, CHUNK_STATES, LOST, PARTS
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, cpus_text, share_text, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "chunks_summary",
    "growth_summary",
    "parts_summary",
    "policies_table",
    "regions_summary",
    "say_chunks",
    "say_growth",
    "say_lost",
    "say_regions",
    "say_streams",
    "say_table",
    "say_visits",
    "shown_table",
]

_RISES: Final = 0.05
"""A mark that rises by more than this share in the second half of a stream is still rising."""


def say_streams(ends: pl.DataFrame, platform: str, cpus: int) -> str:
    """Word the list of streams: what each is, how many events, on what machine."""
    lines = []
    for row in ends.unique("stream", maintain_order=True).iter_rows(named=True):
        title = "recorded requests" if row["recorded"] else WORKLOADS[row["stream"]].title
        where = "on its own machine" if row["recorded"] else f"on {platform}, {cpus_text(cpus)}"
        lines.append(f"*{row['stream']}*, {count_text(row['events'])} events {where}: {title}")
    return "The streams: " + "; ".join(lines) + "."


def say_growth(ends: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-growth``: where the marks end, and which still rise."""
    text = [f"High-water marks with chunks of {size_text(chunk_size)}."]
    for stream, rows in _by_stream(ends):
        plain = rows.filter(pl.col("policy") == BASELINE)
        others = rows.filter(pl.col("policy") != BASELINE)
        words = [f"live peak {size_text(rows['peak'].to_list()[0])}"]
        if plain.height:
            words.append(f"mainline {size_text(plain['high_water'].to_list()[0])}")
        if others.height:
            words.append(_extremes(others, "high_water", size_text))
        text.append(f"*{stream}*: {', '.join(words)}.")
    rising = [
        f"{_names(rows['policy'].to_list())} on *{stream}*"
        for stream, every in _by_stream(ends)
        if (rows := every.filter(pl.col("high_water") > (1 + _RISES) * pl.col("half"))).height
    ]
    text.append(
        f"Still rising, by more than {share_text(_RISES)} in the second half: {'; '.join(rising)}."
        if rising
        else f"No mark rises by more than {share_text(_RISES)} in the second half."
    )
    return " ".join(text) + _failures(ends)


def _failures(ends: pl.DataFrame) -> str:
    """Tell where requests failed: the mark is then one of a full range."""
    rows = ends.filter(pl.col("failures") > 0)
    if not rows.height:
        return ""
    words = [
        f"{count_text(row['failures'])} of {count_text(row['requests'])} on *{row['stream']}* "
        f"under {row['policy']}"
        for row in rows.iter_rows(named=True)
    ]
    return f" Requests that failed for lack of room: {'; '.join(words)}."


def _by_stream(table: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    streams = table["stream"].unique(maintain_order=True).to_list()
    return [(stream, table.filter(pl.col("stream") == stream)) for stream in streams]


def _names(policies: Sequence[str]) -> str:
    """Join names; with more than three the others are counted."""
    if len(policies) <= 3:
        return ", ".join(policies)
    return f"{', '.join(policies[:2])} and {len(policies) - 2} more"


def _extremes(rows: pl.DataFrame, column: str, text: Callable[[Any], str]) -> str:
    """Word the least and the most of a column, with the policies that have them."""
    values = rows[column].to_list()
    least, most = min(values), max(values)
    if least == most:
        return f"all others {text(least)}"
    low, high = (
        _names(rows.filter(pl.col(column) == value)["policy"].to_list()) for value in (least, most)
    )
    return f"the others from {text(least)} ({low}) to {text(most)} ({high})"


def growth_summary(ends: pl.DataFrame) -> pl.DataFrame:
    """High-water marks at the end, one row for each policy."""
    return wide(ends, ["policy"], "stream", "high_water", size_text)


def say_regions(ends: pl.DataFrame) -> str:
    """Word the caption of ``fig-growth-regions``: page tables against those of mainline."""
    regions = ends["region_size"].unique(maintain_order=True).to_list()
    text = [
        "Page-table pages of the lowest level that each stream has needed; each maps "
        f"{' or '.join(size_text(one) for one in regions)}, and vmalloc frees none of them."
    ]
    for stream, rows in _by_stream(ends):
        plain = rows.filter(pl.col("policy") == BASELINE)
        others = rows.filter(pl.col("policy") != BASELINE)
        words = []
        if plain.height:
            words.append(f"mainline {size_text(plain['page_table_bytes'].to_list()[0])}")
        if others.height:
            words.append(_extremes(others, "page_table_bytes", size_text))
        text.append(f"*{stream}*: {', '.join(words)}.")
    return " ".join(text)


def regions_summary(ends: pl.DataFrame) -> pl.DataFrame:
    """Page-table pages, one row for each policy."""
    return wide(ends, ["policy"], "stream", "page_tables", count_text)


def say_lost(parts: pl.DataFrame) -> str:
    """Word the caption of ``fig-growth-lost``: the identity, and the largest part of each case."""
    meanings = "; ".join(f"*{name}*, {meaning}" for name, meaning in PARTS.items())
    text = [f"High-water mark = {' + '.join(PARTS)}, exactly, in every bar. {_capital(meanings)}."]
    dead = parts.filter(pl.col("part") != "live")
    for stream, rows in _by_stream(dead):
        largest = rows.sort("bytes", descending=True, maintain_order=True).row(0, named=True)
        if largest["bytes"] > 0:
            share = largest["bytes"] / largest["high_water"]
            text.append(
                f"On *{stream}* the largest part that nobody uses is *{largest['part']}* under "
                f"{largest['policy']}: {size_text(largest['bytes'])}, {share_text(share)} of its "
                "mark."
            )
    return " ".join(text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:] if not text.startswith("*") else text


def parts_summary(parts: pl.DataFrame) -> pl.DataFrame:
    """Parts of the marks, one row for each stream and policy."""
    return wide(parts, ["stream", "policy"], "part", "bytes", size_text)


def say_chunks(states: pl.DataFrame) -> str:
    """Word the caption of ``fig-growth-chunks``: what the states are, and who drains for good."""
    meanings = "; ".join(f"*{name}*, {meaning}" for name, meaning in CHUNK_STATES.items())
    rows = states.filter((pl.col("state") == "drained") & (pl.col("chunks") > 0))
    text = f"Every chunk that was installed, by its state at the end: {meanings}."
    if not rows.height:
        return f"{text} No chunk here is drained for good."
    words = [
        f"{_extremes_of(found)} on *{stream}*" for stream, found in _by_stream(rows) if found.height
    ]
    return f"{text} Drained for good: {'; '.join(words)}."


def _extremes_of(rows: pl.DataFrame) -> str:
    """Chunks by policy, those with the same number together."""
    words = []
    for count in sorted(set(rows["chunks"].to_list()), reverse=True):
        names = rows.filter(pl.col("chunks") == count)["policy"].to_list()
        words.append(f"{count_text(count)} ({_names(names)})")
    return ", ".join(words)


def chunks_summary(states: pl.DataFrame) -> pl.DataFrame:
    """Chunks by state, one row for each stream and policy."""
    return wide(states, ["stream", "policy"], "state", "chunks", count_text)


def shown_table(ends: pl.DataFrame) -> pl.DataFrame:
    """Print the gains and losses of `vmalloc_model.studies.growth.end_table`."""
    rows = [
        (
            row["stream"],
            row["policy"],
            _rate(row["visits_per_1000"]),
            count_text(row["refills"]),
            size_text(row["high_water"]),
            size_text(row["page_table_bytes"]),
            size_text(row["lost"]),
            size_text(row["lost_per_million"]),
        )
        for row in ends.iter_rows(named=True)
    ]
    names = ["stream", "policy", "visits", "refills", "high_water", "tables", "lost", "per_million"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_table(ends: pl.DataFrame) -> str:
    """Word the caption of ``tab-growth``: what is saved in visits, and what it costs."""
    text = ["Gains and losses side by side."]
    for stream, rows in _by_stream(ends):
        plain = rows.filter(pl.col("policy") == BASELINE).to_dicts()
        others = rows.filter(pl.col("policy") != BASELINE)
        if plain and others.height:
            visits = _rate(plain[0]["visits_per_1000"])
            text.append(
                f"*{stream}*: visits to the global lock per 1,000 requests, mainline {visits}, "
                f"{_extremes(others, 'visits_per_1000', _rate)}."
            )
    text.append(
        f"Lost is {', '.join(LOST[:-1])} and {LOST[-1]}, at the end; the last column divides it by "
        "the requests, which is a rate only where the loss goes on growing."
    )
    twice = ends.filter(pl.col("twice") > 0)
    if twice.height:
        words = [
            f"{count_text(row['twice'])} ({row['policy']}, *{row['stream']}*)"
            for row in twice.iter_rows(named=True)
        ]
        text.append(
            "Areas that a node pool handed out after their range had gone back with its chunk, so "
            f"that two may share addresses and the mark is too low: {'; '.join(words)}."
        )
    return " ".join(text)


def say_visits(ends: pl.DataFrame) -> str:
    """Word how often each policy visits the global lock, over the streams."""
    words = []
    for policy in ends["policy"].unique(maintain_order=True).to_list():
        rates = ends.filter(pl.col("policy") == policy)["visits_per_1000"].to_list()
        low, high = _rate(min(rates)), _rate(max(rates))
        words.append(f"{policy} {low if low == high else f'{low} to {high}'}")
    return f"Per 1,000 requests, from stream to stream: {'; '.join(words)}."


def _rate(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def policies_table(policies: Sequence[str]) -> pl.DataFrame:
    """List the policies that are compared.

    Returns
    -------
    polars.DataFrame
        ``policy``, ``title``, ``first`` (whether pools or the chunk are asked first), ``returns``
        (when a chunk's addresses come back).
    """
    rows = []
    for name in policies:
        rules = load_policies()[name]
        returns = {
            "never": "each area for itself, the chunk never as a whole",
            "drained": "when the last area is freed",
            "purged": "when the last area was purged",
        }[rules.release]
        if rules.release_at_refill:
            returns += "; if it was current then, at the refill"
        if rules.rewind:
            returns += "; an empty current chunk starts again"
        rows.append(
            (
                name,
                rules.title,
                rules.first if rules.overlay else "pools, no chunk",
                returns if rules.overlay else "-",
            )
        )
    return pl.DataFrame(rows, schema=["policy", "title", "first", "returns"], orient="row")
