"""Chapter *Refill amortisation*: equal requests in closed form, and the mail's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.constraints import (
    allocations_per_refill,
    doubling_gain,
    global_visits_per_allocation,
)
from vmalloc_model.premises import Premises, load_premises
from vmalloc_model.requests import allocator_size
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import KIB, count_text, size_text

__all__ = [
    "allocations_summary",
    "allocations_table",
    "doubling_summary",
    "doubling_table",
    "say_allocations",
    "say_doubling",
    "say_stated",
    "stated_table",
    "visits_text",
]

_MAIL_SAYS: Final = {"small_mean": 16_000, "large_mean": 64}
"""Allocations per refill in argument 2 of the mail, each with a tilde, by the mean it goes with."""


def allocations_table(
    chunk_size: int, page_sizes: Sequence[int], guard_pages: int = 1
) -> pl.DataFrame:
    """Allocations per refill against the mean payload, by page size (``fig-amortisation``).

    Parameters
    ----------
    chunk_size : int
        Bytes.
    page_sizes : sequence of int
        Bytes, powers of two.
    guard_pages : int
        Pages behind each area; the mail's arithmetic, no guard, is always computed as well.

    Returns
    -------
    polars.DataFrame
        ``what`` (``computed`` or ``mail``), ``chunk_size`` (the mail's is its own), ``page_size``,
        ``guard_pages``, ``mean_size`` (payload: powers of two from 4 KiB to half a chunk), ``area``
        (what the allocator is asked for) and ``allocations`` (0 would be not eligible and is left
        out). Sizes in bytes.
    """
    steps = range((4 * KIB).bit_length() - 1, (chunk_size // 2).bit_length())
    means = np.array([1 << step for step in steps], dtype=np.int64)
    parts = []
    for page in page_sizes:
        for guard in sorted({0, guard_pages}):
            parts.append(
                pl.DataFrame(
                    {
                        "what": "computed",
                        "chunk_size": chunk_size,
                        "page_size": page,
                        "guard_pages": guard,
                        "mean_size": means,
                        "area": allocator_size(means, page, guard),
                        "allocations": allocations_per_refill(chunk_size, means, page, guard),
                    }
                )
            )
    stated = load_premises()["as-stated"]
    parts.append(
        pl.DataFrame(
            {
                "what": "mail",
                "chunk_size": stated.chunk_size,
                "page_size": stated.page_size,
                "guard_pages": stated.guard_pages,
                "mean_size": [getattr(stated, name) for name in _MAIL_SAYS],
                "area": [getattr(stated, name) for name in _MAIL_SAYS],
                "allocations": list(_MAIL_SAYS.values()),
            }
        )
    )
    return pl.concat(parts).filter(pl.col("allocations") > 0)


def doubling_table(
    chunk_sizes: Sequence[int],
    chunk_size: int,
    mean_sizes: Sequence[int],
    page_size: int,
    guard_pages: int,
    barely: float,
) -> pl.DataFrame:
    """Visits to the global allocator, and what doubling the chunk saves (``fig-doubling``).

    Parameters
    ----------
    chunk_sizes, chunk_size : sequence of int, int
        Bytes: the chunk sizes swept, and one that is always among them.
    mean_sizes : sequence of int
        Bytes, payloads.
    page_size, guard_pages : int
        Bytes; pages.
    barely : float
        Visits per 1,000 allocations below which a saving counts as small.

    Returns
    -------
    polars.DataFrame
        ``mean_size``, ``chunk_size`` (bytes), ``allocations`` per refill, ``visits`` and ``saved``
        (per 1,000 allocations, by a chunk twice as large), ``ratio`` (visits before to after) and
        ``barely`` (bool). A mean above half a chunk visits the global allocator every time.
    """
    mean, chunk = (
        part.ravel()
        for part in np.meshgrid(mean_sizes, sorted({*chunk_sizes, chunk_size}), indexing="ij")
    )
    gain = doubling_gain(chunk, mean, page_size, guard_pages)
    visits = global_visits_per_allocation(chunk, mean, page_size, guard_pages)
    return pl.DataFrame(
        {
            "mean_size": mean,
            "chunk_size": chunk,
            "allocations": allocations_per_refill(chunk, mean, page_size, guard_pages),
            "visits": 1000 * visits,
            "saved": 1000 * gain.saved,
            "ratio": gain.ratio,
            "barely": 1000 * gain.saved < barely,
        }
    )


def allocations_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put `allocations_table` into one row per mean payload."""
    guard = pl.when(pl.col("guard_pages") == 0).then(pl.lit("none")).otherwise(pl.lit("guard"))
    page = pl.col("page_size").map_elements(size_text, pl.String)
    mean = table.filter(pl.col("what") == "computed").with_columns(
        mean=pl.col("mean_size").map_elements(size_text, pl.String)
    )
    return wide(mean, ["mean"], pl.concat_str(page, pl.lit(", "), guard), "allocations", count_text)


def doubling_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put the visits of `doubling_table` into one row per chunk size."""
    sizes = table.with_columns(
        pl.col("chunk_size", "mean_size").map_elements(size_text, pl.String)
    ).rename({"chunk_size": "chunk"})
    return wide(sizes, ["chunk"], "mean_size", "visits", _three_digits)


def _three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _two_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def stated_table(page_sizes: Sequence[int]) -> pl.DataFrame:
    """Each number of argument 2, as stated and as checked (``tab-amortisation-stated``).

    Parameters
    ----------
    page_sizes : sequence of int
        Bytes; those besides the mail's own page size are shown as checked numbers.

    Returns
    -------
    polars.DataFrame
        Text: ``quantity``, ``mail`` (as quoted), ``stated`` (computed from the mail's premises),
        ``checked`` (computed from sourced premises), ``moved_by`` and ``source``.
    """
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    guard = real.premises["guard_pages"].place
    rows = [
        (
            f"address space of the smallest mean, {size_text(mail.small_mean)}",
            "4 KB",
            size_text(_area(mail, mail.small_mean)),
            size_text(_area(real, real.small_mean)),
            _moved(_area(mail, mail.small_mean), _area(real, real.small_mean), "guard page"),
            guard,
        )
    ]
    for name, quoted in _MAIL_SAYS.items():
        mean = getattr(mail, name)
        stated, checked = _served(mail, mean), _served(real, getattr(real, name))
        rows.append(
            (
                f"allocations per refill, mean {size_text(mean)}",
                f"~{count_text(quoted)}",
                count_text(stated),
                count_text(checked),
                _moved(stated, checked, "guard page"),
                guard,
            )
        )
    for page in sorted({*page_sizes} - {mail.page_size}):
        rows.append(
            (
                f"the same, mean {size_text(mail.small_mean)}, {size_text(page)} pages",
                "not given",
                "not given",
                count_text(_served(real, real.small_mean, page_size=page)),
                "page size: the smallest payload is one page",
                "data/platforms.csv",
            )
        )
    for name in _MAIL_SAYS:
        mean = getattr(mail, name)
        stated_gain, checked_gain = (_gain(one, getattr(one, name)) for one in (mail, real))
        rows.append(
            (
                f"what doubling the chunk does to it, mean {size_text(mean)}",
                "barely improves",
                stated_gain,
                checked_gain,
                "ratio or difference: what “barely” is measured in",
                "arithmetic",
            )
        )
    names = ["quantity", "mail", "stated", "checked", "moved_by", "source"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _area(preset: Premises, mean: int) -> int:
    return int(allocator_size(mean, preset.page_size, preset.guard_pages))


def _served(preset: Premises, mean: int, page_size: int | None = None) -> int:
    page = preset.page_size if page_size is None else page_size
    return int(allocations_per_refill(preset.chunk_size, mean, page, preset.guard_pages))


def _gain(preset: Premises, mean: int) -> str:
    gain = doubling_gain(preset.chunk_size, mean, preset.page_size, preset.guard_pages)
    return (
        f"{float(gain.ratio):.4g} times as many, "
        f"{1000 * float(gain.saved):.2g} fewer global visits per 1,000"
    )


def _moved(stated: int, checked: int, premise: str) -> str:
    return "none" if stated == checked else premise


def say_stated() -> str:
    """Word what the guard page does to the mail's two quotients."""
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    parts = []
    for name in _MAIL_SAYS:
        mean = getattr(mail, name)
        stated, checked = _served(mail, mean), _served(real, getattr(real, name))
        text = f"{count_text(stated)} allocations per refill at a mean of {size_text(mean)}"
        parts.append(text + (f" become {count_text(checked)}" if stated != checked else " stay"))
    return (
        "The mail's quotients follow from its premises. With the areas the allocator is really "
        f"asked for, {listed(parts)}."
    )


def say_allocations(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-amortisation`` from its table."""
    computed = table.filter(pl.col("what") == "computed")
    guarded = computed.filter(pl.col("guard_pages") == pl.col("guard_pages").max())
    bare = computed.filter(pl.col("guard_pages") == 0)
    least = pl.col("mean_size") == pl.col("mean_size").min()
    first = guarded.filter(least)
    each = [
        f"{count_text(row['allocations'])} ({size_text(row['page_size'])} pages)"
        for row in first.iter_rows(named=True)
    ]
    mean = size_text(first["mean_size"].to_list()[0])
    text = f"At a mean payload of {mean} a chunk of {size_text(chunk_size)} serves {listed(each)}"
    if first["guard_pages"].to_list()[0] == 0:
        return f"{text} requests, without guard page."
    without = [count_text(one) for one in bare.filter(least)["allocations"].to_list()]
    return (
        f"{text} requests with their guard page, where the quotient without it gives "
        f"{listed(without)}.{_weight_of_the_guard(guarded, bare)}"
    )


def _weight_of_the_guard(guarded: pl.DataFrame, bare: pl.DataFrame) -> str:
    """Word what the guard page costs at the mail's larger mean, if it is eligible."""
    mean = load_premises()["as-stated"].large_mean
    large = pl.col("mean_size") == mean
    both = guarded.filter(large).join(
        bare.filter(large), on="page_size", suffix="_bare", maintain_order="left"
    )
    if both.is_empty():
        return ""
    one = both.row(0, named=True)
    return (
        f" At {size_text(mean)} it is {count_text(one['allocations'])} against "
        f"{count_text(one['allocations_bare'])} ({size_text(one['page_size'])} pages)."
    )


def visits_text(visits: float) -> str:
    """Print a number of visits in words.

    Examples
    --------
    >>> visits_text(1.0), visits_text(0.5), visits_text(1000)
    ('1 visit', '0.5 visits', '1,000 visits')
    """
    return f"{visits:,g} visit" + ("" if visits == 1 else "s")


def say_doubling(table: pl.DataFrame, chunk_size: int, barely: float) -> str:
    """Word the caption of ``fig-doubling``: the ratio, the saving, and where it is small."""
    eligible = table.filter(pl.col("allocations") > 0)
    here = eligible.filter(pl.col("chunk_size") == chunk_size)
    if here.is_empty():
        return f"No mean payload shown is eligible for a chunk of {size_text(chunk_size)}."
    ratios = eligible["ratio"].to_list()
    low, high = f"{min(ratios):.3g}", f"{max(ratios):.3g}"
    span = low if low == high else f"{low} to {high}"
    small = [size_text(one) for one in here.filter("barely")["mean_size"].to_list()]
    large = [
        f"{_two_digits(row['saved'])} for {size_text(row['mean_size'])}"
        for row in here.filter(~pl.col("barely")).iter_rows(named=True)
    ]
    saves = [f"less than {barely:,g} for a mean of {listed(small)}"] if small else []
    saves += [listed(large)] if large else []
    elsewhere = " Elsewhere every allocation is a visit." if eligible.height < table.height else ""
    return (
        f"Wherever a chunk shown admits the mean, doubling it divides the visits by {span}: the "
        f"ratio has no knee.{elsewhere} What shrinks is the saving. Twice {size_text(chunk_size)} "
        f"saves, in visits per 1,000 allocations, {'; '.join(saves)}. "
        f"{_thresholds(eligible, barely)}"
    )


def _thresholds(eligible: pl.DataFrame, barely: float) -> str:
    """From which chunk size on, of those shown, doubling saves less than `barely`, by mean."""
    parts, never = [], []
    for mean in eligible["mean_size"].unique().sort().to_list():
        one = eligible.filter(pl.col("mean_size") == mean).sort("chunk_size")
        saves = one.filter(~pl.col("barely"))["chunk_size"].to_list()
        later = one.filter(pl.col("chunk_size") > max(saves, default=0))["chunk_size"].to_list()
        if later:
            parts.append(f"{size_text(later[0])} for {size_text(mean)}")
        else:
            never.append(size_text(mean))
    text = ""
    if parts:
        text = f"The chunk from which on it saves less than {barely:,g} is {listed(parts)}"
    if never:
        text += "; for" if text else "For"
        text += f" {listed(never)} no chunk shown is that large"
    return text + "."
