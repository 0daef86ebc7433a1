"""Rules that every chapter keeps: prose and calls, nothing that computes."""

import ast

import pytest
import yaml

from vmalloc_model.datafiles import ROOT
from vmalloc_model.report import notebooks

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.md"))

COMPUTING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def calls(source, function):
    """Calls of a function by its plain name."""
    return [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function
    ]


def violations(path):
    """List the rules a notebook breaks, one line each."""
    text = path.read_text(encoding="utf-8")
    notebook = notebooks.read(path)
    header = yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else {}
    if header.get("kernelspec", {}).get("name") != "python3":
        yield "header names no kernel python3"
    first = notebook.cells[0]
    if first.cell_type != "markdown" or not first.source.startswith(("# ", "(")):
        yield "does not begin with a title"

    parameters = notebooks.parameters(notebook, path)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    index = code.index(notebook.cells[notebooks.parameters_index(notebook, path)])
    if index != 0:
        yield "the parameters cell is not the first cell of code"
    checks = [(i, call) for i, cell in enumerate(code) for call in calls(cell.source, "checked")]
    if [i for i, _ in checks] != [index + 1]:
        yield "the cell after the parameters, and no other, calls checked(...) once"
    given = {(word.arg, ast.unparse(word.value)) for _, call in checks for word in call.keywords}
    if given != {(name, name) for name in parameters}:
        yield "checked(...) does not get exactly the parameters, each by its name"

    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, COMPUTING):
                    yield f"cell {number} computes: {type(node).__name__}"


def test_there_are_chapters():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_chapter_keeps_the_rules(path):
    assert list(violations(path)) == []


GOOD = """---
kernelspec:
  name: python3
  display_name: Python 3
---

# Title

```{code-cell} ipython3
:tags: [parameters]

cpus = 4
budget = 0.5
```

```{code-cell} ipython3
from vmalloc_model.parameters import checked

p = checked(cpus=cpus, budget=budget)
```

```{code-cell} ipython3
p.cpus
```
"""


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("p.cpus", "p.budget", None),
        ("  name: python3\n", "  name: python2\n", "header names no kernel"),
        ("# Title", "Title", "does not begin with a title"),
        ("p = checked(cpus=cpus, budget=budget)", "p = 1", "calls checked"),
        (", budget=budget", "", "does not get exactly"),
        ("cpus=cpus", "cpus=budget", "does not get exactly"),
        ("p.cpus", "checked(cpus=cpus, budget=budget)", "calls checked"),
        ("# Title\n", "# Title\n\n```{code-cell} ipython3\n1\n```\n", "is not the first cell"),
        ("p.cpus", "def f(): pass", "cell 4 computes: FunctionDef"),
        ("p.cpus", "class C: pass", "cell 4 computes: ClassDef"),
        ("p.cpus", "f = lambda: 1", "cell 4 computes: Lambda"),
        ("p.cpus", "for i in (1, 2):\n    print(i)", "cell 4 computes: For"),
        ("p.cpus", "while False: pass", "cell 4 computes: While"),
        ("p.cpus", "[i for i in (1, 2)]", "cell 4 computes: ListComp"),
        ("p.cpus", "sum({i for i in (1, 2)})", "cell 4 computes: SetComp"),
        ("p.cpus", "{i: i for i in (1, 2)}", "cell 4 computes: DictComp"),
        ("p.cpus", "sum(i for i in (1, 2))", "cell 4 computes: GeneratorExp"),
    ],
)
def test_each_rule_is_noticed_when_broken(tmp_path, old, new, rule):
    path = tmp_path / "one.md"
    assert GOOD.count(old) == 1
    path.write_text(GOOD.replace(old, new))
    found = list(violations(path))
    if rule is None:
        assert found == []
    else:
        assert len(found) >= 1
        assert rule in found[0]
