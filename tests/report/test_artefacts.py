import csv
import json
import struct

import altair as alt
import polars as pl
import pytest

from vmalloc_model.errors import InputError
from vmalloc_model.report import figure, number, table
from vmalloc_model.report.pictures import png_of


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("VMALLOC_REPORT_OUT", str(tmp_path))
    monkeypatch.setenv("VMALLOC_REPORT_NOTEBOOK", "coverage")
    monkeypatch.setenv("VMALLOC_REPORT_PARAMETERS", '{"cpus": 8}')
    monkeypatch.setenv("VMALLOC_REPORT_COMMAND", "python -m vmalloc_model.report run coverage")
    return tmp_path


DATA = pl.DataFrame({"chunk": [1, 2], "share": [0.5, 0.1 + 0.2], "runs": [["a", "b"], []]})
CHART = alt.Chart(alt.Data(values=[{"chunk": 1, "share": 0.5}])).mark_point().encode(x="chunk:Q")


def shown(**changes):
    texts = {"caption": "Half, at 1 MiB × 2.", "description": "Two points."}
    return figure("fig-share", CHART, DATA, **{**texts, **changes})


def test_a_figure_leaves_all_its_files(out):
    display = shown()
    folder = out / "fig-share"
    assert {p.name for p in folder.iterdir()} == {
        "data.csv",
        "chart.vl.json",
        "chart.svg",
        "text.txt",
        "meta.json",
    }
    bundle = display._repr_mimebundle_()
    assert bundle["text/markdown"] == "```{report-figure} fig-share\n```"
    assert json.loads((folder / "chart.vl.json").read_text())["description"] == "Two points."
    assert (folder / "chart.svg").read_text().startswith("<svg")


def test_a_figure_without_rows_says_so(out):
    none = DATA.clear()
    facet = alt.Chart(none).mark_point().encode(x="chunk:O", y="share:Q").facet(row="chunk:N")
    figure("fig-none", facet, none, caption="Nothing ends.", description="No panel.")
    svg = (out / "fig-none" / "chart.svg").read_text()
    assert ">nothing to show<" in svg
    png = png_of(out / "fig-none" / "chart.svg")
    width, height = struct.unpack(">II", png[16:24])
    assert 600 < width < 3000
    assert 50 < height < 1000
    spec = json.loads((out / "fig-none" / "chart.vl.json").read_text())
    assert spec["description"] == "No panel."


def test_the_csv_holds_every_value_exactly(out):
    shown()
    with (out / "fig-share" / "data.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [float(row["share"]) for row in rows] == DATA["share"].to_list()
    assert [row["runs"] for row in rows] == ["a b", ""]


def test_meta_says_what_made_it(out):
    shown(label="MEASURED")
    meta = json.loads((out / "fig-share" / "meta.json").read_text())
    assert meta["parameters"] == {"cpus": 8}
    assert meta["notebook"] == "coverage"
    assert meta["label"] == "MEASURED"
    assert meta["command"].endswith("run coverage")
    assert meta["numeric"] == ["chunk", "share"]
    assert meta["rows"] == 2
    assert len(meta["digest"]) == 12


def test_the_plain_text_is_ascii_and_starts_with_the_kind_of_evidence(out):
    shown()
    text = (out / "fig-share" / "text.txt").read_text()
    assert text.isascii()
    assert text.startswith("MODEL\nHalf, at 1 MiB x 2.\n")
    assert "again: python -m vmalloc_model.report run coverage" in text
    assert "\t" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_summary_replaces_the_data_in_the_text_only(out):
    shown(summary=pl.DataFrame({"short": [7]}))
    assert "short" in (out / "fig-share" / "text.txt").read_text()
    assert "short" not in (out / "fig-share" / "data.csv").read_text()


def test_a_table_has_no_chart_and_keeps_its_headings(out):
    display = table("tab-x", DATA, caption="A table.", headers={"share": "Share of bytes"})
    assert display._repr_mimebundle_()["text/markdown"] == "```{report-table} tab-x\n```"
    assert not (out / "tab-x" / "chart.svg").exists()
    assert "Share of bytes" in (out / "tab-x" / "text.txt").read_text()


@pytest.mark.parametrize(
    "bad",
    [{"caption": " "}, {"description": ""}, {"label": "GUESSED"}],
    ids=lambda bad: next(iter(bad)),
)
def test_a_figure_without_caption_description_or_label_is_refused(out, bad):
    with pytest.raises(InputError):
        shown(**bad)
    assert not list(out.iterdir())


def test_ids_are_stable_anchors_and_used_once(out):
    for bad in ("share", "fig-Share", "fig-", "fig-a--b", "fig-a/../b"):
        with pytest.raises(InputError, match="malformed"):
            figure(bad, CHART, DATA, caption="x", description="y")
    shown()
    with pytest.raises(InputError, match="twice"):
        shown()


def test_numbers_collect_in_one_file(out):
    number("cpus", 1024)
    number("share", 0.25, "25 %")
    number("cpus", 1024)
    numbers = json.loads((out / "numbers.json").read_text())
    assert numbers == {
        "cpus": {"value": 1024, "text": "1,024"},
        "share": {"value": 0.25, "text": "25 %"},
    }


def test_a_number_stands_for_one_value(out):
    number("cpus", 1)
    with pytest.raises(InputError, match="another value"):
        number("cpus", 2)
    with pytest.raises(InputError, match="malformed"):
        number("CPUs", 2)


def test_numpy_scalars_are_numbers(out):
    import numpy as np

    number("n", np.int64(4096))
    assert json.loads((out / "numbers.json").read_text())["n"] == {"value": 4096, "text": "4,096"}
