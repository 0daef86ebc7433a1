"""A small project for the tests of the runner: two notebooks over a copy of the package."""

import shutil
from pathlib import Path

from vmalloc_model.datafiles import ROOT
from vmalloc_model.report.files import Digests
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import stale_because

FIXTURES = Path(__file__).parent / "fixtures"


def make_project(root):
    """A checkout of its own with two notebooks; they use copies of the package's modules."""
    shutil.copytree(
        ROOT / "vmalloc_model",
        root / "vmalloc_model",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for folder, pattern in {
        "notebooks": "*.md",
        "data": "*.[ct][sx][vt]",
        "data/more": "none",
        "vmalloc_model": "toy*.py",
        "vmalloc_model/charts": "chart_*.py",
    }.items():
        (root / folder).mkdir(exist_ok=True)
        for path in FIXTURES.glob(pattern):
            shutil.copy(path, root / folder)
    (root / "requirements.txt").write_text("nothing==1\n")
    (root / "pyproject.toml").touch()  # which makes it a checkout
    return Project(root, root / "data")


def stale(project):
    """Name -> reason, of the notebooks that would run."""
    digests = Digests()
    reasons = {
        name: stale_because(project, name, project.runs / name, {}, digests)
        for name in project.names()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
