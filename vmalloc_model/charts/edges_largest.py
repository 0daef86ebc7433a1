"""``fig-edges-largest``: the largest allocation left once every CPU has allocated a page."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts.edges_cells import cell_panels

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.edges_small.start_table`.

    Sizes stand in the cells with three digits: on a phone there is room for no more.
    """
    shown = table.with_columns(text=pl.col("largest").map_elements(_text, pl.String))
    legend = alt.Legend(title="share of the range", format="%", gradientLength=200)
    return cell_panels(shown, "share", 1, legend, low_is_bad=True)


def _text(size: int) -> str:
    return f"{size / (1 << 20):.3g} MiB"
