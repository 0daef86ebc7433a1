"""Tests of ``vmalloc_model/report/project.py``."""

import pytest

from vmalloc_model.errors import InputError
from vmalloc_model.report.project import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path / "elsewhere"))
    (tmp_path / "checkout" / "notebooks").mkdir(parents=True)
    for name in ("cost", "coverage", "summary"):
        (tmp_path / "checkout" / "notebooks" / f"{name}.md").touch()
    return Project.at(tmp_path / "checkout")


def test_names_of_files_hold_in_any_checkout(project):
    names = {
        project.root / "vmalloc_model" / "units.py": "vmalloc_model/units.py",
        project.data / "runs" / "smp1.gz": "data/runs/smp1.gz",
        project.root.parent / "own.trace": str(project.root.parent / "own.trace"),
    }
    for path, name in names.items():
        assert project.label(path) == name
        assert project.located(name) == path


def test_the_data_folder_is_that_of_the_environment(project, monkeypatch):
    assert project.data.name == "elsewhere"
    monkeypatch.delenv("VMALLOC_MODEL_DATA")
    assert Project.at(project.root).data == project.root / "data"


def test_an_unknown_notebook_lists_the_known_ones_nearest_first(project):
    assert project.source("cost") == project.notebooks / "cost.md"
    with pytest.raises(InputError, match="'coverag'; allowed: coverage, cost, summary"):
        project.source("coverag")
