"""Figure fig-answer: the chunk sizes that each argument allows, as stated and as checked."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts.theme import CHECKED, INK, MUTED, STATED

__all__ = ["chart"]

_ROW: Final = 38
"""Height of a row in pixels: its words above, its bar below."""
_LABEL: Final = (
    "datum.value >= 1073741824 ? datum.value / 1073741824 + ' GiB' : datum.value / 1048576 + ' MiB'"
)


def chart(table: pl.DataFrame, chunk: int, least: int, most: int) -> alt.LayerChart:
    """Draw the table of `vmalloc_model.studies.answer.allowed`.

    Parameters
    ----------
    table : polars.DataFrame
        One row per reading of an argument.
    chunk : int
        Bytes; marked by a stroke in each row.
    least, most : int
        Ends of the axis in bytes.
    """
    rows = _rows(table).with_columns(left=pl.lit(least), chunk=pl.lit(chunk))
    y = alt.Y("row:O").axis(None)
    left = alt.X("left:Q")
    x = alt.X("low:Q").scale(type="log", base=2, domain=[least, most], nice=False)
    x = x.axis(
        title="chunk size, logarithmic",
        values=[least << shift for shift in range(0, 17, 4)],
        labelExpr=_LABEL,
    )
    color = (
        alt.Color("premises:N")
        .scale(domain=["as stated", "as checked"], range=[STATED, CHECKED])
        .legend(title=None)
    )
    tooltip = [
        alt.Tooltip("argument:N"),
        alt.Tooltip("premises:N"),
        alt.Tooltip("case:N", title="whose"),
        alt.Tooltip("allows:N", title="allows"),
    ]
    cases = alt.Chart(rows).transform_filter("datum.case != null")
    bars = cases.mark_bar(height=9, yOffset=9).encode(
        x=x, x2="high:Q", y=y, color=color, tooltip=tooltip
    )
    mark = cases.mark_tick(color=INK, thickness=3, size=17, yOffset=9).encode(
        x=alt.X("chunk:Q"), y=y
    )
    words = cases.mark_text(align="left", dx=2, dy=-6, color=INK).encode(
        x=left, y=y, text="words:N"
    )
    nothing = (
        cases.transform_filter("datum.low == null")
        .mark_text(align="left", dx=2, dy=9, color=MUTED, fontStyle="italic")
        .encode(x=left, y=y, text="allows:N")
    )
    heads = (
        alt.Chart(rows)
        .transform_filter("datum.case == null")
        .mark_text(align="left", dx=2, dy=8, color=INK, fontWeight="bold")
        .encode(x=left, y=y, text="argument:N")
    )
    return alt.LayerChart(layer=[bars, mark, words, nothing, heads], height={"step": _ROW})


def _rows(table: pl.DataFrame) -> pl.DataFrame:
    """Put a heading before the rows of each argument and number all rows."""
    parts = []
    for (argument,), rows in table.group_by("argument", maintain_order=True):
        head = pl.DataFrame({"argument": [argument]})
        words = pl.col("premises") + ": " + pl.col("case")
        parts += [head, rows.with_columns(words=words)]
    return pl.concat(parts, how="diagonal").with_row_index("row")
