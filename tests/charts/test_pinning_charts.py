import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import pinning_grid, pinning_law, pinning_lookup, pinning_occupancy
from vmalloc_model.studies import pinning as study
from vmalloc_model.studies import pinning_law as law
from vmalloc_model.studies import pinning_lookup as lookup

MIB = 1 << 20
X86 = "x86_64-4level"


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


@pytest.fixture(scope="module")
def grid():
    return study.grid_table([2.0**-10, 2.0**-5], [100, 2_000], "rfc12", X86, 1, 4 * MIB, 20_000, 1)


def test_the_law_has_lines_points_and_the_chunk_size():
    table = law.law_table([2.0**-10, 2.0**-5], [MIB, 4 * MIB], 1 << 14, X86, 10_000, 1)
    svg = svg_of(pinning_law.chart(table, 2 * MIB))
    assert svg.count(">2 MiB</text>") == 2
    assert ">1 in 1,024</text>" in svg
    assert ">chunks held</text>" in svg
    assert ">bytes held for each live one (log scale)</text>" in svg
    # two shares, two sizes of the model, two panels; the size between them has none
    points = svg.count('aria-roledescription="point"')
    assert points == 8 - 2 * table.filter(pl.col("held") == 0).height


def test_the_law_of_a_single_chunk_size():
    table = law.law_table([2.0**-5], [4 * MIB], 1 << 14, X86, 4_000, 1)
    assert svg_of(pinning_law.chart(table, MIB)).startswith("<svg")


def test_tiles_say_what_is_held_and_how_thin_it_is(grid):
    svg = svg_of(pinning_grid.chart(grid))
    row = grid.filter(lifetime=study.FOREVER, pinned=2.0**-5).row(0, named=True)
    assert f"{row['held'] // MIB} MiB" in svg
    assert " % thin" in svg
    assert ">for ever</text>" in svg
    assert svg.count('aria-roledescription="rect mark"') == grid.height


def test_an_empty_grid_is_drawn(grid):
    nothing = grid.with_columns(held=pl.lit(0), share=pl.lit(None, pl.Float64))
    assert ">0 B</text>" in svg_of(pinning_grid.chart(nothing))


def test_bars_are_as_long_as_the_chunks():
    rows = study.play("oplog-stock", ["churn"], ["mainline", "rfc12"], X86, 2, 4 * MIB, 20_000, 1)
    table = study.occupancy_table(rows)
    svg = svg_of(pinning_occupancy.chart(table))
    assert ">oplog-stock (MODEL on MEASURED requests)</text>" in svg
    total = table.filter(stream="churn", policy="rfc12")["chunks"].sum()
    assert f">{total:,}</text>" in svg
    assert len({name[0] for name in study.PARTS}) == len(study.PARTS)
    assert list(pinning_occupancy._COLOURS) == list(study.PARTS)


def test_lines_of_the_lookup_and_the_tens():
    table = lookup.cpus_table("rfc12", ["stacks", "xfs"], X86, [1, 8], 4 * MIB, 10_000, 1)
    svg = svg_of(pinning_lookup.chart(table))
    assert "in the tens" in svg
    assert ">CPUs (log scale)</text>" in svg
    assert svg.count('aria-roledescription="point"') == 4
    assert svg_of(pinning_lookup.chart(table.filter(cpus=8))).startswith("<svg")
    nothing = table.with_columns(steps=pl.lit(None, pl.Float64))
    assert svg_of(pinning_lookup.chart(nothing)).startswith("<svg")
