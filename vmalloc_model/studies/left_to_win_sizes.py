"""Chapter *What is left to win*: sentences on chunk sizes and on numbers of CPUs."""

from __future__ import annotations

import polars as pl

from vmalloc_model.studies.left_to_win import ENOUGH, SMALL, SWEPT
from vmalloc_model.studies.left_to_win_words import range_text, rate_text
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import cpus_text, share_text, size_text

__all__ = [
    "chunk_summary",
    "cpus_shown",
    "knee_shown",
    "knee_summary",
    "say_chunk",
    "say_cpus",
    "say_knee",
    "say_knee_table",
    "say_knees",
]


def say_chunk(table: pl.DataFrame) -> str:
    """Word the caption of ``fig-left-chunk``: what larger chunks lower, and what they do not."""
    sizes = table["chunk_size"].to_list()
    low, high = min(sizes), max(sizes)
    parts = ["Visits to the global lock per 1,000 allocations against chunk size, second half."]
    for name in SWEPT:
        rows = table.filter(pl.col("variant") == name)
        ends = rows.filter(pl.col("chunk_size") == low).select("stream", first="visits")
        ends = ends.join(
            rows.filter(pl.col("chunk_size") == high), on="stream", how="left"
        ).with_columns(left=pl.col("rest"))
        parts.append(
            f"{name}: from {range_text(ends, 'first')} at {size_text(low)}; what is not for "
            f"chunks, and so is left, is {range_text(ends, 'left')} at {size_text(high)}."
        )
    return " ".join(parts)


def chunk_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Visits, one row for each stream and variant, a column for each chunk size."""
    named = table.with_columns(chunk=pl.col("chunk_size").map_elements(size_text, pl.String))
    return wide(named, ["stream", "variant"], "chunk", "visits", rate_text)


def say_knees(knees: pl.DataFrame, chunk_size: int, barely: float) -> str:
    """Word the verdict: on how many streams the knee is below, at or above the chunk."""
    words = []
    for name in SWEPT:
        found = knees.filter(pl.col("variant") == name)["knee"].to_list()
        below = sum(one is not None and one < chunk_size for one in found)
        at = sum(one == chunk_size for one in found)
        words.append(
            f"for {name} below {size_text(chunk_size)} on {below} of {len(found)} streams, at it "
            f"on {at} and above it on {len(found) - below - at}"
        )
    return (
        f"The smallest chunk from which on every doubling saves less than {barely:g} per 1,000 "
        f"allocations is {'; '.join(words)}."
    )


def say_knee(knees: pl.DataFrame, chunk_size: int, barely: float) -> str:
    """Word the caption of ``fig-left-knee``: both criteria, and how far apart the streams are."""
    parts = [say_knees(knees, chunk_size, barely)]
    for name in SWEPT:
        rows = knees.filter(pl.col("variant") == name)
        told = rows.drop_nulls("knee")
        few, known = rows["few"].drop_nulls().len(), rows["told"].drop_nulls().len()
        if told.height:
            parts.append(f"Knees of {name}: {range_text(told, 'knee', size_text)}.")
        parts.append(
            f"Visits for chunks fall below {share_text(SMALL)} of all on {few} of the {known} "
            f"streams that tell for {name}."
        )
    return " ".join(parts)


def knee_summary(knees: pl.DataFrame) -> pl.DataFrame:
    """Both criteria as text, one row for each stream and variant."""
    return knees.select(
        "stream",
        "variant",
        knee=pl.Series([_size(one) for one in knees["knee"]], dtype=pl.String),
        few=pl.Series([_few(row) for row in knees.iter_rows(named=True)], dtype=pl.String),
    )


def _size(size: int | None) -> str:
    return "none" if size is None else size_text(size)


def _few(row: dict[str, int | None]) -> str:
    if row["told"] is None:
        return "too few refills"
    return _size(row["few"]) if row["few"] else f"over {size_text(row['told'])}"


def knee_shown(knees: pl.DataFrame) -> pl.DataFrame:
    """Print `vmalloc_model.studies.left_to_win.knee_table` (``tab-left-knee``)."""

    def rate(value: float | None) -> str:
        return "-" if value is None else rate_text(value)

    rows = [
        (
            row["stream"],
            row["variant"],
            _size(row["knee"]),
            _few(row),
            rate(row["visits"]),
            rate(row["doubled"]),
            rate(row["refill"]),
            rate(row["refill_doubled"]),
            rate(row["rest"]),
        )
        for row in knees.iter_rows(named=True)
    ]
    names = ["stream", "variant", "knee", "few", "visits", "doubled", "refill", "twice", "rest"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_knee_table(knees: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-left-knee``: what doubling the chunk does to refills and to all."""
    rows = knees.filter((pl.col("refill") > 0) & (pl.col("refill_doubled") > 0))
    rows = rows.filter((pl.col("visits") > 0) & (pl.col("told") >= 2 * chunk_size))
    text = (
        "Where larger chunks stop to help (*over* a size: not up to it, the largest that tells); "
        "visits, and of these refills, per 1,000 allocations with chunks of "
        f"{size_text(chunk_size)} and with the size doubled; visits left at the largest chunk."
    )
    if not rows.height:
        return f"{text} No stream tells what doubling does to refills here."
    rows = rows.with_columns(
        refills=pl.col("refill") / pl.col("refill_doubled"),
        all=pl.col("visits") / pl.col("doubled"),
    )
    return (
        f"{text} Where both sizes had {ENOUGH} refills or more for each CPU, doubling divides "
        f"refills by {range_text(rows, 'refills', _factor)}, and all visits by "
        f"{range_text(rows, 'all', _factor)}."
    )


def _factor(value: float) -> str:
    return f"{value:.3g}"


def cpus_shown(table: pl.DataFrame) -> pl.DataFrame:
    """Print `vmalloc_model.studies.left_to_win.cpus_table`: visits, and those that give back.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``cpus``, and a column for each variant: "visits (of these giving back)".
    """
    shown = table.with_columns(
        cell=pl.Series(
            [
                f"{rate_text(row['visits'])} ({rate_text(row['return'] + row['release'])})"
                for row in table.iter_rows(named=True)
            ],
            dtype=pl.String,
        )
    )
    return wide(shown, ["stream", "cpus"], "variant", "cell", str)


def say_cpus(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-left-cpus``: how visits change from the fewest CPUs to the most."""
    counts = table["cpus"].to_list()
    few, most = min(counts), max(counts)
    parts = [
        "Visits to the global lock per 1,000 allocations, second half, and in brackets those that "
        "give addresses back, by the number of CPUs and of vmap nodes."
    ]
    if few == most:
        return f"{parts[0]} Only {cpus_text(few)} {'was' if few == 1 else 'were'} tried."
    for name in table["variant"].unique(maintain_order=True).to_list():
        rows = table.filter(pl.col("variant") == name)
        ends = rows.filter(pl.col("cpus") == few).select("stream", first="visits")
        ends = ends.join(rows.filter(pl.col("cpus") == most), on="stream", how="left")
        ends = ends.with_columns(more=pl.col("visits") - pl.col("first"))
        row = ends.sort("more", descending=True, maintain_order=True).row(0, named=True)
        if row["more"] > 0:
            parts.append(
                f"{name}: most is added on *{row['stream']}*, {rate_text(row['first'])} with "
                f"{cpus_text(few)}, {rate_text(row['visits'])} with {cpus_text(most)}, of which "
                f"{rate_text(row['return'] + row['release'])} give back."
            )
        else:
            parts.append(
                f"{name}: no stream has more with {cpus_text(most)} than with {cpus_text(few)}."
            )
    return " ".join(parts)
