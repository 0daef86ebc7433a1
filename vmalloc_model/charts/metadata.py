"""Figure fig-metadata: back-pointers and page tables of one chunk against the page size."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.sizes import SIZE_LABEL
from vmalloc_model.charts.theme import BLUE, INK, VERMILION

__all__ = ["chart"]

_KINDS: Final = ("back-pointers", "page tables")


def chart(table: pl.DataFrame) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.address_space.metadata`.

    A bar for each of the two, with its size and its share of the chunk written behind it.
    """
    order = table["label"].unique(maintain_order=True).to_list()
    most = max(table["bytes"].to_list())
    base = alt.Chart(table).encode(
        y=alt.Y("label:N").sort(order).axis(title=None, labelLimit=200),
        yOffset=alt.YOffset("what:N").scale(domain=_KINDS, paddingInner=0.25),
        x=alt.X("bytes:Q")
        .scale(domain=[0, 1.75 * most], nice=False)
        .axis(
            title="memory for one chunk",
            values=[0, most / 2, most],
            labelExpr=f"datum.value === 0 ? '0' : {SIZE_LABEL}",
        ),
        tooltip=[
            alt.Tooltip("label:N", title="platform"),
            alt.Tooltip("what:N", title="what"),
            alt.Tooltip("bytes_text:N", title="memory for one chunk"),
            alt.Tooltip("share_text:N", title="share of the chunk"),
        ],
    )
    bars = base.mark_bar().encode(
        color=alt.Color("what:N")
        .scale(domain=_KINDS, range=[BLUE, VERMILION])
        .legend(title=None, orient="top"),
        fillOpacity=alt.condition(f"datum.what === '{_KINDS[0]}'", alt.value(1), alt.value(0.35)),
        stroke=alt.condition(
            f"datum.what === '{_KINDS[0]}'", alt.value(BLUE), alt.value(VERMILION)
        ),
    )
    texts = (
        base.transform_calculate(text="datum.bytes_text + ', ' + datum.share_text")
        .mark_text(align="left", dx=5, color=INK)
        .encode(text="text:N")
    )
    return alt.LayerChart(layer=[bars, texts], height={"step": 24})
