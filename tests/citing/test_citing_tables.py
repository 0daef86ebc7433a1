import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.citing.layout import ROWS, fit
from vmalloc_model.citing.results import Table
from vmalloc_model.citing.rows import choose_rows, ends, number
from vmalloc_model.report.plaintext import WIDTH, ascii_table, read_table

WORDS = st.sampled_from(
    [
        "a",
        "of",
        "pools",
        "12/12;",
        "release-after-purge",
        "nr_cpus_default",
        "x86_64-4level",
        "(see",
    ]
)
TEXTS = st.lists(WORDS, min_size=1, max_size=9).map(" ".join)
NUMBERS = st.one_of(
    st.integers(-(10**12), 10**12).map("{:,}".format),
    st.sampled_from(["0 B", "64 MiB", "1.5 GiB", "99.9 %", "576 ns", "5.4 ms", "over 8,192", "-"]),
)


@st.composite
def tables(draw):
    columns = draw(st.lists(st.sampled_from([TEXTS, NUMBERS]), min_size=1, max_size=10))
    headers = tuple(draw(TEXTS) for _ in columns)
    rows = draw(st.lists(st.tuples(*columns), min_size=1, max_size=20))
    return Table(headers, tuple(rows))


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("8,192", 8192),
        ("-3", -3),
        ("+16.51 %", 16.51),
        ("7.5 KiB", 7680),
        ("64 MiB", 64 << 20),
        ("over 8,192", 8192),
        ("at least 120 MiB", 120 << 20),
        ("10 us", 1e-5),
        ("2 days", 172_800),
        ("1e-05", 1e-5),
        ("rfc12", None),
        ("", None),
        ("-", None),
        ("4 KiB, none", None),
        ("3 apples", None),
    ],
)
def test_numbers_in_cells(cell, value):
    assert number(cell) == (value if value is None else pytest.approx(value))


def test_units_are_compared_not_digits():
    assert ends([["9 KiB"], ["1 GiB"], ["500 MiB"]]) == [{0}, {1}]


@settings(max_examples=30)
@given(tables(), st.integers(1, 12))
def test_chosen_rows_hold_the_least_and_the_greatest(table, most):
    chosen = choose_rows(table.rows, most)
    assert len(chosen) == len(set(chosen)) == min(most, len(table.rows))
    assert set(chosen) <= set(range(len(table.rows)))
    wanted = ends(table.rows)
    if len(wanted) <= most:  # then there is room for all
        assert all(one & set(chosen) for one in wanted)
    for column in zip(*table.rows, strict=True):
        values = [number(cell) for cell in column]
        if len(wanted) <= most and None not in values:
            shown = {values[row] for row in chosen}
            assert {min(values), max(values)} <= shown


def test_a_verdict_of_each_kind_is_chosen():
    rows = [["holds", str(i)] for i in range(30)]
    rows[17] = ["contradicted", "17"]
    rows[23] = ["cannot be checked", "23"]
    assert {17, 23} <= set(choose_rows(rows, 5))


@settings(max_examples=30)
@given(tables())
def test_a_table_fits_the_mail(table):
    fitted = fit(table)
    longest = max(map(len, fitted.lines))
    pieces = [
        piece for row in [table.headers, *table.rows] for cell in row for piece in cell.split()
    ]
    assert longest <= WIDTH or max(map(len, pieces)) > WIDTH - 4
    assert 1 <= fitted.rows <= min(ROWS, len(table.rows))
    assert all(line == line.rstrip() and line.startswith("  ") for line in fitted.lines)
    assert not any("\0" in line for line in fitted.lines)


@settings(max_examples=30)
@given(tables())
def test_nothing_of_a_shown_row_is_lost(table):
    fitted = fit(table)
    if fitted.rows == len(table.rows) and not fitted.without:
        shown = "".join("".join(fitted.lines).split())
        for row in table.rows:
            for cell in row:
                for piece in cell.replace("-", " ").replace("_", " ").split():
                    assert piece in shown


def test_a_table_says_whether_each_end_is_shown():
    names = ("caller", *(f"a long heading {column}" for column in range(9)))
    rows = [
        (f"caller {row}", *("9,999,999" if row == column else f"{row:,}" for column in range(9)))
        for row in range(60)
    ]
    wide = fit(Table(names, tuple(rows)))
    assert wide.rows < 9
    assert not wide.complete
    narrow = fit(Table(names[:3], tuple(row[:3] for row in rows)))
    assert narrow.complete
    shown = " ".join(narrow.lines)
    assert shown.count("9,999,999") == 2


def test_sources_and_doubled_values_are_left_out_first():
    table = Table(
        ("label", "size", "size_text", "source"),
        tuple((f"row {i}", f"{i * 1024:,}", f"{i} KiB", "Linux 6.12 " * 9) for i in range(5)),
    )
    fitted = fit(table)
    assert fitted.without == ("size", "source")
    assert (fitted.rows, fitted.complete) == (5, True)


@given(st.lists(st.tuples(st.integers(0, 10**6), TEXTS, TEXTS), min_size=1, max_size=9))
def test_a_plain_table_is_read_back(rows):
    data = pl.DataFrame(rows, schema=["number", "first", "second"], orient="row")
    headings, cells = read_table(f"MODEL\nsaid\n\n{ascii_table(data)}\n\nid: tab-x\n")
    assert headings == ["number", "first", "second"]
    assert cells == [[f"{number:,}", first, second] for number, first, second in rows]


def test_a_plain_table_without_rows_is_read_back():
    text = ascii_table(pl.DataFrame({"a": [], "b": []}))
    assert read_table(text) == (["a", "b"], [])
