"""``fig-validation-exact``: right addresses along each recorded run."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["chart"]


def chart(table: pl.DataFrame) -> alt.VConcatChart:
    """Draw the table of `vmalloc_model.studies.validation.along_table`: one strip for each run."""
    runs = table["run"].unique(maintain_order=True).to_list()
    most = max(table["last"].to_list())
    shown = table.with_columns(start=pl.col("first") - 1)
    strips = [_strip(shown.filter(run=run), run, most, run == runs[-1]) for run in runs]
    return alt.vconcat(*strips, spacing=10)


def _strip(shown: pl.DataFrame, run: str, most: int, last: bool) -> alt.LayerChart | alt.FacetChart:
    """One run: a bar for each thousand, blue where all is right; the last strip has the axis."""
    bars = (
        alt.Chart(shown)
        .mark_rect(stroke=theme.PAPER, strokeWidth=0.6)
        .encode(
            x=alt.X(
                "start:Q",
                scale=alt.Scale(domain=[0, most], nice=False),
                axis=alt.Axis(
                    title="allocations since the recording began" if last else None,
                    labels=last,
                    ticks=last,
                    grid=False,
                    format=",d",
                    tickCount=5,
                ),
            ),
            x2="last:Q",
            y=alt.Y(
                "percent:Q",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(title="right (%)", values=[0, 50, 100]),
            ),
            y2=alt.Y2Datum(0),
            color=alt.condition(
                "datum.wrong > 0", alt.value(theme.VERMILION), alt.value(theme.BLUE)
            ),
            tooltip=[
                alt.Tooltip("run:N", title="recorded run"),
                alt.Tooltip("first:Q", title="from allocation", format=","),
                alt.Tooltip("last:Q", title="to allocation", format=","),
                alt.Tooltip("wrong:Q", title="wrong addresses", format=","),
                alt.Tooltip("percent:Q", title="right (%)", format=".1f"),
            ],
        )
    )
    wrong = int(shown["wrong"].sum())
    name = f"{run}: {wrong:,} wrong" if wrong else f"{run}: all right"
    heading = alt.Title(name, fontSize=12, fontWeight="normal", offset=4)
    return alt.layer(bars).properties(width=theme.WIDTH - 90, height=44, title=heading)
