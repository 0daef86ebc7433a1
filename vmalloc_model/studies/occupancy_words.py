"""Chapter *Occupancy*: the sentences of its exact figures and tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from vmalloc_model.occupancy.stationary import stationary
from vmalloc_model.studies.occupancy import IDENTITY, digits, identity_error
from vmalloc_model.studies.occupancy_cases import Case
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.units import share_text, size_text

__all__ = [
    "say_first",
    "say_identity",
    "say_limit",
    "say_mix_table",
    "say_padding",
    "say_parts",
    "say_requests",
    "say_tail",
]

_IDENTITY_TEXT = f"{IDENTITY:.0e}".replace("e-0", "e-")


def say_identity(table: pl.DataFrame) -> str:
    """Word how well the parts of every row of a `chunk_table` sum to the chunk."""
    error = identity_error(table)
    holds = "to better than" if error < IDENTITY else f"only to {error:.1g}, not to"
    return (
        f"In all {table.height} rows payload, guard, padding and tail sum to the chunk, "
        f"{holds} {_IDENTITY_TEXT} of it."
    )


def say_requests(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-occupancy``: the range at one chunk size, and who falls."""
    here = table.filter(pl.col("chunk_size") == chunk_size)
    if here.is_empty():
        return f"No mix shown is eligible for a chunk of {size_text(chunk_size)}."
    ordered = here.sort("requests", maintain_order=True)
    least, most = ordered.row(0, named=True), ordered.row(-1, named=True)
    text = (
        f"A chunk of {size_text(chunk_size)} serves {digits(least['requests'])} requests on "
        f"average (*{least['mix']}*) to {digits(most['requests'])} (*{most['mix']}*)."
    )
    drawn = here.filter(pl.col("group") == "recorded")
    if drawn.height:
        each = [
            f"{digits(row['requests'])} (*{row['mix']}*)" for row in drawn.iter_rows(named=True)
        ]
        text += f" Recorded mixes: {listed(each)}."
    falls = [
        f"*{mix}* from {size_text(small)} to {size_text(large)}"
        for mix, small, large in _falls(table)
    ]
    if falls:
        text += (
            f" A larger chunk can serve fewer: {listed(falls)}, because larger requests become "
            "eligible and use it up."
        )
    return text


def _falls(table: pl.DataFrame) -> list[tuple[str, int, int]]:
    """Mixes of which a larger chunk admits more and serves fewer, with the two chunk sizes."""
    found = []
    for (mix,), rows in table.group_by("mix", maintain_order=True):
        pairs = rows.sort("chunk_size").select("chunk_size", "requests", "eligible").rows()
        for (small, before, few), (large, after, more) in pairwise(pairs):
            if after < before and more > few:
                found.append((str(mix), small, large))
    return found


def say_parts(parts: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-occupancy-bytes``: the most of each kind of loss."""
    if parts.is_empty():
        return f"No mix shown is eligible for a chunk of {size_text(chunk_size)}."
    text = f"Where the bytes of a chunk of {size_text(chunk_size)} go, in expectation."
    most = []
    for part in ("guard", "padding", "tail"):
        rows = parts.filter(pl.col("part") == part).sort(
            "share", descending=True, maintain_order=True
        )
        row = rows.row(0, named=True)
        most.append(f"{part} {share_text(row['share'])} (*{row['mix']}*)")
    payload = parts.filter(pl.col("part") == "payload").sort("share", maintain_order=True)
    row = payload.row(0, named=True)
    return (
        f"{text} At most: {listed(most)}. Least payload: {share_text(row['share'])} "
        f"(*{row['mix']}*)."
    )


def say_tail(table: pl.DataFrame) -> str:
    """Word the caption of ``fig-occupancy-tail``: share of the tail, its bytes, and padding."""
    shown = table.filter(pl.col("tail") > 0).sort("chunk_size", maintain_order=True)
    if shown.is_empty():
        return "No mix shown leaves a tail."
    chunks = shown["chunk_size"].unique().sort().to_list()
    least, most = chunks[0], chunks[-1]
    text = (
        f"Tails take {_span(shown, least)} of a chunk of {size_text(least)}"
        + (f" and {_span(shown, most)} of one of {size_text(most)}" if most > least else "")
        + "."
    )
    worst = shown.with_columns(share=pl.col("tail") / pl.col("chunk_size")).sort(
        "share", descending=True, maintain_order=True
    )
    row = worst.row(0, named=True)
    text += (
        f" The largest share is {share_text(row['share'])} (*{row['mix']}*, "
        f"{size_text(row['chunk_size'])})."
    )
    some = set(shown["mix"].to_list())
    every = table["mix"].unique(maintain_order=True).to_list()
    none = [mix for mix in every if mix not in some]
    if not none:
        return text
    return f"{text} Not shown, without tail: {listed([f'*{one}*' for one in none])}."


def _span(table: pl.DataFrame, chunk_size: int) -> str:
    shares = (table.filter(pl.col("chunk_size") == chunk_size)["tail"] / chunk_size).to_list()
    low, high = share_text(min(shares)), share_text(max(shares))
    return low if low == high else f"{low} to {high}"


def say_limit(cases: Sequence[Case], chunk_size: int) -> str:
    """Word the tail in bytes against its limit, for mixes in which nothing is aligned.

    Without alignment the tail tends to ``E[s (s - d)] / (2 E[s])`` as the chunk grows, d the
    greatest common divisor of the sizes s: the part inside of the request that spans the end, which
    is picked in proportion to s.
    """
    lines = []
    for case in cases:
        if not case.mix.fits(chunk_size).any():
            continue
        found = stationary(case.mix, chunk_size)
        mix = found.mix
        step = int(np.gcd.reduce(mix.size))
        if (mix.align > mix.page_size).any() or mix.size.size == 1 or chunk_size % step:
            continue
        limit = float(mix.share @ (mix.size * (mix.size - step))) / (2 * mix.mean)
        lines.append(f"*{case.name}* {size_text(found.tail)} (limit {size_text(limit)})")
    if not lines:
        return "No mix shown has several sizes and no alignment."
    return f"Tails of a chunk of {size_text(chunk_size)} beside that limit: {listed(lines)}."


def say_first(cases: Sequence[Case], chunk_size: int) -> str:
    """Word how much larger the first request of a chunk is, where the difference is largest."""
    found = [
        stationary(case.mix, chunk_size)
        for case in cases
        if case.group != "equal" and case.mix.fits(chunk_size).any()
    ]
    if not found:
        return f"No mix shown has several kinds eligible for a chunk of {size_text(chunk_size)}."
    sizes = [(float(one.first @ one.mix.size), one.mix) for one in found]
    first, mix = max(sizes, key=lambda pair: pair[0] / pair[1].mean)
    return (
        f"In chunks of {size_text(chunk_size)} the difference is largest for *{mix.name}*: the "
        f"first request of a chunk has {size_text(first)} on average, a request as such "
        f"{size_text(mix.mean)}."
    )


def say_padding(table: pl.DataFrame) -> str:
    """Word how padding's share of the chunk depends on the chunk, for each mix that has any."""
    words = []
    for (mix,), rows in table.group_by("mix", maintain_order=True):
        shares = (rows["padding"] / rows["chunk_size"]).to_list()
        if max(shares) > 0:
            ends = [share_text(shares[0]), share_text(shares[-1])]
            words.append(
                f"*{mix}* {' to '.join(ends)}" if ends[0] != ends[1] else f"*{mix}* {ends[0]}"
            )
    if not words:
        return "No mix shown has padding."
    chunks = table["chunk_size"].to_list()
    return (
        "Padding as a share of the chunk, from the smallest to the largest chunk that admits a "
        f"request, {size_text(min(chunks))} to {size_text(max(chunks))}: {'; '.join(words)}."
    )


def say_mix_table(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-occupancy``."""
    never = table.filter(pl.col("requests") == "-")["mix"].to_list()
    text = (
        f"Chunks of {size_text(chunk_size)}, exact. *Quotient* is the chunk divided by the mean "
        "request, guard included; *requests* is what a refill serves on average. *One page off* is "
        "the same if chunks begin one page above a multiple of their size, which the code allows."
    )
    if not never:
        return text
    return f"{text} Nothing is eligible of {listed([f'*{one}*' for one in never])}."
