"""Figure fig-reserved: share of the range taken by one chunk on every CPU, as a heat map."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.theme import ON_DARK_FILL, ON_LIGHT_FILL

__all__ = ["chart"]

_LOWEST: Final = 1e-6
"""Shares from here down share the lightest colour: 0.0001 %."""
_MARKS: Final = ("circle", "diamond", "cross", "triangle-up", "square")


def chart(table: pl.DataFrame) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.address_space.reserved_over_cpus`.

    Cells are left out where no kernel can be built for so many CPUs. Colour is the share on a
    logarithmic scale; a mark in the cell names its band, except for the lowest.
    """
    rows = table.filter("possible")
    order = table["platform"].unique(maintain_order=True).to_list()
    counts = [f"{cpus:,}" for cpus in table["cpus"].unique().sort()]
    marked = table.filter(pl.col("band_index") > 0).sort("band_index")
    bands = marked["band"].unique(maintain_order=True).to_list()
    shown = rows.with_columns(
        pl.col("cpus").map_elements(lambda cpus: f"{cpus:,}", pl.String).alias("cpus_text")
    )
    base = alt.Chart(shown).encode(
        x=alt.X("cpus_text:O")
        .sort(counts)
        .scale(domain=counts)
        .axis(title="CPUs that hold a chunk", labelAngle=-45, labelOverlap=False),
        y=alt.Y("platform:N").sort(order).scale(domain=order).axis(title=None),
        tooltip=[
            alt.Tooltip("platform:N", title="platform"),
            alt.Tooltip("range:N", title="vmalloc range"),
            alt.Tooltip("cpus:Q", title="CPUs", format=","),
            alt.Tooltip("share_text:N", title="share taken"),
            alt.Tooltip("chunks_fit:Q", title="chunks that fit", format=","),
        ],
    )
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q")
        .scale(type="log", domain=[_LOWEST, 1], clamp=True, scheme="viridis", reverse=True)
        .legend(
            title="share of the range, logarithmic",
            orient="top",
            gradientLength=220,
            values=[1e-6, 1e-4, 1e-2, 1],
            labelExpr="datum.value <= 1e-6 ? '0.0001 % or less' : "
            "datum.value >= 1 ? '100 % or more' : format(100 * datum.value, '~r') + ' %'",
        )
    )
    # white with a black rim shows on every colour of the scale, and in the legend on both pages
    marks = (
        base.transform_filter("datum.band_index > 0")
        .mark_point(size=55, fill=ON_DARK_FILL, stroke=ON_LIGHT_FILL, strokeWidth=0.8, opacity=1)
        .encode(
            shape=alt.Shape("band:N")
            .scale(domain=bands, range=list(_MARKS[: len(bands)]))
            .legend(title="marks: share of the range", orient="bottom")
        )
    )
    return alt.LayerChart(layer=[cells, marks], height={"step": 22})
