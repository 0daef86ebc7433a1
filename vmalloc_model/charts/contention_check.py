"""``fig-contention-check``: how far a simulation of single visits is from the exact queue."""

from __future__ import annotations

import altair as alt
import polars as pl

from vmalloc_model.charts import theme

__all__ = ["chart"]


def chart(table: pl.DataFrame, agreed: float) -> alt.HConcatChart:
    """Draw the table of `vmalloc_model.studies.contention_check.check_table`.

    Parameters
    ----------
    table : polars.DataFrame
    agreed : float
        Relative difference up to which the two agree; the band of the first panel.
    """
    shown = table.with_columns(
        percent=100 * pl.col("difference"),
        low=100 * (pl.col("difference") - 3 * pl.col("error")),
        high=100 * (pl.col("difference") + 3 * pl.col("error")),
    )
    panels = [
        _panel(shown, holding, 100 * agreed if holding == "exponential" else None)
        for holding in shown["holding"].unique(maintain_order=True).to_list()
    ]
    return alt.hconcat(*panels, spacing=20)


def _panel(
    shown: pl.DataFrame, holding: str, band: float | None
) -> alt.LayerChart | alt.FacetChart:
    locks = shown["lock"].unique(maintain_order=True).to_list()
    rows = shown.filter(pl.col("holding") == holding)
    most = max(shown["cpus"].to_list())
    base = alt.Chart(rows).encode(
        x=alt.X(
            "cpus:Q",
            scale=alt.Scale(type="log", base=2, domain=[0.8, 1.3 * most], nice=False),
            axis=alt.Axis(title="CPUs (log scale)", values=[1, 2, 4, 8, 16, 32], format=",~r"),
        ),
        color=alt.Color(
            "lock:N",
            title=None,
            scale=alt.Scale(domain=locks, range=list(theme.PALETTE[: len(locks)])),
        ),
        tooltip=[
            alt.Tooltip("lock:N"),
            alt.Tooltip("holding:N", title="holding times"),
            alt.Tooltip("cpus:Q", title="CPUs"),
            alt.Tooltip("percent:Q", title="difference in %", format="+.3f"),
            alt.Tooltip("low:Q", title="less 3 standard errors", format="+.3f"),
            alt.Tooltip("high:Q", title="plus 3 standard errors", format="+.3f"),
        ],
    )
    title = "simulated less exact, % of exact"
    y = alt.Y("percent:Q", axis=alt.Axis(title=title, format="+~r"))
    points = base.mark_point(filled=True, opacity=1, size=60).encode(
        y=y,
        shape=alt.Shape(
            "lock:N",
            title=None,
            scale=alt.Scale(domain=locks, range=list(theme.SHAPES[: len(locks)])),
        ),
    )
    bars = base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=title), y2="high:Q")
    layers: list[alt.Chart] = [bars, points]
    if band is not None:
        area = alt.Chart(pl.DataFrame({"low": [-band], "high": [band]}))
        layers.insert(
            0, area.mark_rect(opacity=0.15, color=theme.MUTED).encode(y="low:Q", y2="high:Q")
        )
    return alt.layer(*layers).properties(
        width=(theme.WIDTH - 170) // 2,
        height=230,
        title=alt.Title(f"{holding} holding times", fontSize=12, fontWeight="normal"),
    )
