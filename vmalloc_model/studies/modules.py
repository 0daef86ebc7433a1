"""Chapter *Eligibility coverage*: how large a distribution's modules are."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.callers import SECTIONS, load_modules
from vmalloc_model.constraints import largest_eligible
from vmalloc_model.units import count_text, round_up, size_text

__all__ = [
    "MEASURES",
    "counted",
    "module_sizes",
    "modules_above",
    "modules_summary",
    "modules_table",
    "say_modules",
]

MEASURES: Final = {
    "file": ".ko file, one buffer",
    "sections": "all sections together",
    "largest": "largest section",
}
"""What is measured of a module: the sum of the sections is never one request."""

_TOP: Final = 60
"""So many of the largest modules are drawn one by one."""

_PER_DOUBLING: Final = 24
"""Points for each doubling of the rank below them."""


def module_sizes(page_size: int) -> pl.DataFrame:
    """Sizes of the distribution's modules in bytes, without guard pages.

    Parameters
    ----------
    page_size : int
        Bytes; sections are rounded up to it one by one, as the loader does.

    Returns
    -------
    polars.DataFrame
        One row per module: ``module``, ``file``, ``sections`` (sum) and ``largest`` (section).
    """
    modules = load_modules()
    sections = [
        pl.Series(round_up(modules[f"{section}_bytes"].to_numpy(), page_size))
        for section in SECTIONS
    ]
    return modules.select(
        "module",
        file="file_bytes",
        sections=pl.sum_horizontal(sections),
        largest=pl.max_horizontal(sections),
    )


def modules_table(page_size: int) -> pl.DataFrame:
    """How many modules are at least how large (``fig-modules``).

    Parameters
    ----------
    page_size : int
        Bytes, as in `module_sizes`.

    Returns
    -------
    polars.DataFrame
        ``measure`` (see `module_sizes`), ``what`` (the same in words), ``size`` (bytes),
        ``modules`` (at least that large) and ``share`` of all. The largest modules are all there,
        of the others a selection.
    """
    sizes = module_sizes(page_size)
    parts = []
    for measure, what in MEASURES.items():
        ranked = (
            sizes.group_by(pl.col(measure).alias("size"))
            .len()
            .sort("size", descending=True)
            .select("size", modules=pl.col("len").cum_sum().cast(pl.Int64))
            .filter(pl.col("size") > 0)
        )
        octave = (_PER_DOUBLING * pl.col("modules").log(2)).floor()
        kept = (
            (pl.col("modules") <= _TOP)
            | (octave != octave.shift(1).fill_null(-1))
            | (pl.col("size") == pl.col("size").min())
        )
        parts.append(
            ranked.filter(kept).select(
                measure=pl.lit(measure),
                what=pl.lit(what),
                size="size",
                modules="modules",
                share=pl.col("modules") / sizes.height,
            )
        )
    return pl.concat(parts)


def modules_above(page_size: int, guard_pages: int, chunk_size: int) -> dict[str, int]:
    """Modules whose `module_sizes` need more than half a chunk, by measure."""
    limit = int(largest_eligible(chunk_size, page_size, guard_pages))
    sizes = module_sizes(page_size)
    return {measure: sizes.filter(pl.col(measure) > limit).height for measure in MEASURES}


def modules_summary(page_size: int, guard_pages: int, chunk_size: int) -> pl.DataFrame:
    """Count the modules that need more than half a chunk, for chunks around `chunk_size`."""
    rows = [
        {"chunk": size_text(chunk)} | modules_above(page_size, guard_pages, chunk)
        for chunk in (
            chunk_size // 16,
            chunk_size // 4,
            chunk_size // 2,
            chunk_size,
            2 * chunk_size,
        )
    ]
    return pl.DataFrame(rows).rename({name: f"above half: {name}" for name in MEASURES})


def say_modules(page_size: int, guard_pages: int, chunk_size: int) -> str:
    """Word the caption of ``fig-modules``: the largest, and how many smaller chunks exclude."""
    sizes = module_sizes(page_size)
    largest = {
        measure: sizes.sort(measure, descending=True, maintain_order=True).row(0, named=True)
        for measure in MEASURES
    }
    text = (
        f"Of {count_text(sizes.height)} modules the largest file has "
        f"{size_text(largest['file']['file'])} ({largest['file']['module']}), the largest section "
        f"{size_text(largest['largest']['largest'])} ({largest['largest']['module']})."
    )
    for size in (chunk_size, chunk_size // 2, chunk_size // 4):
        above = modules_above(page_size, guard_pages, size)
        text += (
            f" A chunk of {size_text(size)} excludes {counted(above['file'], 'file')} and "
            f"{counted(above['largest'], 'section')}."
        )
    return text


def counted(count: int, noun: str) -> str:
    """Count things in words: ``no files``, ``1 file``, ``2 files``."""
    return f"{count_text(count) if count else 'no'} {noun}{'' if count == 1 else 's'}"
