import ast
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.datafiles import ROOT
from vmalloc_model.dependencies import module_files


def package(root, files):
    for name, text in files.items():
        path = root / "vmalloc_model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(root, *sources, names=()):
    files = module_files(root, sources, names)
    return {path.relative_to(root / "vmalloc_model").as_posix() for path in files}


STYLES = [
    "import vmalloc_model.{}\n",
    "import os, vmalloc_model.{} as other\n",
    "from vmalloc_model import {}\n",
    "from vmalloc_model.{} import something\n",
    "from . import {}\n",
    "from .{} import something\n",
    "def f():\n    if f:\n        from vmalloc_model.{} import something\n",
    "class C:\n    async def f(self):\n        import vmalloc_model.{}\n",
    "try:\n    from vmalloc_model.{} import *\nexcept ImportError:\n    pass\n",
]
IMPORTS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from(STYLES)))


@settings(deadline=None, max_examples=60)
@given(IMPORTS, st.integers(0, 7))
def test_finds_what_can_be_reached_in_any_graph_of_imports(imports, start):
    with tempfile.TemporaryDirectory() as folder:
        texts = {f"m{i}": "" for i in range(8)}
        for importer, imported, style in imports:
            texts[f"m{importer}"] += style.format(f"m{imported}")
        package(Path(folder), {"__init__.py": ""} | {f"{m}.py": t for m, t in texts.items()})
        reached = {start}
        for _ in range(8):
            reached |= {b for a, b, _ in imports if a in reached}
        expected = {"__init__.py"} | {f"m{i}.py" for i in reached}
        assert found(Path(folder), f"import vmalloc_model.m{start}") == expected


def test_every_package_on_the_way_counts(tmp_path):
    package(
        tmp_path,
        {
            "__init__.py": "",
            "charts/__init__.py": "from vmalloc_model import units",
            "charts/bars.py": "from .. import errors\nfrom . import theme",
            "charts/theme.py": "",
            "charts/other.py": "",
            "units.py": "",
            "errors.py": "",
        },
    )
    expected = {"__init__.py", "charts/__init__.py", "charts/bars.py", "charts/theme.py"}
    assert found(tmp_path, "from vmalloc_model.charts import bars") == (
        expected | {"units.py", "errors.py"}
    )


def test_a_function_that_is_imported_is_no_module(tmp_path):
    package(tmp_path, {"__init__.py": "", "units.py": ""})
    expected = {"__init__.py", "units.py"}
    assert found(tmp_path, "from vmalloc_model.units import parse_size") == expected


def test_starts_from_names_as_well(tmp_path):
    package(tmp_path, {"__init__.py": "", "a.py": "import vmalloc_model.b", "b.py": ""})
    assert found(tmp_path, names=["vmalloc_model.a"]) == {"__init__.py", "a.py", "b.py"}


def test_what_is_no_python_imports_nothing_but_counts_itself(tmp_path):
    package(tmp_path, {"__init__.py": "", "a.py": "import vmalloc_model.b\nx ="})
    assert found(tmp_path, "import vmalloc_model.a") == {"__init__.py", "a.py"}
    assert found(tmp_path, "import vmalloc_model.a ?") == set()


def test_other_packages_are_not_followed(tmp_path):
    package(tmp_path, {"__init__.py": ""})
    assert found(tmp_path, "import json, vmalloc_modelling\nfrom os import path") == set()


def modules():
    return sorted((ROOT / "vmalloc_model").rglob("*.py"))


@pytest.mark.parametrize("name", ["parameters", "report.artefacts", "report.kept"])
def test_covers_what_the_interpreter_loads(name):
    """The slow twin: import the real module and look at what is there."""
    script = (
        f"import sys, vmalloc_model.{name}\n"
        "print([m.__file__ for n, m in sys.modules.items() if n.startswith('vmalloc_model')])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(file) for file in ast.literal_eval(run.stdout)}
    assert len(loaded) > 3
    assert loaded <= module_files(ROOT, [f"import vmalloc_model.{name}"])
