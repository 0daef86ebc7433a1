"""Chapter *Eligibility coverage*: which share of recorded requests and modules a chunk admits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.callers import load_modules, module_sections
from vmalloc_model.requests import WhyNot, allocator_size, eligible, why_not
from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.recorded import recorded
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "eligible_summary",
    "eligible_table",
    "module_window",
    "rules_table",
    "say_eligible",
    "say_module_window",
    "say_rules",
    "shown_rules",
]

_SECTIONS: Final = "module sections"
_FILES: Final = ".ko files"

_Stream = tuple[str, str, npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_], int]
"""Name, label, sizes with guard, alignments, whether in the standard window, page size."""


def eligible_table(
    runs: Sequence[str],
    chunk_sizes: Sequence[int],
    chunk_size: int,
    page_size: int,
    guard_pages: int,
) -> pl.DataFrame:
    """Share of requests and of bytes that each chunk size admits, as the code says.

    The table behind ``fig-eligible``.

    Parameters
    ----------
    runs : sequence of str
        Recorded runs; their requests keep the guard and page size of the recording, and the ones
        outside the standard window count as not eligible.
    chunk_sizes, chunk_size : sequence of int, int
        Bytes: the chunk sizes swept, and one that is always among them.
    page_size, guard_pages : int
        Bytes; pages: for the modules, whose requests count as if they were in the window.

    Returns
    -------
    polars.DataFrame
        ``stream`` (run, ``module sections`` or ``.ko files``), ``label``, ``chunk_size`` (bytes),
        ``measure`` (``requests`` or ``bytes``), ``admitted``, ``total`` and ``share``.
    """
    rows = []
    for stream, label, size, align, window, page in _streams(runs, page_size, guard_pages):
        for chunk in sorted({*chunk_sizes, chunk_size}):
            admitted = eligible(size, align, window, chunk, page)
            for measure, weight in (("requests", np.ones_like(size)), ("bytes", size)):
                part, whole = int(weight[admitted].sum()), int(weight.sum())
                rows.append((stream, label, chunk, measure, part, whole, part / whole))
    names = ["stream", "label", "chunk_size", "measure", "admitted", "total", "share"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _streams(runs: Sequence[str], page_size: int, guard_pages: int) -> Iterator[_Stream]:
    for name in runs:
        run, asked = recorded(name)
        columns = [asked[column].to_numpy() for column in ("size", "align", "in_window")]
        yield run.id, "MEASURED requests", columns[0], columns[1], columns[2], run.page_size
    modules = load_modules()
    for label, payload in (
        (_SECTIONS, module_sections(modules)["bytes"].to_numpy()),
        (_FILES, modules["file_bytes"].to_numpy()),
    ):
        size = allocator_size(payload, page_size, guard_pages)
        one = np.ones_like(size)
        yield label, "MODEL: as if in the window", size, one, one.astype(np.bool_), page_size


def eligible_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put the shares of `eligible_table` into one row per measure and chunk size."""
    named = table.sort("measure", descending=True, maintain_order=True).with_columns(
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String)
    )
    return wide(named, ["measure", "chunk"], "stream", "share", _part)


def _part(share: float) -> str:
    """Print a share so that only the whole is 100 %."""
    text = share_text(share)
    return "below 100 %" if share < 1 and text == share_text(1.0) else text


def say_eligible(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-eligible``: what a chunk admits, and what half of it would lose."""
    requests = table.filter(pl.col("measure") == "requests")
    here = requests.filter(pl.col("chunk_size") == chunk_size)
    parts = [f"{_part(row['share'])} ({row['stream']})" for row in here.iter_rows(named=True)]
    text = f"A chunk of {size_text(chunk_size)} admits {listed(parts)} of the requests"
    lost = here.filter(pl.col("admitted") < pl.col("total"))
    most = requests.group_by("stream", maintain_order=True).agg(pl.col("admitted").max())
    never = (
        lost.join(most, on="stream", suffix="_most", maintain_order="left")
        .filter(pl.col("admitted") == pl.col("admitted_most"))["stream"]
        .to_list()
    )
    text += f"; no chunk shown admits more of {listed(never)}." if never else "."
    for part in (2, 4):
        small = requests.filter(pl.col("chunk_size") == chunk_size // part)
        if small.is_empty():
            continue
        both = here.join(small, on="stream", suffix="_small", maintain_order="left")
        losses = [
            f"{count_text(row['admitted'] - row['admitted_small'])} of {count_text(row['total'])} "
            f"({row['stream']})"
            for row in both.iter_rows(named=True)
            if row["admitted"] > row["admitted_small"]
        ]
        text += (
            f" {size_text(chunk_size // part)} would lose "
            f"{listed(losses) if losses else 'none of them'}."
        )
    return text


def rules_table(runs: Sequence[str], chunk_size: int) -> pl.DataFrame:
    """Count recorded requests by rule, and why they fail (``tab-rules``).

    Parameters
    ----------
    runs : sequence of str
        Recorded runs.
    chunk_size : int
        Bytes.

    Returns
    -------
    polars.DataFrame
        One row per run: ``run``, ``requests``, ``outside`` (the standard window); of those inside
        ``over_half`` and ``align`` (not eligible by size or alignment, as the code says); and the
        shares of all requests that are eligible as ``code``, ``comment`` and ``rfc12`` say. The
        node, which the commit message adds to the comment's conditions, is not recorded.
    """
    rows = []
    for name in runs:
        run, asked = recorded(name)
        size, align, window = (
            asked[column].to_numpy() for column in ("size", "align", "in_window")
        )
        reasons = {
            rule: why_not(size, align, window, chunk_size, run.page_size, rule)
            for rule in ("code", "comment", "rfc12")
        }
        code = reasons["code"]
        row = {
            "run": run.id,
            "requests": asked.height,
            "outside": int(np.count_nonzero(code == WhyNot.WINDOW)),
            "over_half": int(np.count_nonzero(code == WhyNot.OVER_HALF)),
            "align": int(np.count_nonzero(code == WhyNot.ALIGN)),
        }
        row |= {rule: float((why == WhyNot.ELIGIBLE).mean()) for rule, why in reasons.items()}
        rows.append(row)
    return pl.DataFrame(rows)


def shown_rules(table: pl.DataFrame) -> pl.DataFrame:
    """Print the shares of `rules_table` for readers; same rows."""
    return table.with_columns(
        pl.col(rule).map_elements(_part, pl.String) for rule in ("code", "comment", "rfc12")
    )


def say_rules(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-rules``: rejections by size and alignment, code against comment."""
    rejected = sum(table["over_half"].to_list()) + sum(table["align"].to_list())
    inside = sum(table["requests"].to_list()) - sum(table["outside"].to_list())
    none = count_text(rejected) if rejected else "none"
    text = (
        f"At {size_text(chunk_size)} the code rejects {none} of "
        f"{count_text(inside)} requests in the standard window."
    )
    gaps = [
        f"{_part(row['code'])} to {_part(row['comment'])} ({row['run']})"
        for row in table.filter(pl.col("comment") < pl.col("code")).iter_rows(named=True)
    ]
    if gaps:
        text += f" The comment above it would lower the eligible share from {listed(gaps)}."
    return text


def module_window(runs: Sequence[str]) -> pl.DataFrame:
    """Count requests for module sections, where a recording names the caller.

    Parameters
    ----------
    runs : sequence of str
        Recorded runs. ftrace text names no callers; such runs have no row.

    Returns
    -------
    polars.DataFrame
        ``run``, ``requests`` of ``load_module`` aligned to a page, as sections are, and ``inside``:
        those in the standard window.
    """
    rows = []
    for name in runs:
        run, asked = recorded(name)
        if asked["caller"].null_count() < asked.height:
            sections = asked.filter((pl.col("caller") == "load_module") & (pl.col("align") > 1))
            rows.append((run.id, sections.height, sections.filter("in_window").height))
    schema = {"run": pl.String, "requests": pl.Int64, "inside": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def say_module_window(runs: Sequence[str]) -> str:
    """Word how many recorded requests for module sections were in the standard window."""
    found = module_window(runs)
    if found.is_empty():
        return "These recordings do not name the callers of their requests."
    parts = [
        f"{count_text(row['inside']) if row['inside'] else 'none'} of the "
        f"{count_text(row['requests'])}{'' if k else ' requests for module sections'} "
        f"in {row['run']}"
        for k, row in enumerate(found.iter_rows(named=True))
    ]
    verb = "is" if found["inside"].to_list() in ([0], [1]) else "are"
    return f"Where a recording names the caller, {listed(parts)} {verb} in the standard window."
