import shutil

import pytest
from toy_project import make_project

from vmalloc_model.report import runner
from vmalloc_model.report.project import Project


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A project with results; tests leave it as they find it."""
    project = make_project(tmp_path_factory.mktemp("first"))
    assert runner.bring_up_to_date(project, print) == []
    return project


@pytest.fixture
def changing(built, tmp_path):
    """A copy of that project, to change."""
    shutil.copytree(built.root, tmp_path / "copy")
    return Project(tmp_path / "copy", tmp_path / "copy" / "data")
