import subprocess
import sys
from pathlib import Path

import pytest

from vmalloc_model.citing.cite import Citer
from vmalloc_model.report.project import Project


class BuiltCiter(Citer):
    """Cites the results of the book as they are, and each id only once."""

    def __init__(self, project):
        super().__init__(project, lambda line: None)
        self._snippets = {}

    def snippet(self, id, given=()):
        key = id, tuple(given)
        if key not in self._snippets:
            self._snippets[key] = super().snippet(id, given)
        return self._snippets[key]

    def _run(self, wanted):
        return [self.project.runs / name for name in wanted][-1]


@pytest.fixture(scope="session")
def citer():
    """Citer of the built book; its parts are computed once."""
    project = Project.at()
    if not all((project.runs / name / "provenance.json").exists() for name in project.names()):
        program = Path(sys.executable).with_name("vmalloc-model")
        subprocess.run([program, "build", "--notebooks-only"], check=True)
    return BuiltCiter(project)
