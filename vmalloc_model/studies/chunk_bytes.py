"""Chapter *Refill amortisation*: sizes of recorded requests, and where the bytes of chunks go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from vmalloc_model.studies.platform_rows import listed
from vmalloc_model.studies.recorded import recorded
from vmalloc_model.studies.streams import fill_stream, guarded, streams
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, share_text, size_text

__all__ = [
    "chunk_bytes_summary",
    "chunk_bytes_table",
    "run_means_table",
    "say_chunk_bytes",
    "say_run_means",
    "shown_run_means",
]

_CHUNK_BYTES: Final = {
    "run": pl.String,
    "order": pl.String,
    "chunk_size": pl.Int64,
    "part": pl.String,
    "bytes": pl.Int64,
    "share": pl.Float64,
}
_RUN_MEANS: Final = {
    "run": pl.String,
    "cpus": pl.Int64,
    "requests": pl.Int64,
    "median": pl.Float64,
    "mean": pl.Float64,
    "largest": pl.Int64,
    "one_page": pl.Float64,
    "small": pl.Float64,
    "aligned": pl.Float64,
    "per_refill": pl.Float64,
}


def chunk_bytes_table(runs: Sequence[str], chunk_size: int) -> pl.DataFrame:
    """Where the bytes of the chunks of recorded streams go (``fig-chunk-bytes``).

    Parameters
    ----------
    runs : sequence of str
        Ids or files, as for `vmalloc_model.runs.find_run`.
    chunk_size : int
        Bytes; chunks of a sixteenth, a quarter and four times of it are filled as well.

    Returns
    -------
    polars.DataFrame
        ``run``, ``order``, ``chunk_size`` (bytes), ``part``, ``bytes`` and ``share`` of all chunk
        bytes. The parts: ``payload`` (whole pages), ``guard``, ``padding`` (skipped for alignment),
        ``tail`` (behind the pointer of chunks given up) and ``unused`` (behind the pointer of the
        chunks that are current at the end). Runs without an eligible request have no rows.
    """
    rows = []
    for run, order, requests in streams(runs):
        for chunk in _around(chunk_size, run.page_size):
            served, _, filling = fill_stream(requests, chunk, run.page_size, order)
            guard = run.page_size * int(served.select(guarded().sum()).item() or 0)
            parts = {
                "payload": filling.requested - guard,
                "guard": guard,
                "padding": filling.padding,
                "tail": filling.tail,
                "unused": filling.rest,
            }
            total = filling.refills * chunk
            rows += [
                (run.id, order, chunk, part, size, size / total)
                for part, size in parts.items()
                if total
            ]
    return pl.DataFrame(rows, schema=_CHUNK_BYTES, orient="row")


def chunk_bytes_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Put the shares of `chunk_bytes_table` into one row per stream and chunk size."""
    named = table.with_columns(chunk=pl.col("chunk_size").map_elements(size_text, pl.String))
    return wide(named, ["run", "order", "chunk"], "part", "share", share_text)


def _around(chunk_size: int, page_size: int) -> list[int]:
    sizes = (chunk_size // 16, chunk_size // 4, chunk_size, 4 * chunk_size)
    return [size for size in sizes if size >= 2 * page_size]


def run_means_table(runs: Sequence[str], chunk_size: int) -> pl.DataFrame:
    """Sizes that recorded runs asked for in the standard window (``tab-run-means``).

    Parameters
    ----------
    runs : sequence of str
        Ids or files, as for `vmalloc_model.runs.find_run`.
    chunk_size : int
        Bytes.

    Returns
    -------
    polars.DataFrame
        One row per run: ``run``, ``cpus``, ``requests``; ``median``, ``mean`` and ``largest``
        request in bytes with guard; the shares ``one_page`` (payload of one page), ``small`` (5
        pages or less with guard, as a kernel stack) and ``aligned`` (to more than a page); and
        ``per_refill``: requests that one chunk served on average, all of them reaching it.
    """
    rows = []
    for name in runs:
        run, requests = recorded(name)
        asked = requests.filter("in_window")
        page = run.page_size
        order = "no pools" if run.cpus == 1 else "before pools"
        served, _, filling = fill_stream(asked, chunk_size, page, order)
        size = asked["size"]
        rows.append(
            {
                "run": run.id,
                "cpus": run.cpus,
                "requests": asked.height,
                "median": size.median(),
                "mean": size.mean(),
                "largest": size.max(),
                "one_page": asked.select(((pl.col("size") == 2 * page) & guarded()).mean()).item(),
                "small": (size <= 5 * page).mean(),
                "aligned": (asked["align"] > page).mean(),
                "per_refill": served.height / filling.refills if filling.refills else None,
            }
        )
    return pl.DataFrame(rows, schema=_RUN_MEANS)


def shown_run_means(table: pl.DataFrame) -> pl.DataFrame:
    """Print the sizes and shares of `run_means_table` for readers; same rows."""

    def size(name: str) -> pl.Expr:
        return pl.col(name).map_elements(size_text, pl.String)

    def share(name: str) -> pl.Expr:
        return pl.col(name).map_elements(share_text, pl.String)

    return table.select(
        "run",
        "cpus",
        "requests",
        size("median"),
        size("mean"),
        size("largest"),
        share("one_page"),
        share("small"),
        share("aligned"),
        pl.col("per_refill").round(1),
    )


def say_chunk_bytes(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-chunk-bytes``: what is lost at this chunk size and at others."""
    lost = (
        table.filter(pl.col("part") != "payload")
        .group_by("run", "order", "chunk_size", maintain_order=True)
        .agg(pl.col("share").sum())
    )
    here = lost.filter(pl.col("chunk_size") == chunk_size)
    if here.is_empty():
        return f"No recorded request is eligible for a chunk of {size_text(chunk_size)}."
    worst = here.sort("share", descending=True, maintain_order=True).row(0, named=True)
    parts = table.filter(
        (pl.col("run") == worst["run"])
        & (pl.col("order") == worst["order"])
        & (pl.col("chunk_size") == chunk_size)
        & (pl.col("part") != "payload")
    ).sort("share", descending=True, maintain_order=True)
    largest = parts.row(0, named=True)
    text = (
        f"In chunks of {size_text(chunk_size)}, {_shares(here)} of the bytes are not payload; most "
        f"in {worst['run']}, where the largest part is {largest['part']} "
        f"({share_text(largest['share'])})."
    )
    tails = table.filter(pl.col("part") == "tail")
    each = [
        f"{_shares(tails.filter(pl.col('chunk_size') == size))} at {size_text(size)}"
        for size in tails["chunk_size"].unique().sort().to_list()
    ]
    return f"{text} Tails take {listed(each)}."


def _shares(table: pl.DataFrame) -> str:
    texts = [share_text(share) for share in (table["share"].min(), table["share"].max())]  # type: ignore[arg-type]
    return texts[0] if texts[0] == texts[1] else f"{texts[0]} to {texts[1]}"


def say_run_means(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-run-means``: mean against median, and one-page requests."""

    def span(name: str, text: Callable[[float], str]) -> str:
        values = [value for value in table[name].to_list() if value is not None]
        low, high = text(min(values)), text(max(values))
        return low if low == high else f"{low} to {high}"

    said = (
        f"The mean request is {span('mean', size_text)}, the median {span('median', size_text)}; "
        f"{span('one_page', share_text)} of the requests have a payload of one page."
    )
    if table["per_refill"].null_count() == table.height:
        return f"{said} None is eligible for a chunk of {size_text(chunk_size)}."
    return (
        f"{said} A chunk of {size_text(chunk_size)} serves {span('per_refill', count_text)} of "
        "them on average, when every request reaches it."
    )
