"""``fig-chunk-bytes``: what of the chunks filled with recorded requests is not payload."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.units import share_text, size_text

__all__ = ["chart"]

_PARTS = {
    "guard": theme.SKY,
    "padding": theme.ORANGE,
    "tail": theme.VERMILION,
    "unused": theme.MUTED,
}
_LETTER = 0.03
"""Part of the axis from which a part is wide enough for its letter."""


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.chunk_bytes.chunk_bytes_table`."""
    every = table.with_columns(
        stream=pl.concat_str("run", pl.lit(", "), "order"),
        chunk=pl.col("chunk_size").map_elements(size_text, pl.String),
    )
    shown = (
        every.filter(pl.col("part").is_in(list(_PARTS)))
        .with_columns(
            name=pl.col("part").replace_strict({part: _name(part) for part in _PARTS}),
            percent=100 * pl.col("share"),
            rank=pl.col("part").replace_strict({part: i for i, part in enumerate(_PARTS)}),
            size=pl.col("bytes").map_elements(size_text, pl.String),
            group=pl.struct("stream", "chunk_size"),
        )
        .with_columns(end=pl.col("percent").cum_sum().over("group", order_by="rank"))
        .with_columns(
            start=pl.col("end") - pl.col("percent"), total=pl.col("end").max().over("group")
        )
        .drop("group")
    )
    most = max(shown["end"].to_list())
    shown = shown.with_columns(
        middle=(pl.col("start") + pl.col("end")) / 2,
        letter=pl.when(pl.col("percent") >= _LETTER * most)
        .then(pl.col("part").str.slice(0, 1).str.to_uppercase())
        .otherwise(pl.lit("")),
        sum=pl.when(pl.col("rank") == len(_PARTS) - 1)
        .then((pl.col("total") / 100).map_elements(share_text, pl.String))
        .otherwise(pl.lit("")),
    )
    streams = shown["stream"].unique(maintain_order=True).to_list()
    chunks = shown.unique("chunk", maintain_order=True).sort("chunk_size")["chunk"].to_list()
    rows = [
        _row(shown.filter(pl.col("stream") == stream), stream, chunks, most, stream == streams[-1])
        for stream in streams
    ]
    return alt.vconcat(*rows, spacing=12)


def _row(
    shown: pl.DataFrame, stream: str, chunks: list[str], most: float, last: bool
) -> alt.LayerChart | alt.FacetChart:
    """One stream's bars; the last one carries the axis of all."""
    base = alt.Chart(shown).encode(y=alt.Y("chunk:N", title="chunk size", sort=chunks))
    scale = alt.Scale(domain=[_name(part) for part in _PARTS], range=list(_PARTS.values()))
    title = "share of all chunk bytes that is not payload (%)"
    bars = base.mark_bar(height=18, stroke=theme.PAPER, strokeWidth=0.6).encode(
        x=alt.X(
            "start:Q",
            scale=alt.Scale(domain=[0, 1.12 * most], nice=False),
            axis=alt.Axis(title=title if last else None, labels=last, ticks=last),
        ),
        x2="end:Q",
        # no columns: on a phone the page stacks the legend
        color=alt.Color("name:N", title=None, scale=scale),
        tooltip=[
            alt.Tooltip("stream:N", title="recorded run, order"),
            alt.Tooltip("chunk:N", title="chunk size"),
            alt.Tooltip("part:N", title="part"),
            alt.Tooltip("size:N", title="bytes"),
            alt.Tooltip("percent:Q", title="share of chunk bytes (%)", format=".2f"),
        ],
    )
    letters = base.mark_text(color=theme.ON_DARK_FILL, fontSize=11).encode(
        x="middle:Q", text="letter:N"
    )
    sums = base.mark_text(align="left", dx=5).encode(x="end:Q", text="sum:N")
    heading = alt.Title(stream, fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(bars, letters, sums).properties(width=theme.WIDTH - 90, title=heading)


def _name(part: str) -> str:
    return f"{part} ({part[0].upper()})"
