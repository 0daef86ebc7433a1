import pytest
import vl_convert

from vmalloc_model.charts import metadata
from vmalloc_model.studies import address_space

MIB = 1 << 20


@pytest.mark.parametrize(
    ("chunk", "pages"), [(64 * MIB, [4096, 16384, 65536]), (1 << 30, [8192]), (MIB, [4096])]
)
def test_every_bar_says_its_size(chunk, pages):
    table = address_space.metadata(chunk, pages)
    svg = vl_convert.vegalite_to_svg(metadata.chart(table).to_dict())
    assert svg.count('aria-roledescription="bar"') == table.height
    for row in table.iter_rows(named=True):
        assert f"{row['bytes_text']}, {row['share_text']}" in svg
        assert row["label"] in svg
