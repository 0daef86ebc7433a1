"""``fig-modules``: how many modules are at least how large, with the limits of four chunk sizes."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.charts.sizes import count_axis, size_axis, size_scale
from vmalloc_model.units import size_text

__all__ = ["chart"]


def chart(table: pl.DataFrame, chunk_size: int) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.modules.modules_table`.

    Parameters
    ----------
    table : polars.DataFrame
        As from there.
    chunk_size : int
        Bytes; half of it, of a quarter, of a half and of twice of it are marked.
    """
    shown = table.with_columns(text=pl.col("size").map_elements(size_text, pl.String))
    names = shown["what"].unique(maintain_order=True).to_list()
    chunks = [chunk_size // 4, chunk_size // 2, chunk_size, 2 * chunk_size]
    sizes, counts = table["size"].to_list(), table["modules"].to_list()
    low, high = min(sizes), max(max(sizes), 2 * chunk_size)
    x = alt.X(
        "size:Q",
        scale=size_scale(low, high),
        axis=size_axis("size (log scale)", low, high, step=8),
    )
    y = alt.Y(
        "modules:Q",
        scale=alt.Scale(type="log", base=10, domain=[0.8, 1.6 * max(counts)]),
        axis=count_axis("modules at least that large (log scale)", 1, 1.6 * max(counts)),
    )
    colours = alt.Scale(domain=names, range=list(theme.PALETTE))
    dashes = alt.Scale(domain=names, range=list(theme.DASHES))
    legend = alt.Legend(symbolType="stroke", symbolSize=400)
    lines = (
        alt.Chart(shown)
        .mark_line(interpolate="step-before")
        .encode(
            x=x,
            y=y,
            color=alt.Color("what:N", title=None, scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("what:N", title=None, scale=dashes, legend=legend),
            tooltip=[
                alt.Tooltip("what:N", title="size of"),
                alt.Tooltip("text:N", title="at least"),
                alt.Tooltip("modules:Q", title="modules", format=","),
                alt.Tooltip("share:Q", title="share of all", format=".2%"),
            ],
        )
    )
    limits = alt.Chart(
        pl.DataFrame(
            {
                "size": [chunk // 2 for chunk in chunks],
                "text": [f"half of {size_text(chunk)}" for chunk in chunks],
            }
        )
    ).encode(x=x)
    rules = limits.mark_rule(strokeDash=[3, 3])
    words = limits.mark_text(angle=270, align="right", baseline="bottom", dy=-3, y=4).encode(
        text="text:N"
    )
    return alt.layer(rules, lines, words)
