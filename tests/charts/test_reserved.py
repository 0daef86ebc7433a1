import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import reserved
from vmalloc_model.studies.address_space import reserved_over_cpus

MIB = 1 << 20
IDS = ["i386", "x86_64-4level", "arm64-36bit-16k"]


def datasets(spec):
    return list(spec["datasets"].values())


@pytest.mark.parametrize(
    ("ids", "counts", "chunk", "shares"),
    [
        (IDS, [1, 8, 512, 8192], 64 * MIB, [0.01, 0.1, 1.0]),
        (["riscv64-sv57"], [1], MIB, [0.5]),
        (["i386"], [64], 1 << 30, [0.001, 0.01, 0.1, 1.0]),
    ],
)
def test_a_cell_for_each_count_that_is_possible(ids, counts, chunk, shares):
    table = reserved_over_cpus(ids, counts, chunk, shares)
    spec = reserved.chart(table).to_dict()
    (cells,) = datasets(spec)
    possible = table.filter("possible")
    assert len(cells) == possible.height
    svg = vl_convert.vegalite_to_svg(spec)
    drawn = svg.count('role="graphics-symbol" aria-roledescription="rect mark"')
    assert drawn == possible.height
    marks = svg.count('aria-roledescription="point"')
    assert marks == possible.filter(pl.col("band_index") > 0).height
    for name in ids:
        assert name in svg


def test_every_band_that_is_marked_has_its_own_shape():
    table = reserved_over_cpus(IDS, [1, 2, 8, 64, 512], 64 * MIB)
    marks = reserved.chart(table).to_dict()["layer"][1]["encoding"]["shape"]["scale"]
    assert marks["domain"] == ["1 % to 10 %", "10 % to 100 %", "100 % or more"]
    assert len(set(marks["range"])) == 3
