import polars as pl
import pytest
import vl_convert

from vmalloc_model.charts import amortisation, chunk_bytes, doubling, refills, sizes, theme
from vmalloc_model.studies import amortisation as study
from vmalloc_model.studies.chunk_bytes import chunk_bytes_table
from vmalloc_model.studies.refills import refills_table

KIB, MIB = 1 << 10, 1 << 20


def svg_of(chart):
    return vl_convert.vegalite_to_svg(chart.to_dict())


@pytest.mark.parametrize(
    ("chunk", "pages", "guard"),
    [(64 * MIB, [4096, 16384, 65536], 1), (MIB, [16384], 0), (1 << 30, [4096, 65536], 2)],
)
def test_amortisation_marks_the_mail_s_numbers(chunk, pages, guard):
    table = study.allocations_table(chunk, pages, guard)
    svg = svg_of(amortisation.chart(table))
    whose = "mail" if chunk == 64 * MIB else "mail, 64 MiB"
    for said in (f"{whose}: ~16,000", f"{whose}: ~64"):
        assert f">{said}" in svg
    # the mail's numbers are not compared with those of another chunk size
    assert ("with guard page: " in svg) == (chunk == 64 * MIB)
    assert (">with guard page</text>" in svg) == (guard > 0)
    for page in pages:
        assert f">{page // KIB} KiB pages</text>" in svg
    assert ">mean payload of a request (log scale)</text>" in svg
    assert ">allocations per refill (log scale)</text>" in svg
    # each row has a point, and the mail's two have a text as well
    assert svg.count("mean payload: ") == table.height + 2


def test_the_mail_s_numbers_stand_beside_what_the_guard_page_leaves():
    svg = svg_of(amortisation.chart(study.allocations_table(64 * MIB, [4096], 1)))
    assert "mail: ~16,000; with guard page: 8,192" in svg
    assert "mail: ~64; with guard page: 63" in svg


def test_doubling_marks_where_it_saves_little():
    table = study.doubling_table([MIB, 8 * MIB], 64 * MIB, [4096, MIB], 4096, 1, 2.5)
    svg = svg_of(doubling.chart(table, 64 * MIB, 2.5))
    for text in ("2.5 or more", "less than 2.5", "4 KiB", "64 MiB"):
        assert f">{text}</text>" in svg
    # a mean that is not eligible has a line but no point
    assert svg.count("chunk size: ") == table.filter(pl.col("allocations") > 0).height
    assert ">global visits per 1,000 allocations (log scale)</text>" in svg


def test_refills_rings_what_a_kernel_logged():
    table = refills_table(["smp4-sync", "oplog-rfc10"], [16 * MIB], 64 * MIB)
    svg = svg_of(refills.chart(table, 64 * MIB))
    assert "measured: 71 refills" in svg
    for stream in ("smp4-sync, before pools", "oplog-rfc10, after pools"):
        assert f">{stream}</text>" in svg
    model = table.filter(what="model")
    none = svg_of(refills.chart(model, 16 * MIB))
    assert "measured" not in none
    assert ">global visits per 1,000 requests (log scale)</text>" in none


def test_chunk_bytes_shows_the_sum_of_what_is_not_payload():
    table = chunk_bytes_table(["smp4-sync"], 64 * MIB)
    svg = svg_of(chunk_bytes.chart(table))
    for text in ("23.9 %", "30 %", "guard (G)", "tail (T)", "smp4-sync, before pools"):
        assert f">{text}</text>" in svg
    assert ">share of all chunk bytes that is not payload (%)</text>" in svg
    assert svg.count('aria-roledescription="bar"') == 4 * 4


def test_the_legend_of_chunk_bytes_leaves_its_columns_to_the_page():
    """Four columns are wider than a phone; the page stacks legends that do not fix their own."""
    made = chunk_bytes.chart(chunk_bytes_table(["smp4-sync"], 64 * MIB)).to_dict()
    colours = [part["encoding"]["color"] for row in made["vconcat"] for part in row["layer"][:1]]
    assert colours
    assert all("columns" not in (colour.get("legend") or {}) for colour in colours)


def test_ticks_of_sizes_and_counts():
    assert sizes.size_ticks(4096, MIB) == [4096, 16384, 65536, 262144, MIB]
    assert sizes.count_axis("n", 0.5, 250).to_dict()["values"] == [1, 10, 100]
    assert sizes.size_axis("s", MIB, 4 * MIB).to_dict()["values"] == [MIB, 4 * MIB]


def test_text_on_the_page_takes_the_colours_that_turn_dark():
    """Marks of text are in the theme's ink or meant for a filled mark."""
    charts = [
        amortisation.chart(study.allocations_table(64 * MIB, [4096], 1)),
        chunk_bytes.chart(chunk_bytes_table(["smp4-sync"], 64 * MIB)),
    ]
    allowed = {None, theme.INK, theme.MUTED, theme.ON_DARK_FILL}

    def marks(part):
        if isinstance(part, dict):
            mark = part.get("mark")
            if isinstance(mark, dict) and mark.get("type") == "text":
                yield mark.get("color")
            for inner in part.values():
                yield from marks(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from marks(inner)

    for chart in charts:
        assert set(marks(chart.to_dict())) <= allowed
