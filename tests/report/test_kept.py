"""Tests of ``vmalloc_model/report/kept.py`` and ``runfolder.py``, on the toy project."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from toy_project import contents, edit

from vmalloc_model.errors import InputError, NotebookError
from vmalloc_model.report import kept, runfolder, runner
from vmalloc_model.report.overrides import Given, overrides_of
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD

pytestmark = pytest.mark.notebooks


OTHER = {"alpha": {"chunk_sizes": ["32M", "64M"], "cpus": 8}}


def test_results_are_kept_and_answered_from_there(changing):
    book = contents(changing.runs)
    lines = []
    folder = kept.results(changing, OTHER, lines.append)["alpha"]
    assert lines[0] == "alpha: runs: no earlier results"
    assert contents(changing.runs) == book
    record = json.loads((folder / RECORD).read_text())
    assert record["overrides"] == OTHER["alpha"]
    assert record["parameters"] == {"page_size": "4K", **OTHER["alpha"]}
    assert record["command"] == "vmalloc-model run alpha -p chunk_sizes=32M,64M -p cpus=8"
    assert (folder / "fig-alpha" / "data.csv").read_text() == (
        "size,share\n33554432,0.25\n67108864,0.5\n"
    )
    lines.clear()
    assert kept.results(changing, OTHER, lines.append) == {"alpha": folder}
    assert lines == ["alpha: already computed with these parameters"]
    edit(changing.data / "total.txt", "1073741824", "2147483648")
    lines.clear()
    kept.results(changing, OTHER, lines.append)
    assert lines[0] == "alpha: runs: data/total.txt changed"


def test_the_books_own_run_serves_while_it_is_current(changing):
    lines = []
    assert kept.results(changing, {"alpha": {}}, lines.append) == {"alpha": changing.runs / "alpha"}
    assert lines == ["alpha: already computed, for the book"]
    edit(changing.notebooks / "alpha.md", "Shares rise.", "Shares grow.")
    before = contents(changing.runs)
    folder = kept.results(changing, {"alpha": {}}, lines.append)["alpha"]
    assert folder.is_relative_to(changing.kept)
    assert contents(changing.runs) == before


def test_one_that_fails_does_not_keep_the_others(changing):
    edit(changing.notebooks / "beta.md", "chart_dots.total(data)", "1 / 0")
    done = kept.keep(changing, {"beta": {}, **OTHER}, print)
    assert list(done.folders) == ["alpha"]
    assert [type(error) for error in done.errors] == [NotebookError]
    with pytest.raises(NotebookError, match="beta"):
        kept.results(changing, {"beta": {}, **OTHER}, print)


def test_a_value_that_is_not_allowed_is_refused_before_anything_runs(built, monkeypatch):
    monkeypatch.setattr(runner, "run_jobs", None)
    with pytest.raises(InputError, match=r"\$\.chunk_sizes\[0\]: not a power of two"):
        kept.keep(built, {"beta": {}, "alpha": {"chunk_sizes": ["48M"]}}, print)


def test_a_file_named_by_a_parameter_counts(changing, tmp_path):
    own = tmp_path / "own.trace"
    own.write_text("# tracer: nop\n")
    text = (changing.notebooks / "beta.md").read_text()
    text = text.replace("budget = 0.25", 'budget = 0.25\nrun = "smp1"')
    text = text.replace("checked(budget=budget)", "checked(budget=budget, run=run)")
    text = text.replace("chart_dots.total(data)", "len(open(p.run).read())")
    (changing.notebooks / "beta.md").write_text(text)
    wanted = overrides_of(changing, ["beta"], [Given("run", str(own))])
    folder = kept.results(changing, wanted, print)["beta"]
    record = json.loads((folder / RECORD).read_text())
    assert list(record["inputs"]["data"]) == [str(own), "data/colours.csv", "data/more"]
    shutil.copy(changing.data / "total.txt", own)
    lines = []
    kept.results(changing, wanted, lines.append)
    assert lines[0] == f"beta: runs: {own} changed"


@pytest.fixture(scope="module")
def laid_out(built, tmp_path_factory):
    """The folder of a run, and what the user was told."""
    root = tmp_path_factory.mktemp("kept") / "copy"
    shutil.copytree(built.root, root)
    project = Project(root, root / "data")
    target = project.root.parent / "deep" / "mine"
    folders = kept.results(project, OTHER, print)
    other = runfolder.Other("the book", {"alpha": project.runs / "alpha"})
    words = ["vmalloc-model", "run", "alpha", "-p", "cpus=8"]
    run = runfolder.RunFolder(project, target, folders, OTHER, words, False, other)
    run.check()
    run.lay_out(print)
    return run


def test_a_run_folder_has_everything(laid_out):
    target = laid_out.target
    assert [path.name for path in target.parent.iterdir()] == ["mine"]
    record = json.loads((target / RECORD).read_text())
    assert record["command"] == "vmalloc-model run alpha -p cpus=8"
    assert record["overrides"] == OTHER
    files = contents(target)
    assert set(record["outputs"]) == set(files) - {RECORD}
    assert {"alpha/alpha.ipynb", "alpha/fig-alpha/data.csv", "alpha/provenance.json"} <= set(files)
    assert files["alpha/fig-alpha/chart.png"].startswith(b"\x89PNG")
    assert runfolder.run_folders(target, "--compare") == {"alpha": target / "alpha"}


def test_a_comparison_stands_in_the_folder(laid_out):
    rows = list(csv.DictReader((laid_out.target / "compare.csv").open(encoding="utf-8")))
    assert any("33554432" in row.values() or "0.25" in row.values() for row in rows)
    assert (laid_out.target / "compare.txt").read_text()


def test_an_identical_run_leaves_the_folder_alone(laid_out):
    lines = []
    laid_out.lay_out(lines.append)
    assert lines == ["folder: up to date"]


@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("data", "--out: folder holds colours.csv, which is not of an earlier run"),
        ("requirements.txt", "--out: is not a folder"),
        ("_build/notebooks/alpha", "--out: is a folder of the project"),
        ("", "--out: is a folder of the project"),
        ("..", "--out: is a folder of the project"),
        ("requirements.txt/out", "--out: cannot be written (Not a directory)"),
    ],
)
def test_a_folder_of_something_else_is_refused(laid_out, place, error):
    project = laid_out.project
    run = runfolder.RunFolder(project, (project.root / place).resolve(), {}, {}, [])
    with pytest.raises(InputError) as caught:
        run.check()
    assert str(caught.value).startswith(error)


def test_a_file_that_was_added_is_not_deleted(laid_out, tmp_path):
    target = tmp_path / "mine"
    shutil.copytree(laid_out.target, target)
    run = runfolder.RunFolder(laid_out.project, target, {}, {}, [])
    run.check()
    (target / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds notes\.txt, which is not of an earlier run"):
        run.check()


def test_a_disk_that_is_full_leaves_the_folder_as_it_was(laid_out, tmp_path, monkeypatch):
    target = tmp_path / "mine"
    shutil.copytree(laid_out.target, target)
    before = contents(target)

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runfolder, "png_of", full)
    run = runfolder.RunFolder(laid_out.project, target, laid_out.folders, {}, ["another"], False)
    with pytest.raises(OSError, match="No space left"):
        run.lay_out(print)
    assert contents(target) == before
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture
def run(built, command_line, monkeypatch, tmp_path):
    """Status, output and errors of a command line in an empty folder."""
    monkeypatch.setattr(Project, "at", lambda: built)
    monkeypatch.chdir(tmp_path)

    return command_line


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("alfa", "notebook: unknown name: 'alfa'; allowed: alpha, beta"),
        ("alpha -p cpu=1", "notebook alpha: unknown parameter: 'cpu'; allowed: cpus, "),
        ("alpha -p cpus=0", "$.cpus: out of range: 0"),
        ("alpha -p cpus", "-p: not an assignment: 'cpus'; allowed: NAME=VALUE"),
        ("alpha -p cpus=", "-p: not an assignment: 'cpus='; allowed: NAME=VALUE"),
        ("alpha --params none.yaml", "none.yaml: cannot be read"),
        ("alpha --compare none", "none: --compare: holds no results of a run"),
        ("alpha --out /proc/1/x", "--out: cannot be written ("),
    ],
)
def test_bad_input_is_one_line_and_starts_no_kernel(run, monkeypatch, tmp_path, words, error):
    monkeypatch.setattr(runner, "run_jobs", None)
    status, output, errors = run("run", *words.split())
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: {error}")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_params_lists_names_kinds_values_and_meanings(run):
    lines = [line.split() for line in run("params", "alpha")[1].splitlines()]
    assert lines[0] == ["alpha"]
    assert lines[1][0] == "page_size"
    assert lines[4] == ["=", "16M,64M"]
    told = json.loads(run("params", "alpha", "--json")[1])
    assert [one["name"] for one in told["alpha"]] == ["page_size", "chunk_sizes", "cpus"]
    assert {one["default"] for one in told["alpha"] if one["name"] == "page_size"} == {"4K"}


def test_run_folders_are_found_by_their_records(tmp_path):
    with pytest.raises(InputError, match="holds no results of a run"):
        runfolder.run_folders(Path(tmp_path), "--compare")
