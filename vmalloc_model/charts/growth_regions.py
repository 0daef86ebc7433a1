"""``fig-growth-regions``: page-table pages that each policy has needed, and their bytes."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.growth_panels import heading
from vmalloc_model.units import count_text, size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.growth.end_table`."""
    shown = table.with_columns(
        size=pl.col("page_table_bytes").map_elements(size_text, pl.String),
        region=pl.col("region_size").map_elements(size_text, pl.String),
        text=pl.col("page_tables").map_elements(count_text, pl.String)
        + pl.lit(" = ")
        + pl.col("page_table_bytes").map_elements(size_text, pl.String),
    )
    streams = shown["stream"].unique(maintain_order=True).to_list()
    panels = [_panel(shown.filter(pl.col("stream") == stream)) for stream in streams]
    return alt.vconcat(*panels, spacing=14)


def _panel(shown: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    policies = shown["policy"].unique(maintain_order=True).to_list()
    most = max(shown["page_tables"].to_list()) or 1
    region = shown["region"][0]
    base = alt.Chart(shown).encode(
        x=alt.X(
            "page_tables:Q",
            scale=alt.Scale(domain=[0, 1.35 * most], nice=False),
            axis=alt.Axis(title=f"regions of {region} touched", tickCount=5, format=",~r"),
        ),
        y=alt.Y("policy:N", title=None, sort=policies),
        tooltip=[
            alt.Tooltip("stream:N", title="requests of"),
            alt.Tooltip("policy:N", title="policy"),
            alt.Tooltip("page_tables:Q", title="page-table pages", format=","),
            alt.Tooltip("size:N", title="their size"),
        ],
    )
    bars = base.mark_bar(height=13, color=theme.BLUE)
    texts = base.mark_text(align="left", dx=5).encode(text="text:N")
    stream, recorded = shown.select("stream", "recorded").row(0)
    return alt.layer(bars, texts).properties(
        width=theme.WIDTH - 130, height={"step": 20}, title=heading(stream, recorded)
    )
