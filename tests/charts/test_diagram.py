import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import diagram
from vmalloc_model.studies import patch


@pytest.mark.parametrize(
    ("name", "kinds"), [("path", patch.PATH_KINDS), ("states", patch.STATE_KINDS)]
)
def test_every_word_of_the_table_is_in_the_picture(name, kinds):
    table = patch.diagram(name)
    svg = vl_convert.vegalite_to_svg(diagram.chart(table, kinds).to_dict())
    words = [
        line.replace("<", "&lt;") for text in table["text"] if text for line in text.split("\n")
    ]
    assert words
    for line in words:
        assert line in svg, line
    for kind in table.filter(pl.col("element") == "box")["kind"].unique():
        assert kinds[kind].replace("'", "&#39;") in svg or kinds[kind] in svg


def test_an_arrow_ends_at_the_border_of_its_box():
    table = patch.diagram("path")
    spec = diagram.chart(table, patch.PATH_KINDS).to_dict()
    data = spec["datasets"]
    frames = next(rows for rows in data.values() if "x2" in rows[0])
    heads = next(rows for rows in data.values() if "shape" in rows[0])
    for head in heads:
        assert any(
            frame["x"] - 4 <= head["x"] <= frame["x2"]
            and frame["y"] - 0.06 <= head["y"] <= frame["y2"] + 0.06
            for frame in frames
        ), head
