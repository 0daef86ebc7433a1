import pytest
import vl_convert

from vmalloc_model.charts import cpu_limits
from vmalloc_model.studies import address_space

MIB = 1 << 20


@pytest.mark.parametrize(
    ("ids", "chunk", "shares"),
    [
        (["i386", "x86_64-5level"], 64 * MIB, [0.01, 0.1, 1.0]),
        (["arm64-52bit-64k"], MIB, [0.5]),
    ],
)
def test_a_point_per_share_and_a_bar_per_platform(ids, chunk, shares):
    table = address_space.cpu_limits(ids, chunk, shares)
    spec = cpu_limits.chart(table).to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    assert svg.count('aria-roledescription="point"') == len(ids) * len(shares)
    assert svg.count('aria-roledescription="bar"') == len(ids)
    low, high = spec["layer"][2]["encoding"]["x"]["scale"]["domain"]
    assert low < 1
    assert high > max(table["cpus"].max(), table["nr_cpus_max"].max())


def test_points_at_the_same_count_do_not_hide_each_other():
    table = address_space.cpu_limits(["i386"], 64 * MIB, [0.01, 0.1])
    assert table["cpus"].to_list() == [1, 1]
    spec = cpu_limits.chart(table).to_dict()
    rows = spec["datasets"][spec["layer"][2]["data"]["name"]]
    assert rows[0]["area"] > 2.5 * rows[1]["area"]
