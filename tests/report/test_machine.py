import json

import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import InputError
from vmalloc_model.parameters import checked
from vmalloc_model.report.findings import findings
from vmalloc_model.report.machine import Machine, chapters
from vmalloc_model.report.project import Project
from vmalloc_model.report.runner import defaults
from vmalloc_model.runs import load_runs, read_requests

PROJECT = Project.at()


@pytest.fixture(scope="module")
def log():
    return Machine.of(PROJECT, "oplog-rfc10")


def test_the_chapters_are_those_with_a_run_in_the_order_of_the_report():
    names = chapters(PROJECT)
    assert names[0] == "summary"
    assert names.index("coverage") < names.index("amortisation") < names.index("growth")
    for name in PROJECT.names():
        assert (name in names) == bool({"run", "runs"} & set(defaults(PROJECT, name)))


def test_a_chapter_gets_the_run_first_and_keeps_its_own(log):
    wanted = log.overrides(chapters(PROJECT))
    assert wanted["coverage"]["runs"] == ["oplog-rfc10", "smp1", "smp2", "smp4-sync"]
    assert wanted["growth"] == {"run": "oplog-rfc10"}
    assert wanted["validation"] == {"runs": ["oplog-rfc10"]}
    assert wanted["address-space"] == {}  # it has this run already
    for name, values in wanted.items():
        checked(**(defaults(PROJECT, name) | values))


def test_machine_and_page_size_go_to_chapters_that_ask(log):
    machine = Machine(PROJECT, log.run, log.requests, "arm64-39bit-4k", 64)
    wanted = machine.overrides(["coverage", "growth"])
    assert set(wanted["coverage"]) == {"runs"}
    assert (wanted["growth"]["platform"], wanted["growth"]["cpus"]) == ("arm64-39bit-4k", 64)


def test_a_platform_that_the_run_is_not_of_is_refused():
    with pytest.raises(InputError, match="was recorded on x86_64-4level"):
        Machine.of(PROJECT, "smp1", "i386")
    with pytest.raises(InputError, match="its vmalloc range is not that of x86_64-5level"):
        Machine.of(PROJECT, str(load_runs()["smp1"].path), "x86_64-5level")


def test_an_own_file_is_named_from_anywhere(tmp_path, monkeypatch):
    name = "debian-6.12.117-smp4-sync-purge.ftrace.txt.gz"
    (tmp_path / name).write_bytes(data_path(f"runs/{name}").read_bytes())
    monkeypatch.chdir(tmp_path)
    machine = Machine.of(PROJECT, name)
    assert machine.overrides(["growth"]) == {"growth": {"run": str(tmp_path / name)}}
    assert "overlay" in machine.cannot("address-space")
    assert machine.cannot("validation") is None
    assert machine.overrides(["validation"]) == {"validation": {"runs": [str(tmp_path / name)]}}
    front = machine.front({}, {"address-space": "it cannot"}, ["vmalloc-model", "report", name])
    assert f"`{name}`, ftrace" in front
    assert "* The kernel's version." in front
    assert "* `address-space` is left out: it cannot" in front
    assert str(tmp_path) not in front


def test_what_is_known_is_not_missing(log):
    front = log.front({}, {}, ["vmalloc-model", "report", "oplog-rfc10"])
    assert "Nothing that the chapters ask for." in front or "* Which" not in front
    inside = read_requests("oplog-rfc10").filter("in_window")
    hits = inside.filter(~inside["reached_overlay"]).height
    assert f"Node pools answered {hits:,} of {inside.height:,} requests" in front


def test_wrong_chapters_and_platforms(log):
    with pytest.raises(InputError, match="takes no recorded run: 'leaks'"):
        log.overrides(["leaks"])
    with pytest.raises(InputError, match="--platform"):
        Machine.of(PROJECT, "smp1", platform="arm64-39bit")
    with pytest.raises(InputError, match="RUN: no such recorded run"):
        Machine.of(PROJECT, "smp9")


def result(folder, id, lines):
    (folder / id).mkdir(parents=True)
    (folder / id / "data.csv").write_text("\n".join(lines) + "\n")


def test_findings_show_losses_as_plainly_as_gains(tmp_path):
    coverage, left, growth = (tmp_path / name for name in ("coverage", "left-to-win", "growth"))
    eligible = ["stream,chunk_size,measure,admitted,total,share"]
    eligible += ["own,1048576,requests,1,4,0.25", "own,2097152,requests,3,4,0.75"]
    eligible += ["own,2097152,bytes,10,100,0.1", "smp1,2097152,requests,4,4,1.0"]
    result(coverage, "fig-eligible", eligible)
    result(coverage, "tab-rules", ["run,outside,over_half,align", "own,1,0,0", "smp1,0,0,0"])
    record = {"notebook": "coverage", "parameters": {"chunk_size": "2M"}}
    record |= {"inputs": {}, "outputs": {}, "overrides": {}}
    (coverage / "provenance.json").write_text(json.dumps(record))
    visits = ["stream,variant,half,visits", "own,pools only,2,100", "own,10/12,2,100"]
    visits += ["own,11/12,2,150", "own,12/12,2,40", "own,12/12,1,9"]
    result(left, "fig-left-visits", visits)
    regions = ["stream,policy,lost,high_water", "own,mainline,0,1048576"]
    regions += ["own,rfc10,4096,2097152", "own,described,1,1"]
    result(growth, "fig-growth-regions", regions)
    folders = {"coverage": coverage, "left-to-win": left, "growth": growth}
    told = findings(folders, "own")
    assert "2 MiB admits 3 of 4 recorded requests (75 %) and 10 % of their bytes" in told[0]
    assert "1 outside the standard window" in told[0]
    assert "mainline 100; 10/12 100, the same; 11/12 150, 50 more; 12/12 40, 60 fewer." in told[1]
    assert "10/12 4 KiB (high water 2 MiB). Mainline" in told[2]
    assert findings(folders, "other") == []
    assert findings({}, "own") == []
