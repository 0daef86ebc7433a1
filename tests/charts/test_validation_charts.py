import polars as pl
import vl_convert

from vmalloc_model.charts import validation_exact


def test_a_strip_for_each_run_says_how_many_are_wrong():
    table = pl.DataFrame(
        {
            "run": ["one", "one", "two"],
            "first": [1, 1001, 1],
            "last": [1000, 1500, 700],
            "wrong": [0, 25, 0],
            "percent": [100.0, 95.0, 100.0],
        }
    )
    spec = validation_exact.chart(table).to_dict()
    assert len(spec["vconcat"]) == 2
    svg = vl_convert.vegalite_to_svg(spec)
    assert "one: 25 wrong" in svg
    assert "two: all right" in svg
    assert svg.count("wrong addresses: 25") == 1
    assert svg.count("#D55E00") == 1
    assert svg.count("allocations since the recording began") >= 1
