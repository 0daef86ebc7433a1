"""Chapter *Pinning*: how many chunks survivors hold, in closed form and in the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.pinning import inputs, residents
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import Result, sweep
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "held_share",
    "law_summary",
    "law_table",
    "one_in",
    "price_table",
    "say_example",
    "say_full",
    "say_law",
    "say_price",
]

_GUARD: Final = 1
_POLICY: Final = "release-at-refill"
"""Gives back every chunk without survivors, also one that is empty when it is replaced."""


def held_share(pinned: float, per_chunk: int) -> float:
    """Probability that a chunk has a survivor: ``1 - (1 - pinned)**per_chunk``.

    Parameters
    ----------
    pinned : float
        Share of the allocations that live for ever, each independent of the others.
    per_chunk : int
        Allocations of a chunk.

    Examples
    --------
    >>> round(held_share(1e-4, 8192), 3)
    0.559
    """
    return -math.expm1(per_chunk * math.log1p(-pinned)) if pinned < 1 else 1.0


def law_table(
    pinned: Sequence[float],
    chunk_sizes: Sequence[int],
    payload: int,
    platform: str,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Compare the closed form with the model (``fig-pinning-law``).

    Areas of one size on one CPU. A short-lived area is freed before the next one is allocated; the
    others stay. An empty chunk is always given back, so what is held is held by survivors.

    Parameters
    ----------
    pinned : sequence of float
        Shares that live for ever. The stream draws in steps of 1/65,536 of the events.
    chunk_sizes : sequence of int
        Bytes; sizes that no two such areas fit are left out. The closed form is there for all
        powers of two between them as well.
    payload : int
        Bytes of each area, without guard page.
    platform : str
        Id.
    events, seed : int
        Of the stream.

    Returns
    -------
    polars.DataFrame
        ``pinned``, ``long`` (its text), ``chunk_size``, ``per_chunk`` (areas that a chunk serves),
        ``replaced`` (chunks that are no longer current), ``held`` (of these, not given back),
        ``share``, ``expected`` (closed form), ``sigmas`` (how many standard errors apart),
        ``times`` (bytes held for each byte of the survivors), ``expected_times``, ``visits``
        (refills for 1,000 allocations). What the model does not tell is null.

    Raises
    ------
    InputError
        If the area fits none of the chunks twice.
    """
    page = find_platform(platform).page_size
    pages = -(-payload // page)
    stride = (pages + _GUARD) * page
    sizes = sorted(size for size in chunk_sizes if 2 * stride <= size)
    if not sizes:
        allowed = f"up to {max(chunk_sizes) // 2 - _GUARD * page:,}"
        raise InputError("$.payload", "no two areas fit a chunk", value=payload, allowed=allowed)
    areas = {"live": 1, "min_pages": pages, "max_pages": pages}
    areas |= {"pinned_min_pages": pages, "pinned_max_pages": pages}
    points: list[dict[str, Any]] = [
        {
            "stream": "pinning",
            "policy": _POLICY,
            "platform": platform,
            "cpus": 1,
            "chunk_size": size,
            "events": events,
            "seed": seed,
            "parameters": {"pinned": share, **areas},
        }
        for share in pinned
        for size in sizes
    ]
    found = sweep(residents, points, inputs=inputs, title="pinning: closed form")
    every = _powers(sizes[0], sizes[-1])
    told = {
        (point["parameters"]["pinned"], point["chunk_size"]): one
        for point, one in zip(points, found, strict=True)
    }
    rows = [
        {
            "pinned": share,
            "long": one_in(share),
            "chunk_size": size,
            "per_chunk": size // stride,
            "visits": 1000 / (size // stride),
            **_compared(share, size, stride, told.get((share, size)), page),
        }
        for share in pinned
        for size in every
    ]
    kinds = dict.fromkeys(("share", "sigmas", "times"), pl.Float64)
    return pl.DataFrame(rows, schema_overrides={**kinds, "replaced": pl.Int64, "held": pl.Int64})


def _powers(low: int, high: int) -> list[int]:
    sizes = [low]
    while sizes[-1] < high:
        sizes.append(2 * sizes[-1])
    return sizes


def _compared(
    pinned: float, size: int, stride: int, one: Result | None, page: int
) -> dict[str, float | None]:
    """Put the closed form of one chunk size beside what came of the model, if it was asked."""
    each = size // stride
    expected = held_share(pinned, each)
    row: dict[str, float | None] = dict.fromkeys(("replaced", "held", "share", "sigmas", "times"))
    row |= {"expected": expected, "expected_times": expected * size / (pinned * each * stride)}
    if one is None:
        return row
    held = sum(one["classes"])
    replaced, inside = held + one["chunks_released"], one["in_others"] * page
    spread = math.sqrt(replaced * expected * (1 - expected))
    row |= {"replaced": replaced, "held": held, "times": held * size / inside if inside else None}
    if replaced:
        row["share"] = held / replaced
        # without spread all chunks are expected to be held, or none
        row["sigmas"] = (held - replaced * expected) / spread if spread > 1e-9 else 0.0
    return row


def one_in(share: float) -> str:
    """Print a share as ``1 in 8,192``, or as a percentage above a tenth."""
    return f"1 in {count_text(1 / share)}" if share <= 0.1 else share_text(share)


def say_example(chunk_size: int, platform: str) -> str:
    """Word the closed form for areas of one page, one in 10,000 of which stays."""
    page = find_platform(platform).page_size
    each, share = chunk_size // (2 * page), 1e-4
    return (
        f"A chunk of {size_text(chunk_size)} serves {count_text(each)} areas of one page. If one "
        f"area in {count_text(1 / share)} stays, {share_text(held_share(share, each))} of the "
        "chunks have at least one that does."
    )


def say_full() -> str:
    """Word the closed form where *p N* is no longer small: what share of the chunks is held."""
    rare, held = 1e-6, []
    for expected in (1, 4):
        held.append(f"{share_text(held_share(rare, round(expected / rare)))} at {expected}")
    return ", ".join(held)


def say_law(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-pinning-law``: what is held, and whether model and form agree."""
    near = _nearest(table, chunk_size)
    words = [f"{share_text(p)} at {long}" for long, p in near.select("long", "expected").rows()]
    size, each = near.select("chunk_size", "per_chunk").row(0)
    used = table.filter(pl.col("replaced") > 0)
    far = used.filter(pl.col("sigmas").abs() > 2)
    worst = max((abs(one) for one in used["sigmas"].to_list()), default=0.0)
    return (
        f"Above: chunks that survivors hold. At {size_text(size)}, {count_text(each)} areas to a "
        f"chunk: {', '.join(words)}. Below: address space held for each byte that lives. It is at "
        "most one chunk for each survivor, and at most all that was allocated for it: the smaller "
        "of the two, nearly. Lines are the closed form, points the model: "
        f"{used.height - far.height} of {used.height} shares lie within 2 standard errors, the "
        f"farthest {worst:.1f} away."
    )


def _nearest(table: pl.DataFrame, chunk_size: int) -> pl.DataFrame:
    """Rows of the given chunk size, or of the nearest one in the table."""
    sizes = table["chunk_size"].unique(maintain_order=True).to_list()
    best = min(sizes, key=lambda size: (abs(math.log(size / chunk_size)), size))
    return table.filter(pl.col("chunk_size") == best)


def law_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print closed form and model, one row for each chunk size."""
    shown = table.with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
        pair=pl.struct("expected", "share"),
    )
    return wide(shown, ["chunk"], "long", "pair", _pair)


def _pair(pair: dict[str, float | None]) -> str:
    share = pair["share"]
    model = "-" if share is None else share_text(share)
    return f"{share_text(pair['expected'] or 0)}; {model}"


def price_table(table: pl.DataFrame) -> pl.DataFrame:
    """Print what a chunk size costs and saves, by the closed form (``tab-pinning-price``).

    Returns
    -------
    polars.DataFrame
        ``chunk_size``, ``per_chunk``, ``visits`` (refills for 1,000 allocations), and bytes held
        for each byte that lives, a column for each share.
    """
    shown = table.with_columns(
        pl.col("chunk_size").map_elements(size_text, pl.String),
        pl.col("per_chunk").map_elements(count_text, pl.String),
        pl.col("visits").map_elements(lambda visits: f"{visits:.3g}", pl.String),
    )
    rows = ["chunk_size", "per_chunk", "visits"]
    return wide(shown, rows, "long", "expected_times", _times)


def _times(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def say_price(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-pinning-price``: what the smallest chunk saves and costs."""
    text = (
        "The price of both ends, in closed form: areas to a chunk, refills for 1,000 allocations, "
        "and address space held for each byte of a survivor, by the share that survives."
    )
    small = table.filter(pl.col("chunk_size") == table["chunk_size"].min())
    usual = _nearest(table, chunk_size)
    first, most = small.row(0, named=True), usual.row(0, named=True)
    if first["chunk_size"] == most["chunk_size"]:
        return text
    words = [
        f"{_times(b)} to {_times(a)} at {long}"
        for long, a, b in zip(
            usual["long"], small["expected_times"], usual["expected_times"], strict=True
        )
    ]
    return (
        f"{text} From {size_text(most['chunk_size'])} to {size_text(first['chunk_size'])} the "
        f"refills rise from {most['visits']:.3g} to {first['visits']:.3g}, and what is held falls "
        f"from {'; '.join(words)}."
    )
