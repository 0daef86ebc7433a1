import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_project import contents, edit, stale

from vmalloc_model.cli import main
from vmalloc_model.errors import InputError
from vmalloc_model.report import runner
from vmalloc_model.report.project import Project
from vmalloc_model.report.provenance import RECORD

pytestmark = pytest.mark.notebooks


def command(project, *words, **options):
    environment = os.environ | {"PYTHONPATH": str(project.root)}
    environment.pop("VMALLOC_MODEL_DATA", None)
    return subprocess.Popen(
        [sys.executable, "-m", "vmalloc_model", *words],
        cwd=project.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_a_run_leaves_everything_a_reader_needs(built):
    assert set(contents(built.runs)) == {
        "alpha/alpha.ipynb",
        "alpha/fig-alpha/chart.svg",
        "alpha/fig-alpha/chart.vl.json",
        "alpha/fig-alpha/data.csv",
        "alpha/fig-alpha/meta.json",
        "alpha/fig-alpha/text.txt",
        "alpha/numbers.json",
        "alpha/provenance.json",
        "beta/beta.ipynb",
        "beta/numbers.json",
        "beta/provenance.json",
        "beta/tab-beta/data.csv",
        "beta/tab-beta/meta.json",
        "beta/tab-beta/text.txt",
    }
    for name in ("alpha", "beta"):
        copy = built.book / "notebooks" / f"{name}.ipynb"
        assert copy.read_bytes() == (built.runs / name / f"{name}.ipynb").read_bytes()
    assert {path.name for path in built.build.iterdir()} <= {"notebooks", ".lock", "tmp", "runs"}


def test_the_record_names_what_was_used_and_nothing_else(built):
    record = json.loads((built.runs / "beta" / RECORD).read_text())
    assert record["parameters"] == {"budget": 0.25}
    assert record["command"] == "vmalloc-model run beta"
    assert list(record["inputs"]["data"]) == ["data/colours.csv", "data/more"]
    modules = set(record["inputs"]["modules"])
    charts = {name for name in modules if name.startswith("vmalloc_model/charts/")}
    assert charts == {
        f"vmalloc_model/charts/{n}.py" for n in ("__init__", "chart_dots", "chart_sums")
    }
    assert "vmalloc_model/report/artefacts.py" in modules
    assert "vmalloc_model/report/book.py" not in modules
    alpha = json.loads((built.runs / "alpha" / RECORD).read_text())
    assert list(alpha["inputs"]["data"]) == ["data/total.txt"]


def test_two_clean_runs_in_two_folders_give_the_same_bytes(built, tmp_path):
    root = tmp_path / "elsewhere" / "with a long name"
    shutil.copytree(built.root, root, ignore=shutil.ignore_patterns("_build", "book"))
    other = Project(root, root / "data")
    lines = []
    assert runner.bring_up_to_date(other, lines.append) == []
    assert "alpha: runs: no earlier results" in lines
    assert contents(other.runs) == contents(built.runs)
    assert contents(other.book / "notebooks") == contents(built.book / "notebooks")
    for name, content in contents(other.runs).items():
        assert str(other.root).encode() not in content, name


def test_nothing_runs_without_a_change(changing):
    for path in changing.root.rglob("*"):
        os.utime(path)
    before = {path: path.stat().st_mtime_ns for path in changing.runs.rglob("*")}
    lines = []
    assert runner.bring_up_to_date(changing, lines.append) == []
    assert lines == ["alpha: up to date", "beta: up to date"]
    assert before == {path: path.stat().st_mtime_ns for path in changing.runs.rglob("*")}


@pytest.mark.parametrize(
    ("path", "notebooks"),
    [
        ("notebooks/alpha.md", ["alpha"]),
        ("vmalloc_model/charts/chart_bars.py", ["alpha"]),
        ("vmalloc_model/charts/chart_dots.py", ["beta"]),
        ("vmalloc_model/charts/chart_sums.py", ["beta"]),
        ("vmalloc_model/toy.py", ["alpha", "beta"]),
        ("vmalloc_model/toy_late.py", ["beta"]),
        ("vmalloc_model/units.py", ["alpha", "beta"]),
        ("vmalloc_model/report/execution.py", ["alpha", "beta"]),
        ("vmalloc_model/report/book.py", []),
        ("data/total.txt", ["alpha"]),
        ("data/colours.csv", ["beta"]),
        ("data/more/new.csv", ["beta"]),
        ("data/unused.csv", []),
        ("requirements.txt", ["alpha", "beta"]),
        ("_build/notebooks/alpha/fig-alpha/chart.svg", ["alpha"]),
        ("_build/notebooks/beta/beta.ipynb", ["beta"]),
    ],
)
def test_exactly_the_users_of_what_changed_run_again(changing, path, notebooks):
    with (changing.root / path).open("a") as file:
        file.write("\n")
    reasons = stale(changing)
    assert list(reasons) == notebooks
    named = "data/more" if "more" in path else Path(path).name
    assert all(named in reason for reason in reasons.values())


def test_a_change_runs_one_notebook_and_its_results_change(changing):
    edit(changing.data / "total.txt", "1073741824", "2147483648")
    before = contents(changing.runs)
    lines = []
    assert runner.bring_up_to_date(changing, lines.append) == []
    assert lines[:2] == ["alpha: runs: data/total.txt changed", "beta: up to date"]
    after = contents(changing.runs)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "alpha/alpha.ipynb",
        "alpha/provenance.json",
        *(f"alpha/fig-alpha/{n}" for n in ("chart.svg", "chart.vl.json", "data.csv", "meta.json")),
        "alpha/fig-alpha/text.txt",
    }
    assert stale(changing) == {}


def test_results_of_a_notebook_that_is_gone_are_removed(changing):
    (changing.notebooks / "beta.md").unlink()
    lines = []
    assert runner.bring_up_to_date(changing, lines.append) == []
    assert [line.split(",")[0] for line in lines] == [
        "beta: removed _build/notebooks/beta",
        "beta: removed book/notebooks/beta.ipynb",
        "alpha: up to date",
    ]
    assert [path.name for path in changing.runs.iterdir()] == ["alpha"]


FAILING = {
    "beta": ("1 / 0", "ZeroDivisionError: division by zero"),
    "dies": ("import os; os._exit(1)", "the kernel died (killed, or out of memory)"),
    "leaves": ("raise SystemExit(0)", "SystemExit: 0"),
    "peeks": ("open('_build/notebooks/alpha/numbers.json')", "reads _build/notebooks/alpha/num"),
    "warns": ("import warnings; warnings.warn('old')", "wrote to stderr: "),
}


@pytest.fixture(scope="module")
def failing(built, tmp_path_factory):
    """A project where all but one of the notebooks fail; what it was before; status, errors."""
    root = tmp_path_factory.mktemp("failing") / "copy"
    shutil.copytree(built.root, root)
    project = Project(root, root / "data")
    before = contents(root)
    beta = (project.notebooks / "beta.md").read_text()
    for name, (cell, _) in FAILING.items():
        text = beta.replace("chart_dots.total(data)", cell)
        (project.notebooks / f"{name}.md").write_text(text)
    edit(project.notebooks / "alpha.md", "Shares rise.", "Shares grow.")
    run = command(project, "build")
    errors = run.communicate(timeout=100)[1].splitlines()
    return project, before, run.returncode, errors


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_notebook_is_named_with_cell_and_error(failing, name):
    project, _, status, errors = failing
    assert status == 1
    assert len(errors) == len(FAILING)
    (error,) = [error for error in errors if error.startswith(f"error: notebook {name}")]
    cell, message = FAILING[name]
    assert message in error
    if name != "peeks":
        assert f"{name}, cell 6 (from vmalloc_model.charts import chart_dots): {message}" in error
    assert error.endswith(f"; kept as _build/failed/{name}.ipynb")
    kept = json.loads((project.failed / f"{name}.ipynb").read_text())
    assert "".join(kept["cells"][-1]["source"]).endswith(cell)


def test_the_last_good_results_of_a_failing_notebook_stay(failing):
    project, before, _, _ = failing
    after = contents(project.root)
    for name in before:
        if "/beta" in name and name != "notebooks/beta.md":
            assert before[name] == after[name], name
    assert {path.name for path in project.runs.iterdir()} == {"alpha", "beta"}
    assert {path.name for path in (project.book / "notebooks").iterdir()} == {
        "alpha.ipynb",
        "beta.ipynb",
    }
    assert list(project.scratch.iterdir()) == []


def test_a_failing_notebook_does_not_keep_the_others_from_running(failing):
    project = failing[0]
    assert stale(project).keys() == FAILING.keys()
    assert b"Shares grow." in contents(project.runs)["alpha/fig-alpha/text.txt"]


def kernels(project):
    """Processes that run a kernel for the project."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode().split("\0")
            if "vmalloc_model.report.kernel" not in words:
                continue
            if (folder / "cwd").readlink() == project.root:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_ctrl_c_ends_everything_and_keeps_what_is_finished(changing):
    begun = changing.root / "begun"
    edit(
        changing.notebooks / "beta.md",
        "chart_dots.total(data)",
        "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(300)",
    )
    edit(changing.notebooks / "alpha.md", "Shares rise.", "Shares grow.")
    before = contents(changing.runs / "beta")
    run = command(changing, "build", start_new_session=True)
    deadline = time.monotonic() + 60
    while not (begun.exists() and stale(changing).keys() == {"beta"}):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.1)
    assert len(kernels(changing)) == 1
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 130
    assert errors.strip() == "interrupted; what was finished is kept, and nothing is half-written"
    assert kernels(changing) == []
    assert list(changing.scratch.iterdir()) == []
    assert contents(changing.runs / "beta") == before
    assert stale(changing).keys() == {"beta"}


def test_a_bad_default_names_the_notebook(changing):
    edit(changing.notebooks / "alpha.md", '"16M", "64M"', '"16M", "48M"')
    with pytest.raises(InputError, match=r"notebooks/alpha\.md: \$\.chunk_sizes\[1\]: not a power"):
        runner.bring_up_to_date(changing, print)


def test_check_names_what_differs_and_accept_takes_it(changing, capsys, monkeypatch):
    def status(word):
        with pytest.raises(SystemExit) as left:
            main([word])
        return left.value.code

    monkeypatch.setattr(Project, "of_checkout", lambda: changing)
    assert status("check") == 1
    assert "error: figure fig-alpha: computed, but not committed" in capsys.readouterr().err
    assert status("accept") == 0
    assert "wrote data/results/alpha/fig-alpha.csv" in capsys.readouterr().out
    assert status("check") == 0
    edit(changing.committed / "alpha" / "fig-alpha.csv", "0.25", "0.26")
    capsys.readouterr()
    assert status("check") == 1
    assert capsys.readouterr().err == (
        "error: figure fig-alpha, row 2, column share: committed 0.26, computed 0.25\n"
    )


def test_a_project_without_notebooks_is_refused(tmp_path):
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(InputError, match="holds no notebooks"):
        runner.bring_up_to_date(Project(tmp_path, tmp_path / "data"), print)
