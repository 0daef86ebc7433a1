import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.report.current import accept, differences, table_differences
from vmalloc_model.report.project import Project


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path, tmp_path / "data")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "cost.md").touch()
    folder = project.runs / "cost"
    for id, text in {"fig-share": "cpus,share\n1,0.5\n2,1.0\n", "tab-limits": "id\narm\n"}.items():
        (folder / id).mkdir(parents=True)
        (folder / id / "data.csv").write_text(text)
    numbers = {"share": {"value": 0.1, "text": "10 %"}, "cpus": {"value": 8192, "text": "8,192"}}
    (folder / "numbers.json").write_text(json.dumps(numbers))
    accept(project)
    return project


def edit(project, name, old, new):
    path = project.committed / "cost" / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_accepted_results_are_current(project):
    names = sorted(path.name for path in project.committed.glob("cost/*"))
    assert names == ["fig-share.csv", "numbers.csv", "tab-limits.csv"]
    text = (project.committed / "cost" / "numbers.csv").read_text()
    assert text == 'id,value,text\ncpus,8192,"8,192"\nshare,0.1,10 %\n'
    assert differences(project) == []
    assert accept(project) == []


def test_a_changed_value_is_named_by_figure_row_and_column(project):
    edit(project, "fig-share.csv", "2,1.0", "2,1.5")
    expected = "figure fig-share, row 2, column share: committed 1.5, computed 1.0"
    assert differences(project) == [expected]


def test_a_changed_number_of_the_prose_is_named(project):
    edit(project, "numbers.csv", "8192", "8191")
    edit(project, "tab-limits.csv", "arm", "mips")
    assert differences(project) == [
        "numbers of notebook cost, row 1, column value: committed 8191, computed 8192",
        "table tab-limits, row 1, column id: committed mips, computed arm",
    ]


def test_missing_and_left_over_results_are_named(project):
    (project.committed / "cost" / "fig-share.csv").rename(
        project.committed / "cost" / "fig-old.csv"
    )
    (project.committed / "gone").mkdir()
    (project.committed / "gone" / "numbers.csv").touch()
    assert differences(project) == [
        "figure fig-old: committed, but no notebook computes it",
        "figure fig-share: computed, but not committed",
        "numbers of notebook gone: committed, but no notebook computes it",
    ]
    assert accept(project) == [
        "wrote data/results/cost/fig-share.csv",
        "removed data/results/cost/fig-old.csv",
        "removed data/results/gone/numbers.csv",
    ]
    assert not (project.committed / "gone").exists()
    assert differences(project) == []


def test_many_differences_are_counted(project):
    rows = "".join(f"{i},{i}.5\n" for i in range(100))
    (project.runs / "cost" / "fig-share" / "data.csv").write_text(f"cpus,share\n{rows}")
    lines = differences(project)
    assert lines[0] == "figure fig-share, number of rows: committed 2, computed 100"
    accept(project)
    edit(project, "fig-share.csv", rows, rows.replace(".5", ".75"))
    lines = differences(project)
    assert lines[0] == "figure fig-share, row 1, column share: committed 0.75, computed 0.5"
    assert lines[5:] == ["figure fig-share: 95 more differences"]


CELLS = (
    st.integers().map(str) | st.floats(allow_nan=False).map(repr) | st.text("xy,\n ", max_size=3)
)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6)


def csv_text(rows):
    quoted = [",".join(f'"{cell}"' for cell in row) for row in [("a", "b", "c"), *rows]]
    return "\n".join(quoted) + "\n"


@given(TABLES, st.data())
def test_exactly_the_changed_cell_is_found(rows, data):
    row = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 2))
    changed = [list(cells) for cells in rows]
    changed[row][column] += "!"
    assert list(table_differences(csv_text(rows), csv_text(rows))) == []
    found = list(table_differences(csv_text(changed), csv_text(rows)))
    was, value = changed[row][column], rows[row][column]
    assert found == [f"row {row + 1}, column {'abc'[column]}: committed {was}, computed {value}"]


@pytest.mark.parametrize(
    ("committed", "computed", "equal"),
    [
        ("0.1", "0.10000000000000002", True),
        ("1e300", "1.0000000000001e300", True),
        ("0.1", "0.10000000001", False),
        ("1e-300", "1.1e-300", False),
        ("0.0", "1e-320", False),
        ("9007199254740993", "9007199254740992", False),
        ("-18446744073709551615", "-18446744073709551616", False),
        ("2", "2.0", True),
        ("inf", "inf", True),
        ("inf", "1e308", False),
        ("nan", "nan", True),
        ("", "0", False),
        ("64 MiB", "64 MB", False),
    ],
)
def test_only_rounding_may_differ(committed, computed, equal):
    found = list(
        table_differences(f"x\n{committed}\n".replace("x\n\n", 'x\n""\n'), f"x\n{computed}\n")
    )
    assert (found == []) == equal


def test_other_columns_are_named():
    assert list(table_differences("a,b\n1,2\n", "a,c\n1,2\n")) == [
        "columns: committed a, b; computed a, c"
    ]
    assert list(table_differences("", "a\n1\n")) == ["columns: committed ; computed a"]
    assert list(table_differences("a,b\n1\n", "a,b\n1,2\n")) == [
        "row 1: committed 1 values, computed 2"
    ]


def test_a_committed_picture_is_kept_current_and_no_other_is_added(project):
    chart = project.runs / "cost" / "fig-share" / "chart.svg"
    chart.write_text("<svg>new</svg>")
    assert differences(project) == []
    picture = project.committed / "cost" / "fig-share.svg"
    picture.write_text("<svg>old</svg>")
    assert differences(project) == ["figure fig-share: the committed picture is another one"]
    assert accept(project) == ["wrote data/results/cost/fig-share.svg"]
    assert differences(project) == []
    chart.unlink()
    assert differences(project) == ["figure fig-share: committed, but no notebook computes it"]
