"""``fig-orders``: what it takes to violate each invariant, for each variant."""

from __future__ import annotations

from typing import Final

import altair as alt
import polars as pl

from vmalloc_model.charts import theme
from vmalloc_model.interleavings.setting import KERNELS

__all__ = ["chart"]

_HOLDS: Final = "holds"
_COLOURS: Final = {
    "serial": theme.VERMILION,
    "coop": theme.ORANGE,
    "preempt": theme.PURPLE,
    "migrate": theme.SKY,
    "rt": theme.BLUE,
    _HOLDS: theme.GREEN,
}
_NAMES: Final = {
    "serial": "S: serial",
    "coop": "C: coop",
    "preempt": "P: preempt",
    "migrate": "M: migrate",
    "rt": "R: PREEMPT_RT",
    _HOLDS: "ok: holds",
}


def chart(table: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Draw the table of `vmalloc_model.studies.orders.weakest_table`.

    A cell shows the letter of the strictest kernel that allows a violation, and the moves of a
    shortest order; cells of invariants that do not concern a policy stay empty.
    """
    assert {*KERNELS, _HOLDS} == {*_COLOURS}
    shown = table.filter(pl.col("kernel").is_in(list(_COLOURS))).with_columns(
        name=pl.col("kernel").replace_strict(_NAMES),
        text=pl.when(pl.col("kernel") == _HOLDS)
        .then(pl.lit("ok"))
        .otherwise(
            pl.col("kernel").str.slice(0, 1).str.to_uppercase() + pl.col("moves").cast(pl.String)
        ),
    )
    used = [key for key in _COLOURS if key in shown["kernel"].to_list()]
    invariants = table["invariant"].unique(maintain_order=True).to_list()
    policies = table["policy"].unique(maintain_order=True).to_list()
    base = alt.Chart(shown).encode(
        x=alt.X(
            "invariant:N",
            title=None,
            sort=invariants,
            scale=alt.Scale(domain=invariants),
            axis=alt.Axis(orient="top", labelAngle=-50, labelOverlap=False, domain=False),
        ),
        y=alt.Y("policy:N", title=None, sort=policies),
        tooltip=[
            alt.Tooltip("policy:N", title="policy"),
            alt.Tooltip("invariant:N", title="invariant"),
            alt.Tooltip("name:N", title="violated from"),
            alt.Tooltip("moves:Q", title="moves of a shortest order"),
            alt.Tooltip("program:N", title="program"),
        ],
    )
    cells = base.mark_rect(stroke=theme.PAPER, strokeWidth=2).encode(
        color=alt.Color(
            "name:N",
            title=None,
            scale=alt.Scale(
                domain=[_NAMES[key] for key in used], range=[_COLOURS[key] for key in used]
            ),
            # no columns: on a phone the page stacks the legend
            legend=alt.Legend(symbolType="square"),
        )
    )
    texts = base.mark_text(color=theme.ON_DARK_FILL, fontSize=10).encode(text="text:N")
    return alt.layer(cells, texts).properties(width=theme.WIDTH - 150, height={"step": 26})
