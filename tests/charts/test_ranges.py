import vl_convert

from vmalloc_model.charts import ranges
from vmalloc_model.studies import address_stated


def test_every_range_is_inside_and_the_mails_are_lines():
    table = address_stated.ranges()
    spec = ranges.chart(table).to_dict()
    low, high = spec["layer"][1]["encoding"]["x"]["scale"]["domain"]
    assert low < table["size"].min()
    assert high > table["size"].max()
    svg = vl_convert.vegalite_to_svg(spec)
    assert svg.count('aria-roledescription="point"') == table.height
    assert svg.count('aria-roledescription="rule mark"') == 2
    for text in ("128 GiB", "256 PiB", "VMALLOC_SPACE", "x86_64-5level", "1 PiB"):
        assert text in svg, text
