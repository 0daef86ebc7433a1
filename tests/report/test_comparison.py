import csv
import io
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.report.comparison import Change, compare
from vmalloc_model.report.tablekeys import pair_rows

CELL = st.sampled_from(["a", "b", "1", "2.5", "64 MiB", ""])
ROWS = st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=6)
COLUMNS = ["name", "size", "share"]


def write(folder, *, tables=(), numbers=(), parameters=(), svg="<svg/>"):
    """A folder of results as the runner leaves it, with only what is compared."""
    folder.mkdir(parents=True)
    record = {"notebook": folder.name, "parameters": dict(parameters)}
    record |= {"inputs": {}, "outputs": {}, "overrides": {}}
    (folder / "provenance.json").write_text(json.dumps(record))
    told = {id: {"value": value, "text": text} for id, (value, text) in dict(numbers).items()}
    (folder / "numbers.json").write_text(json.dumps(told))
    for id, rows in dict(tables).items():
        (folder / id).mkdir()
        with (folder / id / "data.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        (folder / id / "meta.json").write_text(json.dumps({"caption": "A caption."}))
        if id.startswith("fig-"):
            (folder / id / "chart.svg").write_text(svg if id == "fig-y" else "<svg/>")
    return {folder.name: folder}


def of_tables(root, left, right):
    tables = ({"tab-x": [COLUMNS, *rows]} for rows in (left, right))
    return compare(
        *(write(root / side / "one", tables=t) for side, t in zip("ab", tables, strict=True))
    )


def mirrored(change):
    return (change.result, change.row, change.column, change.now, change.was)


def plain(change):
    return (change.result, change.row, change.column, change.was, change.now)


@given(ROWS)
def test_a_run_does_not_differ_from_itself(tmp_path_factory, rows):
    comparison = of_tables(tmp_path_factory.mktemp("same"), rows, rows)
    assert comparison.changes == ()
    assert "1 chapter compared; 0 values changed in 0 of them." in comparison.text()
    assert comparison.csv().count("\n") == 1


@given(ROWS, ROWS)
def test_the_sides_can_be_exchanged(tmp_path_factory, left, right):
    root = tmp_path_factory.mktemp("mirror")
    there, back = of_tables(root / "1", left, right), of_tables(root / "2", right, left)
    assert Counter(map(plain, there.changes)) == Counter(map(mirrored, back.changes))


@given(st.data())
def test_every_changed_cell_is_found(tmp_path_factory, data):
    rows = data.draw(ROWS.filter(bool))
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 2))
    old, new = rows[place][column], data.draw(st.sampled_from(["c", "7", "1 %"]))
    other = [list(row) for row in rows]
    other[place][column] = new
    changes = of_tables(tmp_path_factory.mktemp("cell"), rows, other).changes
    cells = [one for one in changes if one.column]
    whole = [one for one in changes if not one.column]
    if cells:
        assert [(one.column, one.was, one.now) for one in cells] == [(COLUMNS[column], old, new)]
        assert not whole
    else:  # the cell was part of what names the row
        joined = [", ".join(rows[place]), ", ".join(other[place])]
        assert [[one.was, one.now] for one in whole] == [[joined[0], None], [None, joined[1]]]


@given(ROWS, ROWS)
def test_rows_are_paired_as_an_obvious_search_pairs_them(left, right):
    paired = pair_rows(left, right)
    for n in range(1, paired.key):  # no shorter key does
        assert any(len({tuple(r[:n]) for r in side}) < len(side) for side in (left, right))
    remaining = list(right)
    both, alone = [], []
    for row in left:
        found = next((r for r in remaining if r[: paired.key] == row[: paired.key]), None)
        if found is None:
            alone.append(row)
        else:
            remaining.remove(found)
            both.append((row, found))
    assert (paired.both, paired.left, paired.right) == (both, alone, remaining)


@pytest.mark.parametrize(
    ("was", "now", "difference", "percent"),
    [
        ("1", "3", 2, 200),
        ("1,000", "900.5", -99.5, -9.95),
        ("64 MiB", "512 KiB", 2**19 - 2**26, -99.21875),
        ("10 %", "12.5 %", 2.5, 25),
        ("0", "3", 3, None),
        ("1 page", "2 pages", 1, 100),
        ("1 page", "2 %", None, None),
        ("yes", "no", None, None),
        ("1", None, None, None),
        ("1e309", "1", None, None),
    ],
)
def test_by_how_much(was, now, difference, percent):
    change = Change("one", "tab-x", "a", "size", was, now)
    assert (change.difference, change.percent) == (difference, percent)
    assert change.weight == Change("one", "tab-x", "a", "size", now, was).weight


def test_everything_that_can_differ(tmp_path):
    left = write(
        tmp_path / "a" / "one",
        parameters={"chunk": "64M", "runs": ["smp1", "smp2"]},
        numbers={"share": (0.25, "25 %"), "hidden": (1.01, "1"), "same": (1.0, "1")},
        tables={
            "tab-x": [COLUMNS, ["a", "1", "2"], ["b", "1", "10"]],
            "fig-y": [["size"], ["1"]],
            "fig-z": [["size"], ["1"]],
            "tab-old": [["x"], ["1"]],
            "tab-columns": [["x", "y"], ["1", "2"]],
        },
    )
    right = write(
        tmp_path / "b" / "one",
        parameters={"chunk": "32M", "runs": ["smp1", "smp2"]},
        numbers={"share": (0.5, "50 %"), "hidden": (1.02, "1"), "same": (1.0 + 1e-15, "1")},
        tables={
            "tab-x": [COLUMNS, ["b", "1", "11"], ["a", "1", "2"], ["c", "1", "2"]],
            "fig-y": [["size"], ["1"]],
            "fig-z": [["size"], ["1"]],
            "tab-columns": [["x", "z"], ["1", "2"]],
        },
        svg="<svg>other</svg>",
    )
    comparison = compare(left | {"gone": tmp_path}, right | {"new": tmp_path})
    assert (comparison.only_before, comparison.only_now) == (("gone",), ("new",))
    assert [plain(one) for one in comparison.changes] == [
        ("parameters", "chunk", "", "64M", "32M"),
        ("numbers", "share", "", "25 %", "50 %"),
        ("numbers", "share (value)", "", "0.25", "0.5"),
        ("numbers", "hidden (value)", "", "1.01", "1.02"),
        ("tab-columns", "", "", "x,y", "x,z"),
        ("tab-old", "caption", "", "A caption.", None),
        ("tab-old", "", "", "1 rows", None),
        ("tab-x", "b", "share", "10", "11"),
        ("tab-x", "c", "", None, "c, 1, 2"),
    ]
    assert [one.id for one in comparison.pictures] == ["fig-y"]
    rows = list(csv.DictReader(io.StringIO(comparison.csv())))
    assert len(rows) == len(comparison.changes)
    assert (rows[1]["difference"], rows[1]["percent"]) == ("25", "100")
    text = comparison.text()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72
    lines = [line.strip() for line in text.splitlines()]
    assert lines.index("numbers: share: 25 % -> 50 % (+25, +100 %)") < lines.index(
        "tab-x: b, share: 10 -> 11 (+1, +10 %)"
    )
    assert "tab-x: 1 changed, 1 only now" in lines
    page = comparison.page()
    assert f":was: {left['one'] / 'fig-y' / 'chart.svg'}\n" in page
    assert "### one\n" in page


def test_long_sentences_show_where_they_part(tmp_path):
    start = "word " * 30
    sides = [
        write(tmp_path / side / "one", numbers={"say": (value, value)})
        for side, value in (("a", f"{start}old end"), ("b", f"{start}new end"))
    ]
    assert "numbers: say: ... old end -> ... new end" in compare(*sides).text()


def test_texts_are_short_and_count_what_they_leave_out(tmp_path):
    sides = [
        {"tab-x": [["n", "value"], *([f"r{n}", str(n + add)] for n in range(1, 200))]}
        for add in (0, 1)
    ]
    folders = [write(tmp_path / str(n) / "one", tables=one) for n, one in enumerate(sides)]
    lines = compare(*folders).text().splitlines()
    assert "  largest 10 of 199:" in lines
    assert len(lines) < 20
    assert "  tab-x: r1, value: 1 -> 2 (+1, +100 %)" in lines
