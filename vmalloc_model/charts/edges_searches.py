"""``fig-edges-searches``: searches of the global free space in a small range, under churn."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts.edges_cells import cell_panels
from vmalloc_model.units import count_text

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the rows without mappings of `vmalloc_model.studies.edges_small.churn_table`.

    Where allocations fail, an F stands behind the searches.
    """
    texts = []
    for rate, failures in table.select("searches_per_1000", "failures").iter_rows():
        text = f"{rate:.3g}" if rate < 999.5 else count_text(rate)
        texts.append(f"{text} F" if failures else text)
    shown = table.with_columns(text=pl.Series(texts, dtype=pl.String))
    highest = max(*table["searches_per_1000"].to_list(), 2000.0)
    title = ["searches per 1,000 requests"]
    if any(table["failures"].to_list()):
        title.append("F: allocations fail")
    legend = alt.Legend(title=title, format=",d", gradientLength=200, tickCount=4)
    return cell_panels(shown, "searches_per_1000", highest, legend, low_is_bad=False)
