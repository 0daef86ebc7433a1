import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from vmalloc_model import __version__, simulate
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.counters import COUNTERS
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.cli import COMMANDS
from vmalloc_model.cli.values import parse_count, parse_share
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import size_text
from vmalloc_model.workloads import WORKLOADS, make

PROGRAM = Path(sys.executable).with_name("vmalloc-model")
SIMULATE = ["simulate", "--policy", "rfc12", "--workload", "churn"]
SMALL = [*SIMULATE, "-p", "live=50", "--events", "2k", "--chunk", "1M"]


@pytest.fixture
def run(command_line):
    return command_line


@pytest.fixture
def allocator():
    """The allocator after what `SMALL` asks for."""
    machine = machine_of(find_platform("x86_64-4level"), 8, chunk_size=1 << 20)
    allocator = Allocator(machine, "rfc12")
    for block in make("churn", page_size=4096, cpus=8, events=2000, seed=1, live=50).blocks():
        allocator.run(block)
    return allocator


def test_json_has_all_numbers_and_what_they_are_of(run, allocator):
    status, output, errors = run(*SMALL, "--json")
    assert (status, errors) == (0, "")
    told = json.loads(output)
    assert told["label"] == "MODEL"
    assert told["policy"] == {"name": "rfc12", "title": "after 12/12"}
    assert (told["workload"], told["platform"]) == ("churn", "x86_64-4level")
    assert (told["cpus"], told["events"], told["seed"]) == (8, 2000, 1)
    assert told["parameters"]["live"] == 50
    assert told["parameters"]["max_pages"] == 256
    assert told["machine"]["chunk_pages"] == 256
    assert told["freespace"] == "rbtree"
    assert told["counters"] == allocator.counters()
    assert told["measures"] == allocator.measures()
    assert told["visits"] == {name: row.tolist() for name, row in allocator.visits().items()}
    assert list(told["stranded"]) == list(simulate.STRANDED)


def test_csv_has_one_row_for_each_name(run, allocator):
    status, output, errors = run(*SMALL, "--csv")
    assert (status, errors) == (0, "")
    rows = list(csv.DictReader(io.StringIO(output)))
    assert rows[0] == {
        "kind": "label",
        "name": "label",
        "value": "MODEL",
        "unit": "",
        "meaning": "",
    }
    names = [(row["kind"], row["name"]) for row in rows]
    assert len(set(names)) == len(names)
    values = {name: row["value"] for name, row in zip(names, rows, strict=True)}
    for name, value in allocator.counters().items():
        assert values["counters", name] == str(value)
    for name, value in allocator.measures().items():
        assert values["measures", name] == str(value)
    assert values["setting", "policy"] == "rfc12"
    assert values["parameter", "live"] == "50"
    assert values["visits", "busy[7]"] == str(allocator.visits()["busy"][7])
    units = {row["name"]: row["unit"] for row in rows}
    assert units["peak_pages"] == units["high_water"] == "pages"
    assert units["requests"] == units["page_tables"] == ""


def test_the_table_says_what_it_is_and_means(run, allocator):
    status, output, errors = run(*SMALL)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert lines[:3] == [
        "MODEL",
        "policy      rfc12: after 12/12",
        f"workload    churn: {WORKLOADS['churn'].title}",
    ]
    assert lines[3].startswith("parameters  live=50, min_pages=1, max_pages=256")
    assert lines[4].startswith("machine     x86_64-4level, 8 CPUs, 8 vmap nodes, pages of 4 KiB,")
    assert "chunks of 1 MiB" in lines[4]
    assert lines[5:7] == ["events      2,000", "seed        1"]
    cells = {line.split()[0]: line for line in lines[7:] if line.startswith("  ")}
    for name, value in (allocator.counters() | allocator.measures()).items():
        assert cells[name].split()[1] == f"{value:,}"
    assert cells["requests"].endswith(COUNTERS["requests"])
    live = allocator.measures()["live_pages"]
    shown = cells["live_pages"].split()
    assert shown[2:4] == size_text(live * 4096).split()
    starts = {
        line.index(COUNTERS[name]) for name, line in cells.items() if name in ("frees", "refills")
    }
    assert len(starts) == 1


def test_every_measure_has_a_meaning(allocator):
    assert list(simulate.MEASURES) == list(allocator.measures())


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_two_runs_print_the_same_and_another_seed_does_not(run, form):
    first = run(*SMALL, *form)
    assert run(*SMALL, *form) == first
    assert run(*SMALL, *form, "--seed", "2")[1] != first[1]


def test_options_reach_the_machine(run):
    words = (
        "--platform i386 --cpus 2 --nr-cpus 4 --nodes 1 --decay 6.16 --freespace gaps --share 2%"
    )
    policy = "simulate --policy rfc10 --workload fix_size --chunk 2M --events 100 --json"
    told = json.loads(run(*policy.split(), *words.split())[1])
    own = {"chunk_size": 2 << 20, "nr_cpus": 4, "nodes": 1, "decay": "6.16", "possible_share": 0.02}
    machine = machine_of(find_platform("i386"), 2, **own)
    for name in ("cpus", "nodes", "decay", "possible_share", "block_pages", "chunk_pages"):
        assert told["machine"][name] == getattr(machine, name)
    assert told["machine"]["windows"] == [list(window) for window in machine.windows]
    assert told["freespace"] == "gaps"
    assert told["parameters"]["bits"] == "32"  # follows the platform
    assert told["parameters"]["threads"] == 2  # follows the machine


def test_mainline_has_no_chunks(run):
    output = run("simulate", "--policy", "mainline", "--workload", "stacks", "--events", "1000")[1]
    assert "no chunks" in output.splitlines()[4]


@pytest.mark.parametrize("chunk", ["8K", "8E"])
def test_extreme_chunks(run, chunk):
    assert run(*SMALL, "--chunk", chunk)[0] == 0


def test_output_and_series_go_to_files(run, tmp_path, allocator):
    out, series = tmp_path / "out.json", tmp_path / "series.csv"
    out.write_text("old")
    words = ["--json", "-o", str(out), "--series", str(series), "--samples", "8"]
    assert run(*SMALL, *words) == (0, "", "")
    told = json.loads(out.read_text())
    table = pl.read_csv(series)
    assert table["event"].to_list() == [250, 500, 750, 1000, 1250, 1500, 1750, 2000]
    assert table.row(-1, named=True) == {"event": 2000} | told["measures"] | told["counters"]
    assert told["measures"] == allocator.measures()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "series.csv"]
    assert out.stat().st_mode & 0o777 == series.stat().st_mode & 0o777 == 0o666 & ~_mask()
    run(*SMALL, "--series", str(series))
    assert pl.read_csv(series).height == 100


def _mask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


REFUSED = {
    "--policy rfc13": "--policy: no such policy: 'rfc13'; allowed: rfc12, ",
    "--workload chrn": "--workload: no such workload: 'chrn'; allowed: churn, ",
    "--platform x86": "--platform: unknown platform: 'x86'; allowed: ",
    "--freespace tree": "--freespace: no such free space: 'tree'; allowed: rbtree, gaps",
    "--decay 6.13": "--decay: unknown rule: '6.13'; allowed: 6.12, 6.16",
    "--cpus 0": "--cpus: out of range: 0; allowed: 1..1,048,576",
    "--cpus two": "--cpus: not a count: 'two'; allowed: a whole number",
    "--cpus 2M": "--cpus: out of range: 2000000; allowed: 1..1,048,576",
    "--nodes 129": "--nodes: out of range: 129; allowed: 1..128",
    "--nr-cpus 0": "--nr-cpus: out of range: 0; allowed: 1..8,192 on x86_64-4level",
    "--chunk 3M": "--chunk: not a chunk size: 3145728; allowed: a power of two from 8,192 to ",
    "--chunk 4K": "--chunk: not a chunk size: 4096; allowed: a power of two from 8,192 to ",
    "--chunk 16E": "--chunk: not a chunk size: 18446744073709551616; allowed: a power of two",
    "--chunk big": "--chunk: not a size: 'big'; allowed: bytes, or a number with K, M,",
    "--events 0": "--events: out of range: 0; allowed: whole numbers 1 to ",
    "--events 1.5": "--events: not a count: '1.5'; allowed: a whole number such as",
    "--events -5": "--events: not a count: '-5'; allowed: a whole number such as",
    "--seed -1": "--seed: not a count: '-1'; allowed: a whole number such as",
    "--share 0": "--share: not a share: '0'; allowed: above 0 and at most 1",
    "-p liv=5": "-p liv: no such parameter of churn; allowed: live, ",
    "-p live=0": "-p live: out of range: '0'; allowed: whole numbers 1 to ",
    "-p live=x": "-p live: not a count: 'x'; allowed: a whole number such as",
    "-p live=5 -p live=6": "-p live: given twice; allowed: each parameter once",
    "-p remote=1.5": "-p remote: not a share: '1.5'; allowed: above 0 and at most 1",
    "-p min_pages=300": "-p min_pages: above the maximum: 300; allowed: 1 to 256",
    "--workload bursts -p order=sideways": "-p order: unknown value: 'sideways'; allowed: ",
    "--workload fitted -p run=no-such": "-p run: no such recorded run, and no such file: 'no-such'",
    "--workload stacks -p thread_size=3Q": "-p thread_size: not a size: '3Q'; allowed: bytes, or",
    "--json --csv": "--csv: given together with --json; allowed: one of the two",
    "--samples 5": "--samples: nothing to write them to; allowed: together with --series",
    "--series {0}/s --samples 0": "--samples: out of range: 0; allowed: 1..100,000",
    "--series {0}/s -o {0}/s": "--series: the same file as -o: ",
    "--series {0}/no/s": "{0}/no/s: its folder does not exist",
    "-o {0}/no/out": "{0}/no/out: its folder does not exist",
    "-o {0}": "{0}: is a folder; allowed: the name of a file",
    "--chunks 64M": "No such option '--chunks'",
    "-p live": "-p: not an assignment: 'live'; allowed: NAME=VALUE",
    "extra": "Got unexpected extra argument (extra) (see `vmalloc-model simulate --help`)",
}


@pytest.mark.parametrize("words", REFUSED)
def test_wrong_input_is_one_line_and_nothing_is_written(run, tmp_path, monkeypatch, words):
    monkeypatch.setattr(simulate, "simulate", lambda *_, **__: pytest.fail("it ran"))
    given = words.format(tmp_path).split()
    target = [] if {"-o", "--series"} & set(given) else ["-o", str(tmp_path / "out")]
    status, output, errors = run(*SIMULATE, *target, *given)
    assert (status, output) == (2, "")
    assert errors.startswith("error: " + REFUSED[words].format(tmp_path))
    assert errors.count("\n") == 1
    assert errors.endswith("\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("simulate --workload churn", "Missing option '--policy'"),
        ("simulate --policy rfc12", "Missing option '--workload'"),
        ("simulat", "command: no such command: 'simulat'; allowed: simulate, "),
        ("workloads chrn", "workload: no such workload: 'chrn'; allowed: churn, "),
        ("--bogus", "No such option '--bogus'"),
    ],
)
def test_wrong_commands(run, words, error):
    status, output, errors = run(*words.split())
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: {error}")
    assert errors.count("\n") == 1


def test_an_interrupt_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulate, "simulate", interrupted)
    status, output, errors = run(*SMALL, "-o", str(tmp_path / "out"))
    assert (status, output) == (130, "")
    # click ends the line with ^C first
    kept = "what was finished is kept, and nothing is half-written"
    assert errors.strip() == f"interrupted; {kept}"
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_stays_as_it_was(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    out.write_text("old")
    monkeypatch.setattr(Path, "replace", full)
    status, output, errors = run(*SMALL, "-o", str(out))
    assert (status, output) == (2, "")
    assert errors == f"error: {out}: cannot be written (No space left on device)\n"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_policies_and_workloads_are_listed(run):
    status, output, errors = run("policies")
    assert (status, errors) == (0, "")
    assert [line.split()[0] for line in output.splitlines()] == list(load_policies())
    assert all(rules.title in output for rules in load_policies().values())
    output = run("workloads")[1]
    assert [line.split()[0] for line in output.splitlines()] == list(WORKLOADS)
    for name, workload in WORKLOADS.items():
        status, output, _ = run("workloads", name)
        first, _, *rows = output.splitlines()
        assert first == f"{name}: {workload.title}"
        assert [row.split()[0] for row in rows] == list(workload.parameters)
        assert all(one.meaning in output for one in workload.parameters.values())


def test_help_lists_the_commands(run):
    status, output, errors = run("-h")
    assert (status, errors) == (0, "")
    words = " ".join(output.split())  # long lines are wrapped
    assert all(f"{name} {line}" in words for name, line in COMMANDS.items())
    assert run("--version") == (0, f"vmalloc-model {__version__}\n", "")
    assert run()[0] == 2


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_installed_program():
    start = time.perf_counter()
    shown = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 10  # it takes 0.1 s; this is no test of speed
    assert "simulate" in shown.stdout
    done = subprocess.run([PROGRAM, *SMALL, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["events"] == 2000
    assert done.stderr == ""
    bad = subprocess.run([PROGRAM, *SMALL, "--cpus", "0"], capture_output=True, text=True)
    assert bad.returncode == 2
    assert (bad.stdout, bad.stderr.count("\n")) == ("", 1)
    assert "Traceback" not in bad.stderr


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom vmalloc_model.cli import main\n"
        "try:\n    main(['-h'])\n"
        "finally:\n    print(sorted({'numpy', 'polars', 'numba', 'tqdm'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]"


COUNTS = {
    10**6: ("1000000", "1,000,000", "1_000_000", "1e6", "1E+6", "1000k", "1M"),
    2500: ("2500", "2.5e3", "2.5k", "2500.0"),
    2 * 10**9: ("2G", "2g"),
    2**64 - 1: (str(2**64 - 1),),
    0: ("0",),
}


@pytest.mark.parametrize(("text", "count"), [(t, n) for n, ts in COUNTS.items() for t in ts])
def test_counts(text, count):
    assert parse_count(text, "x") == count


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "1e", "e6", "1e99", "1e-1", "10K B", "1,00", "0x10", "٣", str(2**64)]
)
def test_no_counts(text):
    with pytest.raises(InputError, match="x: not a count"):
        parse_count(text, "x")


def test_shares():
    shares = {"1": 1, "0.25": 0.25, ".5": 0.5, "1%": 0.01, "100%": 1}
    assert {text: parse_share(text, "x") for text in shares} == shares
    for text in ("", "0", "0%", "1.01", "101%", "-1", "nan", "inf", "1e-3", "%", "1%%"):
        with pytest.raises(InputError, match="x: not a share"):
            parse_share(text, "x")
