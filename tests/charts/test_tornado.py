import pytest
import vl_convert

from vmalloc_model.charts import tornado
from vmalloc_model.studies import together, together_changes

MIB = 1 << 20


@pytest.mark.parametrize(
    ("platform", "criteria"),
    [
        ("x86_64-4level", together.Criteria(1000, 4096, 0.032, 32)),
        ("riscv32", together.Criteria(2, MIB, 1e-9, 8192, guard_pages=0)),
    ],
)
def test_every_change_that_leaves_an_end_is_drawn(platform, criteria):
    table = together_changes.changes(platform, criteria, [4096, 65536], [MIB], [0.1, 1.0])
    shown = table.filter((table["base"] > 0) & (table["changed"] > 0))
    spec = tornado.chart(table, 64 * MIB).to_dict()
    svg = vl_convert.vegalite_to_svg(spec)
    assert svg.count('aria-roledescription="bar"') == shown.height
    assert svg.count('aria-roledescription="point"') == shown.height
    for row in shown.iter_rows(named=True):
        assert row["change"] in svg
        assert f">{row['changed_text']}</text>" in svg
    assert "NaN" not in svg
