import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import alternatives, alternatives_choice
from vmalloc_model.studies import alternatives as study
from vmalloc_model.studies.alternatives_choice import regions_table

MIB = 1 << 20
PLATFORMS = ["x86_64-4level", "i386"]


@pytest.fixture(scope="module")
def points():
    policies = ["rfc10", "rfc12", "release-after-purge"]
    sizes = [MIB, 4 * MIB, 256 * MIB]
    return study.points_table(
        PLATFORMS, 2, 4 * MIB, sizes, policies, ["random_size", "xfs"], "smp1", 8000, 1, 10**6
    )


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_each_stream_that_fits_has_a_panel(points):
    svg = svg_of(alternatives.chart(points, "x86_64-4level", 4 * MIB))
    for title in ("random_size (MODEL)", "xfs (MODEL)", "smp1 (MODEL on MEASURED requests)"):
        assert f">{title}</text>" in svg
    for name in ("no overlay", "rfc11, rfc12", "both repairs", "after the flush", "not judged"):
        assert f">{name}</text>" in svg
    assert ">0</text>" in svg, "nothing held has its place"
    assert ">mainline</text>" in svg
    assert ">xfs (MODEL)</text>" not in svg_of(alternatives.chart(points, "i386", 4 * MIB))


def test_equal_points_are_one_and_name_all(points):
    rows = points.filter("fits", platform="x86_64-4level", stream="xfs")
    same = rows.with_columns(held=pl.lit(1), visits=pl.lit(2.0))
    one = alternatives.merged(same)
    assert one.height == 1
    assert one["names"][0].count(",") == rows.height - 1
    assert one["label"][0].endswith(f" +{rows.height - 1}")
    assert one["safe_front"][0], "one on the front stands for all"
    apart = alternatives.merged(rows.with_columns(held=pl.int_range(pl.len())))
    assert apart["label"].to_list() == apart["names"].to_list()


def test_labels_do_not_overlap(points):
    crowd = points.filter("fits", platform="x86_64-4level", stream="xfs").with_columns(
        named=pl.lit(True),
        x=pl.int_range(1, pl.len() + 1) + 1000,
        y=pl.lit(10.0),
        label=pl.lit("some design 64 MiB"),
    )
    placed = alternatives._placed(crowd, (1, 1 << 20), (1.0, 100.0))
    assert 1 <= sum(rows.height for rows in placed.values()) <= 4


def test_regions_are_named_where_there_is_room(points):
    regions = regions_table(points, PLATFORMS, 0.032, 10.0)
    svg = svg_of(alternatives_choice.chart(regions, 0.032, 10.0))
    for platform in PLATFORMS:
        assert f">{platform}</text>" in svg
    sizes = regions.filter(pl.col("asked") > 0)
    assert sizes.height
    for design, asked in sizes.select("design", "asked").unique().rows():
        assert f">{design} {asked // MIB} MiB</text>" in svg
    one = regions.filter(platform="i386")
    assert ">x86_64-4level<" not in svg_of(alternatives_choice.chart(one, 0.032, 10.0))
