import gzip
import itertools
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.report.project import Project

pytestmark = pytest.mark.notebooks

PROGRAM = Path(sys.executable).with_name("vmalloc-model")
LINES = 400


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """The first lines of a recorded run, as a reader's own file."""
    path = tmp_path_factory.mktemp("own") / "mine.txt"
    with gzip.open(data_path("runs/debian-6.12.117-smp1.ftrace.txt.gz"), "rt") as lines:
        path.write_text("".join(itertools.islice(lines, LINES)))
    yield path
    for record in Project.at().kept.glob("*/*/provenance.json"):  # of no use to anybody else
        if str(path) in record.read_text():
            shutil.rmtree(record.parent)


@pytest.fixture(scope="module")
def made(trace):
    words = ["report", trace.name, "--chapter", "coverage", "--chapter", "address-space"]
    return subprocess.run(
        [PROGRAM, *words], cwd=trace.parent, capture_output=True, text=True, check=False
    )


@pytest.fixture
def run(command_line):
    return partial(command_line, "report")


def test_a_chapter_that_cannot_take_the_run_is_left_out_with_its_reason(made, trace):
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[-1] == "pages: mine-report/index.html"
    assert "address-space: left out: it takes an operation log" in made.stderr
    first = (trace.parent / "mine-report" / "html" / "index.html").read_text()
    assert "address-space</span></code> is left out: it takes an operation log" in first
    assert "A chunk of 64 MiB admits" in first


def test_the_chapter_shows_the_run_beside_those_of_the_report(made, trace):
    folder = trace.parent / "mine-report"
    data = (folder / "coverage" / "fig-eligible" / "data.csv").read_text()
    streams = list(dict.fromkeys(line.split(",")[0] for line in data.splitlines()[1:]))
    assert streams[:2] == [trace.name, "smp1"]
    record = json.loads((folder / "provenance.json").read_text())
    assert record["command"].startswith("vmalloc-model report mine.txt --chapter coverage")


def test_again_nothing_is_computed(made, trace):
    words = ["report", trace.name, "--chapter", "coverage", "--chapter", "address-space"]
    again = subprocess.run(
        [PROGRAM, *words], cwd=trace.parent, capture_output=True, text=True, check=False
    )
    assert [line for line in again.stderr.splitlines() if "left out" not in line] == [
        "coverage: already computed with these parameters",
        "folder: up to date",
    ]


def test_no_chapter_can_take_the_run(run, trace, tmp_path):
    status, _, errors = run(trace, "--chapter", "address-space", "-o", tmp_path / "out")
    assert status == 1
    assert errors.splitlines()[-1] == "error: no chapter can take this run"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "telling"),
    [
        (["nowhere.txt"], "RUN: no such recorded run, and no such file: 'nowhere.txt'"),
        (["smp1", "--chapter", "leaks"], "--chapter: takes no recorded run: 'leaks'"),
        (["smp1", "--chapter", "coverag"], "allowed: coverage"),
        (["smp1", "--platform", "arm64"], "--platform: "),
        (["smp1", "--cpus", "0"], "--cpus"),
        (["smp1", "-o", "/proc/out"], "--out: cannot be written"),
    ],
)
def test_wrong_input_is_one_line(run, tmp_path, monkeypatch, words, telling):
    monkeypatch.chdir(tmp_path)
    status, _, errors = run(*words)
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert telling in errors


def test_a_folder_with_other_things_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smp1-report").mkdir()
    (tmp_path / "smp1-report" / "thesis.txt").write_text("mine")
    status, _, errors = run("smp1")
    assert (status, len(errors.splitlines())) == (2, 1)
    assert "holds thesis.txt, which is not of an earlier run" in errors


def test_a_trace_of_another_subsystem_is_refused(run, tmp_path):
    path = tmp_path / "other.txt"
    path.write_text("            sh-1     [000] d..1.     0.1: sched_switch: prev=1 next=2\n")
    status, _, errors = run(path)
    assert (status, len(errors.splitlines())) == (2, 1)
