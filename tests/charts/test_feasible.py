import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import feasible
from vmalloc_model.studies import together

MIB = 1 << 20
IDS = ["i386", "x86_64-4level", "arm64-39bit-4k", "arm64-52bit-64k"]


@pytest.mark.parametrize(
    ("criteria", "chunk"),
    [
        (together.Criteria(1000, 4096, 0.032, 32), 64 * MIB),
        (together.Criteria(1, 4096, 1.0, 1, guard_pages=0), 16 * MIB),
        (together.Criteria(100_000, MIB, 1e-7, 8192), 64 * MIB),
    ],
)
def test_intervals_powers_of_two_and_gaps_are_drawn(criteria, chunk):
    table = together.feasible(IDS, criteria, chunk)
    spec = feasible.chart(table, chunk).to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    some, none = table.filter(~pl.col("empty")), table.filter("empty")
    # a line per interval and per gap, and the one at the chunk
    assert svg.count('aria-roledescription="rule mark"') == table.height + 1
    # a point at each power of two, two arrows per gap
    assert svg.count('aria-roledescription="point"') == some["powers"].sum() + 2 * none.height
    low, high = spec["layer"][2]["encoding"]["x"]["scale"]["domain"]
    assert low <= min(chunk, table["low"].min())
    assert high >= max(chunk, table["high"].max(), table["low"].max())
    assert "NaN" not in svg
