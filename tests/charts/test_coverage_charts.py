import pytest
import vl_convert

from vmalloc_model.charts import eligible, modules, windows
from vmalloc_model.studies import eligibility
from vmalloc_model.studies import modules as module_sizes
from vmalloc_model.studies.windows import windows_table

MIB = 1 << 20


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


def test_every_tile_has_its_letter():
    table = windows_table()
    svg = svg_of(windows.chart(table))
    tiles = table.filter(table["window"] != "none")
    assert svg.count('aria-roledescription="rect mark"') == tiles.height
    for letter in "SOF":
        assert svg.count(f">{letter}</text>") == tiles.filter(letter=letter).height
    for name in [*table["callers"].unique(), *table["arch"].unique()]:
        assert f">{name}</text>" in svg


@pytest.mark.parametrize(
    ("chunks", "chunk", "text"),
    [([MIB, 16 * MIB, 1 << 30], 64 * MIB, "64 MiB"), ([2 * MIB], 8 * MIB, "8 MiB")],
)
def test_eligible_has_a_panel_for_requests_and_one_for_bytes(chunks, chunk, text):
    table = eligibility.eligible_table(["smp4-sync"], chunks, chunk, 4096, 1)
    spec = eligible.chart(table, chunk).to_dict()
    svg = svg_of(eligible.chart(table, chunk))
    assert len(spec["vconcat"]) == 2
    for title in ("eligible requests (%)", "eligible bytes (%)", "chunk size (log scale)"):
        assert f">{title}</text>" in svg
    assert svg.count(f">{text}</text>") >= 2
    for stream in ("smp4-sync", "module sections", ".ko files"):
        assert f">{stream}</text>" in svg
    for measure in ("requests", "bytes"):
        part = table.filter(measure=measure)
        assert svg.count(f"all {measure}: ") == part.height
        for admitted in part["admitted"].unique():
            assert f"eligible {measure}: {admitted:,};" in svg


@pytest.mark.parametrize("chunk", [64 * MIB, 256 * MIB])
def test_modules_marks_half_of_four_chunks(chunk):
    table = module_sizes.modules_table(4096)
    svg = svg_of(modules.chart(table, chunk))
    marks = {chunk: chunk // 2 for chunk in (chunk // 4, chunk // 2, chunk, 2 * chunk)}
    spec = modules.chart(table, chunk).to_dict()
    drawn = [rows for rows in spec["datasets"].values() if "half" in str(rows[0].get("text"))]
    assert {row["text"]: row["size"] for row in drawn[0]} == {
        f"half of {whole // MIB} MiB": half for whole, half in marks.items()
    }
    for whole in marks:
        assert f">half of {whole // MIB} MiB</text>" in svg
    assert ">size (log scale)</text>" in svg
    assert ">modules at least that large (log scale)</text>" in svg
    for what in module_sizes.MEASURES.values():
        assert f">{what}</text>" in svg
