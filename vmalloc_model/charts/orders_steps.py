"""``fig-orders-steps``: one order, tasks as columns, steps as rows."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["chart"]

_STEP: Final = 23


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.orders.lanes_table`; its colour is the CPU."""
    if table.is_empty():
        note = alt.Chart(pl.DataFrame({"text": ["no order violates it"]}))
        return alt.layer(note.mark_text(color=theme.MUTED).encode(text="text:N")).properties(
            width=theme.WIDTH - 60, height=2 * _STEP
        )
    lanes = table["lane"].unique(maintain_order=True).sort().to_list()
    cpus = table["cpu"].unique(maintain_order=True).sort().to_list()
    steps = table["step"].to_list()
    base = alt.Chart(table).encode(
        x=alt.X(
            "lane:N",
            title=None,
            sort=lanes,
            axis=alt.Axis(orient="top", domain=False, ticks=False),
        ),
        y=alt.Y("step:O", title="move", sort=steps),
        tooltip=[
            alt.Tooltip("step:O", title="move"),
            alt.Tooltip("lane:N", title="task"),
            alt.Tooltip("cpu:N", title="on"),
            alt.Tooltip("text:N", title="does"),
            alt.Tooltip("then:N", title="then"),
        ],
    )
    boxes = base.mark_rect(cornerRadius=3, stroke=theme.PAPER, strokeWidth=2).encode(
        color=alt.Color(
            "cpu:N",
            title=None,
            scale=alt.Scale(domain=cpus, range=list(theme.PALETTE[: len(cpus)])),
            legend=alt.Legend(symbolType="square"),
        )
    )
    words = base.mark_text(color=theme.ON_DARK_FILL, fontSize=11).encode(text="short:N")
    return alt.layer(boxes, words).properties(width=theme.WIDTH - 60, height={"step": _STEP})
