"""``fig-pinning-grid``: what replaced chunks hold, by how many areas live long, and how long."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.units import MIB, share_text, size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.pinning.grid_table`; no tile: no row."""
    most = max(max(table["held"].to_list()), 2 * MIB)
    shown = table.with_columns(
        size=pl.col("held").map_elements(size_text, pl.String),
        alive=pl.col("live").map_elements(size_text, pl.String),
        # a logarithmic scale has no 0
        shade=pl.max_horizontal("held", MIB),
        text=pl.struct("held", "share").map_elements(_text, pl.String),
        dark=pl.col("held") < _middle(most),
    )
    columns = shown.sort("pinned")["long"].unique(maintain_order=True).to_list()
    rows = shown["stays"].unique(maintain_order=True).to_list()
    base = alt.Chart(shown).encode(
        x=alt.X("long:N", title="allocations that live long", sort=columns),
        y=alt.Y("stays:N", title="their life, in allocations", sort=rows),
        tooltip=[
            alt.Tooltip("long:N", title="live long"),
            alt.Tooltip("stays:N", title="their life"),
            alt.Tooltip("installed:Q", title="chunks installed", format=","),
            alt.Tooltip("chunks:Q", title="replaced and held", format=","),
            alt.Tooltip("thin:Q", title="of these, below 1 % live", format=","),
            alt.Tooltip("size:N", title="address space held"),
            alt.Tooltip("alive:N", title="live in it"),
        ],
    )
    tiles = base.mark_rect(stroke=theme.PAPER, strokeWidth=1.5).encode(
        color=alt.Color(
            "shade:Q",
            legend=None,
            scale=alt.Scale(type="log", domain=[MIB, most], scheme="viridis"),
        )
    )
    texts = [
        base.transform_filter(condition)
        .mark_text(color=colour, fontSize=11, lineBreak="\n", dy=-6, lineHeight=13)
        .encode(text="text:N")
        for condition, colour in (
            ("datum.dark", theme.ON_DARK_FILL),
            ("!datum.dark", theme.ON_LIGHT_FILL),
        )
    ]
    return alt.layer(tiles, *texts).properties(height={"step": 46})


def _middle(most: int) -> float:
    """Bytes from which a tile's colour is light."""
    return float(MIB * (most / MIB) ** 0.6)


def _text(row: dict[str, float | None]) -> str:
    thin = "" if row["share"] is None else f"\n{share_text(row['share'])} thin"
    return f"{size_text(row['held'] or 0)}{thin}"
