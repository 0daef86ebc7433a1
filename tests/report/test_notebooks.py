import json

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vmalloc_model.errors import FileError
from vmalloc_model.report import notebooks

TEXT = """---
kernelspec:
  {{name: python3, display_name: Python 3}}
---

# Title

```{{code-cell}} ipython3
:tags: [parameters]

{}
```

```{{code-cell}} ipython3
page_size
```
"""


def source(tmp_path, parameters):
    path = tmp_path / "one.md"
    path.write_text(TEXT.format(parameters))
    return path


def defaults(path):
    return notebooks.parameters(notebooks.read(path), path)


def test_reads_cells_with_ids_by_place(tmp_path):
    notebook = notebooks.read(source(tmp_path, "a = 1"))
    assert [cell.id for cell in notebook.cells] == ["cell-000", "cell-001", "cell-002"]
    assert notebooks.code_cells(notebook) == ["a = 1", "page_size"]


SCALARS = st.integers() | st.booleans() | st.floats(0, 1e9) | st.text("ab \"'\\é", max_size=5)


@given(st.dictionaries(st.sampled_from("abcd"), SCALARS | st.lists(SCALARS, max_size=3)))
def test_parameters_are_the_literals_of_the_cell(tmp_path_factory, values):
    cell = "\n".join(f"{name} = {value!r}  # why" for name, value in values.items())
    path = source(tmp_path_factory.mktemp("x"), cell or "# none")
    read = defaults(path)
    assert read == values
    assert list(read) == list(values)


@pytest.mark.parametrize(
    "cell",
    [
        "b = 2 * 3",
        "b = a",
        "b = (1, 2)",
        "b = {'x': 1}",
        "b = None",
        "b = [[1]]",
        "b = [None]",
        "b = 1j",
        "b = c = 1",
        "b: int = 1",
        "import os",
        "print(1)",
        "b = [i for i in (1, 2)]",
    ],
)
def test_anything_else_is_refused_with_its_line(tmp_path, cell):
    with pytest.raises(FileError, match=r"one\.md, line 12: not a parameter: .*allowed: name = "):
        defaults(source(tmp_path, f"a = 1\n{cell}"))


def test_a_parameter_assigned_twice_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"line 12: parameter assigned twice: 'a'"):
        defaults(source(tmp_path, "a = 1\na = 2"))


def test_a_parameters_cell_that_is_no_python_is_refused(tmp_path):
    with pytest.raises(FileError, match=r"line 12: parameters cell is not valid Python"):
        defaults(source(tmp_path, "a = 1\nb ="))


def test_there_is_one_parameters_cell(tmp_path):
    path = tmp_path / "one.md"
    one = TEXT.format("a = 1")
    for count, text in ((0, "# Title\n"), (2, one + one.split("---\n")[2])):
        path.write_text(text)
        with pytest.raises(FileError, match=f"'parameters': {count}; allowed: one"):
            defaults(path)


def test_what_is_no_notebook_is_refused_in_one_line(tmp_path):
    path = tmp_path / "one.md"
    path.write_text("---\na: [\n---\n")
    with pytest.raises(FileError, match=r"one\.md: not a MyST notebook") as caught:
        notebooks.read(path)
    assert "\n" not in str(caught.value)


def executed(*cells):
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), *cells])
    notebook.metadata["papermill"] = {"start_time": "now", "input_path": "/home/me"}
    notebook.metadata["jupytext"] = {"text_representation": {}}
    return notebook


def ran(code, *outputs, tags=(), count=1):
    cell = new_code_cell(code, outputs=list(outputs), execution_count=count)
    cell.metadata = {
        "papermill": {"duration": 1.5},
        "execution": {"iopub.status.idle": "now"},
        "tags": list(tags),
        "mystnb": {"x": 1},
    }
    return nbformat.from_dict(cell)


def test_the_kept_form_is_the_same_for_each_run():
    first, second = (
        executed(ran("a = 1", tags=["injected-parameters"]), ran("a")) for _ in range(2)
    )
    second.metadata["papermill"]["start_time"] = "later"
    second.cells[1].metadata["papermill"]["duration"] = 2
    for cell in second.cells:
        cell.id = "random"
    kept = notebooks.kept_form(first)
    assert kept == notebooks.kept_form(second)
    notebook = json.loads(kept)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert [cell["id"] for cell in notebook["cells"]] == ["cell-000", "cell-001", "cell-002"]
    assert [cell["metadata"] for cell in notebook["cells"]] == [
        {},
        {"tags": ["injected-parameters", "remove-cell"], "mystnb": {"x": 1}},
        {"mystnb": {"x": 1}},
    ]
    nbformat.validate(nbformat.reads(kept.decode(), as_version=4))


ERROR = new_output("error", ename="ValueError", evalue="\n no\nmore", traceback=[])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (ran("x = 1\ny", ERROR), r"cell 3 \(x = 1\): ValueError:"),
        (
            ran("warn()", new_output("stream", name="stderr", text="\nold\n")),
            "wrote to stderr: old",
        ),
        (ran("left()", count=None), "was not run"),
    ],
)
def test_a_run_that_did_not_go_well_is_noticed(cell, message):
    injected = ran("a = 2", tags=["injected-parameters"])
    notebook = executed(ran("fine"), injected, cell)
    with pytest.raises(Exception, match=message) as caught:
        raise notebooks.problem("one", notebook) or AssertionError("not noticed")
    assert caught.value.cell == 3
    assert "\n" not in str(caught.value)


def test_output_and_empty_cells_are_no_problem():
    printed = new_output("stream", name="stdout", text="hello")
    assert notebooks.problem("one", executed(ran("x", printed), ran(" ", count=None))) is None
