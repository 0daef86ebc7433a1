"""Figure fig-calculator: argument 3 with sliders, recomputed in the page.

The formulas are Vega expressions; a test evaluates them and compares with
`vmalloc_model.constraints`. Everything comes from one table of ranges, of which the reader's choice
leaves one row.
"""

from __future__ import annotations

from typing import Final, Literal

import altair as alt
import polars as pl

from vmalloc_model.charts.theme import BLUE, INK, MUTED, VERMILION
from vmalloc_model.units import GIB

__all__ = ["FORMULAS", "chart"]

_CPU_SHIFTS: Final = (0, 13)
_CHUNK_SHIFTS: Final = (20, 30)
_OWN_SHIFTS: Final = (26, 58)
_DECADES: Final = [float(f"1e{power}") for power in range(-12, 7)]
_SHARES: Final = [0.01, 0.1, 1.0]

_HEIGHT: Final = 430
_CURVE_TOP: Final = 205
_LEFT: Final = -72
"""Where the lines of text begin: above the labels of the axis, for width on a telephone. The widest
label of the axis has this much room."""


def _cpus_at(share: float) -> str:
    # `cpus_at_share` also settles what the rounding of the quotient leaves open; with powers of two
    # for chunks it leaves nothing open, and a test holds the two together
    return f"max(ceil({share} * datum.range_bytes / datum.chunk), 1)"


FORMULAS: Final = {
    "cpus": "pow(2, cpu_shift)",
    "chunk": "pow(2, chunk_shift)",
    "range_bytes": "isValid(datum.range_size) ? datum.range_size : pow(2, own_shift)",
    "usable_bytes": "isValid(datum.usable_size) ? datum.usable_size : pow(2, own_shift)",
    "reserved": "datum.cpus * datum.chunk",
    "share": "datum.reserved / datum.range_bytes",
    "slots": "floor(datum.usable_bytes / datum.chunk)",
    "without": "max(datum.cpus - datum.slots, 0)",
    "cpus_one": _cpus_at(0.01),
    "cpus_ten": _cpus_at(0.1),
    "cpus_all": _cpus_at(1.0),
}
"""Field -> Vega expression, in the order of evaluation. Sizes are bytes; the sliders ``cpu_shift``,
``chunk_shift`` and ``own_shift`` are exponents of two. ``cpus_one``, ``cpus_ten`` and ``cpus_all``
are the CPUs whose chunks take 1 %, 10 % and all of the range; ``slots`` the chunks that fit and
``without`` the CPUs that then get none."""


def _size(value: str) -> str:
    """Print bytes as `size_text` does."""
    text = f"format({value}, ',') + ' B'"
    for shift, prefix in ((10, "KiB"), (20, "MiB"), (30, "GiB"), (40, "TiB"), (50, "PiB")):
        text = (
            f"{value} >= pow(2, {shift}) ? "
            f"format({value} / pow(2, {shift}), ',.3~f') + ' {prefix}' : {text}"
        )
    return f"({text})"


def _percent(value: str) -> str:
    # five digits: enough to see 1.5625 % and 3.125 % as what they are
    return f"format(100 * {value}, ',.5~r') + ' %'"


def _count(value: str, one: str, many: str) -> str:
    return f"format({value}, ',') + ({value} === 1 ? ' {one}' : ' {many}')"


_TEXTS: Final = {
    "reserved_text": f"{_count('datum.cpus', 'CPU', 'CPUs')} + ' × ' + {_size('datum.chunk')}"
    f" + ' = ' + {_size('datum.reserved')}",
    "share_text": f"{_percent('datum.share')} + ' of ' + {_size('datum.range_bytes')}",
    "fit_text": "(datum.without > 0 ? 'TOO MANY: ' : '') + "
    f"{_count('datum.slots', 'chunk fits', 'chunks fit')}",
    "none_text": "datum.without > 0 ? "
    f"{_count('datum.without', 'CPU gets none', 'CPUs get none')} : ''",
    "one_text": f"'1 % from ' + {_count('datum.cpus_one', 'CPU on', 'CPUs on')}",
    "ten_text": f"'10 % from ' + {_count('datum.cpus_ten', 'CPU on', 'CPUs on')}",
    "all_text": f"'100 % from ' + {_count('datum.cpus_all', 'CPU on', 'CPUs on')}",
    "built_text": "!isValid(datum.nr_cpus_max) ? '' : "
    "'NR_CPUS (dashed): default ' + format(datum.nr_cpus_default, ',') + ', maximum ' + "
    "format(datum.nr_cpus_max, ',')",
    "over_text": "isValid(datum.nr_cpus_max) && datum.cpus > datum.nr_cpus_max"
    " ? 'No kernel can be built for so many CPUs' : ''",
}
# line -> (field, distance from the top, type size)
_LINES: Final = (
    ("reserved_text", 10, 17),
    ("share_text", 34, 17),
    ("fit_text", 60, 14),
    ("none_text", 78, 14),
    ("one_text", 102, 13),
    ("ten_text", 120, 13),
    ("all_text", 138, 13),
    ("built_text", 162, 12),
    ("over_text", 178, 12),
)
_WARNINGS: Final = ("fit_text", "none_text")


def chart(
    table: pl.DataFrame, platform: str, cpus: int, chunk_size: int, own_size: int = 128 * GIB
) -> alt.LayerChart:
    """Draw the calculator.

    Parameters
    ----------
    table : polars.DataFrame
        As from `vmalloc_model.studies.address_space.calculator_ranges`.
    platform : str
        Range shown at first, a value of the column ``platform``.
    cpus, chunk_size, own_size : int
        What the sliders show at first; bytes. They stand at powers of two, so other values start
        at the next lower one.
    """
    low, high = _span(cpus, _CPU_SHIFTS)
    params = [
        alt.param(
            name="platform",
            value=platform,
            bind=alt.binding_select(
                options=table["platform"].to_list(), labels=table["label"].to_list(), name="Range "
            ),
        ),
        _slider("cpu_shift", cpus, _CPU_SHIFTS, "CPUs 2^"),
        _slider("chunk_shift", chunk_size, _CHUNK_SHIFTS, "Chunk 2^"),
        _slider("own_shift", own_size, _OWN_SHIFTS, "Own range 2^"),
    ]
    x = alt.X("cpus:Q").scale(type="log", base=2, domain=[1 << low, 1 << high], nice=False)
    x = x.axis(title="CPUs, logarithmic", values=[1, 8, 64, 512, 4096], format=",d", grid=False)
    y = alt.Y("share:Q").scale(type="log", range=[_HEIGHT, _CURVE_TOP], nice=False)
    y = y.axis(
        title="share of the range, logarithmic",
        titleAnchor="start",
        values=_DECADES,
        labelExpr="format(100 * datum.value, ',~r') + ' %'",
        labelOverlap="greedy",
        # a fixed width: the sliders change the labels, and the layout is not made again for them
        minExtent=-_LEFT,
        maxExtent=-_LEFT,
    )
    curve = (
        alt.Chart()
        .transform_calculate(shift=f"sequence({low}, {high} + 0.05, 0.1)")
        .transform_flatten(["shift"], ["step"])
        .transform_calculate(
            cpus="pow(2, datum.step)", share="datum.cpus * datum.chunk / datum.range_bytes"
        )
        .encode(x=x, y=y)
    )
    # rows of their own, so that 1 %, 10 % and 100 % are always on the axis
    limits = alt.Chart(pl.DataFrame({"share": _SHARES}))
    layers: list[alt.Chart] = [
        limits.transform_filter("datum.share === 1")
        .mark_rect(color=VERMILION, opacity=0.18)
        .encode(y=y, y2=alt.value(_CURVE_TOP)),
        limits.mark_rule(color=MUTED, strokeWidth=0.7).encode(y=y),
        *(
            alt.Chart()
            .transform_filter(f"isValid(datum.{field}) && datum.{field} <= {1 << high}")
            .mark_rule(color=MUTED, strokeDash=[4, 3])
            .encode(x=alt.X(f"{field}:Q"), y=alt.value(_CURVE_TOP), y2=alt.value(_HEIGHT))
            for field in ("nr_cpus_default", "nr_cpus_max")
        ),
        curve.mark_line(color=BLUE),
        alt.Chart()
        .mark_point(filled=True, size=160, opacity=1)
        .encode(
            x=x,
            y=y,
            color=alt.condition("datum.without > 0", alt.value(VERMILION), alt.value(BLUE)),
            shape=alt.condition("datum.without > 0", alt.value("cross"), alt.value("circle")),
        ),
        *(_line(field, top, size) for field, top, size in _LINES),
    ]
    # the layers inherit the row that is chosen and all that is computed from it
    steps = [alt.FilterTransform("datum.platform === platform")] + [
        alt.CalculateTransform(calculate=expression, **{"as": field})
        for field, expression in {**FORMULAS, **_TEXTS}.items()
    ]
    made = alt.LayerChart(data=table, layer=layers, transform=steps, height=_HEIGHT)
    return made.add_params(*params)


def _span(value: int, shifts: tuple[int, int]) -> tuple[int, int]:
    """Exponents of a slider, widened so that it can start at a value."""
    shift = value.bit_length() - 1
    return min(shifts[0], shift), max(shifts[1], shift)


def _slider(name: str, value: int, shifts: tuple[int, int], label: str) -> alt.Parameter:
    low, high = _span(value, shifts)
    bind = alt.binding_range(min=low, max=high, step=1, name=f"{label} ")
    return alt.param(name=name, value=value.bit_length() - 1, bind=bind)


def _line(field: str, top: int, size: int) -> alt.Chart:
    """One line of text above the curve."""
    color = (
        alt.condition("datum.without > 0", alt.value(VERMILION), alt.value(INK))
        if field in _WARNINGS
        else alt.value(INK)
    )
    weight: Literal["bold", "normal"] = "bold" if size > 13 else "normal"
    line: alt.Chart = (
        alt.Chart()
        .mark_text(align="left", fontSize=size, fontWeight=weight, tooltip=None)
        .encode(x=alt.value(_LEFT), y=alt.value(top), text=f"{field}:N", color=color)
    )
    return line
