"""``fig-edges-searches``: searches of the global free space in a small range, under churn."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts.edges_cells import cell_panels
from vmalloc_model.units import count_text, share_text

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the rows without mappings of `vmalloc_model.studies.edges_small.churn_table`.

    Where allocations fail, their share stands behind the searches.
    """
    texts = []
    for rate, failures, requests in table.select(
        "searches_per_1000", "failures", "requests"
    ).iter_rows():
        text = f"{rate:.3g}" if rate < 999.5 else count_text(rate)
        failed = f"; {share_text(failures / requests)} failed" if failures else ""
        texts.append(text + failed)
    shown = table.with_columns(text=pl.Series(texts, dtype=pl.String))
    highest = max(*table["searches_per_1000"].to_list(), 2000.0)
    legend = alt.Legend(title="searches per 1,000 requests", format=",", gradientLength=200)
    return cell_panels(shown, "searches_per_1000", highest, legend, low_is_bad=False)
