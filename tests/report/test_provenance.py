import json
import os

import pytest

from vmalloc_model.report.files import Digests
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD, read_record, record_of, stale_because

INPUTS = {
    "notebooks/one.md": "text",
    "requirements.txt": "numpy==1",
    "vmalloc_model/units.py": "MIB = 1",
    "data/platforms.csv": "id,size",
    "own.trace": "vmalloc",
}


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "checkout"
    for name, text in INPUTS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(root, root / "data")


def finish(project, overrides=None, started=None):
    """Results of a run of the notebook that has just ended."""
    results = project.runs / "one"
    (results / "fig-a").mkdir(parents=True)
    (results / "one.ipynb").write_text("{}")
    (results / "fig-a" / "data.csv").write_text("x\n1\n")
    (project.root.parent / "outside").write_text("trace")
    record = record_of(
        project,
        "one",
        results,
        parameters={"cpus": 4, "budget": 0.5},
        overrides=overrides or {},
        command="again",
        modules=[project.root / "vmalloc_model/units.py"],
        data=[
            project.root / "own.trace",
            project.data,
            project.data / "platforms.csv",
            project.data / "optional.csv",
            project.root.parent / "outside",
        ],
        started=started or 1 << 62,
    )
    (results / RECORD).write_text(json.dumps(record))
    return results


def reason(project, overrides=None):
    return stale_because(project, "one", project.runs / "one", overrides or {}, Digests())


def test_nothing_changed(project):
    finish(project)
    assert reason(project) is None


def test_time_stamps_do_not_matter(project):
    finish(project)
    for path in project.root.rglob("*"):
        os.utime(path)
    assert reason(project) is None


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("how", ["changed", "is gone"])
def test_each_input_counts(project, name, how):
    finish(project)
    path = project.root / name
    path.write_text("other") if how == "changed" else path.unlink()
    expected = {f"{name} {how}"}
    if how == "is gone" and name.startswith("data/"):
        expected.add("data changed")
    assert reason(project) in expected


def test_a_file_that_was_looked_for_and_not_there_counts(project):
    (project.data / "optional.csv").unlink(missing_ok=True)
    results = finish(project)
    record = json.loads((results / RECORD).read_text())
    del record["inputs"]["data"]["data"]
    (results / RECORD).write_text(json.dumps(record))
    (project.data / "optional.csv").touch()
    assert reason(project) == "data/optional.csv is new"


def test_a_folder_that_was_listed_counts(project):
    finish(project)
    (project.data / "more.csv").touch()
    assert reason(project) == "data changed"


def test_a_file_outside_counts(project):
    finish(project)
    (project.root.parent / "outside").write_text("other")
    assert reason(project) == f"{project.root.parent}/outside changed"


def test_parameters_count(project):
    finish(project, {"cpus": 8})
    assert reason(project, {"cpus": 8}) is None
    assert reason(project, {"cpus": 9}) == "parameters changed"
    assert reason(project) == "parameters changed"


def test_outputs_count(project):
    results = finish(project)
    (results / "more.txt").touch()
    assert reason(project) == "output more.txt is not from a run"
    (results / "more.txt").unlink()
    (results / "fig-a" / "data.csv").write_text("x\n2\n")
    assert reason(project) == "output fig-a/data.csv was altered"
    (results / "fig-a" / "data.csv").unlink()
    assert reason(project) == "output fig-a/data.csv is missing"


def test_an_input_written_during_the_run_is_not_trusted(project):
    path = project.root / "vmalloc_model/units.py"
    stamp = path.stat().st_mtime_ns
    for other in project.root.rglob("*"):
        os.utime(other, ns=(stamp - 10, stamp - 10))
    os.utime(path, ns=(stamp, stamp))
    finish(project, started=stamp - 5)
    assert reason(project) == "vmalloc_model/units.py changed while the notebook ran"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"inputs": 1}', '{"notebook": "one"}'])
def test_a_record_that_cannot_be_read_is_none(project, text):
    results = finish(project)
    (results / RECORD).write_text(text)
    assert read_record(results) is None
    assert reason(project) == "no earlier results"


def test_the_record_of_another_notebook_is_none(project):
    finish(project).rename(project.runs / "two")
    (project.notebooks / "two.md").touch()
    assert stale_because(project, "two", project.runs / "two", {}, Digests()) == (
        "no earlier results"
    )


def test_the_record_does_not_tell_where_the_checkout_lies(project):
    (project.root.parent / "outside").unlink(missing_ok=True)
    text = (finish(project) / RECORD).read_text()
    assert str(project.root) not in text
    record = json.loads(text)
    assert set(record["outputs"]) == {"one.ipynb", "fig-a/data.csv"}
    assert set(record["versions"]) >= {"python", "vmalloc-model", "numpy", "polars", "altair"}
