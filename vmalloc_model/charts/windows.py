"""``fig-windows``: who asks for the standard window on which architecture."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["chart"]

_WINDOWS = {
    "standard": ("S  standard window", theme.BLUE),
    "fallback": ("F  own window, then standard", theme.SKY),
    "own": ("O  own window", theme.ORANGE),
}


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.windows.windows_table`; no tile: no such caller."""
    shown = table.filter(pl.col("window").is_in(list(_WINDOWS))).with_columns(
        name=pl.col("window").replace_strict({key: one[0] for key, one in _WINDOWS.items()})
    )
    scale = alt.Scale(
        domain=[one[0] for one in _WINDOWS.values()], range=[one[1] for one in _WINDOWS.values()]
    )
    base = alt.Chart(shown).encode(
        x=alt.X(
            "arch:N",
            title="architecture",
            sort=table["arch"].unique(maintain_order=True).to_list(),
            axis=alt.Axis(orient="top", labelAngle=-45, labelOverlap=False, titlePadding=2),
        ),
        y=alt.Y(
            "callers:N",
            title=None,
            sort=table["callers"].unique(maintain_order=True).to_list(),
            axis=alt.Axis(labelOverlap=False, labelLimit=220),
        ),
        tooltip=[
            alt.Tooltip("ids:N", title="callers"),
            alt.Tooltip("arch:N", title="architecture"),
            alt.Tooltip("window:N", title="window"),
        ],
    )
    tiles = base.mark_rect(stroke=theme.PAPER, strokeWidth=1.5).encode(
        color=alt.Color(
            "name:N", title=None, scale=scale, legend=alt.Legend(orient="bottom", columns=1)
        )
    )
    letters = base.mark_text(color=theme.ON_DARK_FILL, fontSize=11).encode(text="letter:N")
    return alt.layer(tiles, letters)
