"""The command line of sweeps: tables, resuming, failed rows, and what a reader can type wrong."""

import io
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from vmalloc_model.compiled import CACHE
from vmalloc_model.metrics import METRICS, tables
from vmalloc_model.native import library

ROOT = Path(__file__).resolve().parents[2]
SMALL = "sweep --workload churn -p live=50 --events 2k --metric refills --metric lock_global"
CLOSED = "sweep --vary cpus=1:512:*8 --metric reserved_bytes --metric reserved_share"


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("vmalloc_model.sweep.store.cache_folder", lambda kind: tmp_path / kind)
    return tmp_path / "sweep"


@pytest.fixture
def run(command_line):
    return lambda words: command_line(*shlex.split(words))


def test_ranges_lists_and_the_order_of_rows(run):
    status, output, errors = run(
        f"{SMALL} --vary cpus=1:4:*2 --vary chunk=1M:2M:+1M --policy rfc10"
    )
    assert (status, errors) == (0, "")
    rows = pl.read_csv(io.StringIO(output))
    assert rows.select("cpus", "chunk_bytes").rows() == [
        (cpus, chunk << 20) for cpus in (1, 2, 4) for chunk in (1, 2)
    ]
    assert rows.select("policy", "seed", "events", "live").unique().rows() == [
        ("rfc10", 1, 2000, 50)
    ]
    assert rows.columns[-3:] == ["refills", "lock_global", "error"]


def test_a_file_that_cannot_be_made_is_told_before_anything_is_computed(run, own_cache):
    status, output, errors = run(f"{SMALL} --vary cpus=1,2 --policy rfc10 -o /proc/x.csv")
    assert (status, output) == (2, "")
    assert errors.startswith("error: /proc/x.csv: cannot be written (")
    assert errors.count("\n") == 1
    assert not list(own_cache.glob("**/*"))


def test_metrics_may_be_a_list_and_each_is_a_column_once(run):
    words = "sweep --vary cpus=1,2 --metric reserved_bytes"
    assert run(f"{words} --metric reserved_share --metric reserved_bytes") == run(
        f"{words},reserved_share"
    )


def test_a_setting_of_two_words_is_written_as_its_option_or_its_column(run):
    words = "sweep --metric largest_eligible_bytes --vary"
    dashed = run(f"{words} guard-pages=0,1")
    assert dashed == run(f"{words} guard_pages=0,1")
    sizes = pl.read_csv(io.StringIO(dashed[1]))["largest_eligible_bytes"].to_list()
    assert sizes == [32 << 20, (32 << 20) - 4096]


def test_a_row_is_what_simulate_prints(run):
    _, told, _ = run("simulate --workload churn -p live=50 --events 2k --policy rfc12 --csv")
    _, output, _ = run(f"{SMALL} --policy rfc12")
    values = {line.split(",")[1]: line.split(",")[2] for line in told.splitlines()}
    assert output.splitlines()[1].split(",")[-3:-1] == [values["refills"], values["lock_global"]]


def test_a_second_sweep_computes_what_is_new(run, monkeypatch):
    calls = []
    real = tables.play

    def counted(point):
        calls.append(point["cpus"])
        return real(point)

    counted.__module__, counted.__qualname__ = real.__module__, real.__qualname__
    monkeypatch.setattr(tables, "play", counted)
    first = run(f"{SMALL} --policy rfc10 --vary cpus=1,2")
    second = run(f"{SMALL} --policy rfc10 --vary cpus=1,2,4 --metric pool_hits_share")
    assert sorted(calls) == [1, 2, 4]
    assert first[2] == ""
    assert second[2] == "2 of 3 points were already there\n"


def test_mainline_is_simulated_once_for_all_chunk_sizes(run, own_cache):
    status, output, _ = run(f"{SMALL} --policy mainline --vary chunk=1M:64M:*2")
    assert status == 0
    assert len(output.splitlines()) == 8
    assert len(list(own_cache.rglob("*.json"))) == 1


def test_failed_points_are_rows_and_a_note(run):
    words = f"{SMALL} --policy rfc10 --platform arm64-42bit-64k --vary chunk=64K,1M"
    status, output, errors = run(words)
    assert (status, errors) == (0, "1 of 2 points failed; see the column error\n")
    assert "not a chunk size" in output.splitlines()[1]
    assert run(words)[2] == f"1 of 2 points were already there\n{errors}"


@pytest.mark.parametrize("words", [CLOSED, f"{SMALL} --vary policy=mainline,rfc12 --seed 3"])
def test_all_outputs_say_the_same(run, tmp_path, words):
    _, printed, _ = run(words)
    csv, parquet = tmp_path / "a.csv", tmp_path / "a.parquet"
    for file in (csv, parquet, tmp_path / "b.parquet"):
        assert run(f"{words} -o {file}")[:2] == (0, "")
    assert csv.read_text() == printed
    assert parquet.read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert pl.read_parquet(parquet).write_csv() == printed
    assert run(f"{words} --workers 1")[1] == printed
    assert "\r" not in printed


def test_an_interrupt_tells_what_is_kept_and_the_same_command_goes_on(tmp_path):
    """A process of its own, interrupted when there are some points."""
    words = [
        *(sys.executable, "-m", "vmalloc_model", "sweep", "--vary", "seed=1:40:+1"),
        *("--policy", "rfc12", "--workload", "churn", "--events", "1e5", "--metric", "refills"),
    ]
    kept = tmp_path / "sweep"
    (tmp_path / "engine").symlink_to(Path(library()._name).parent.parent)  # not compiled again
    (tmp_path / "numba").symlink_to(CACHE.parent)
    own = {"env": {**os.environ, "VMALLOC_MODEL_CACHE": str(tmp_path)}, "cwd": ROOT}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    stopped = subprocess.Popen(words, **own, **pipes)
    while stopped.poll() is None and len(list(kept.rglob("*.json"))) < 3:
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    output, errors = stopped.communicate()
    finished = len(list(kept.rglob("*.json")))
    assert (stopped.returncode, output) == (130, "")
    assert errors == (
        f"interrupted: {finished} of 40 points are finished and kept; the same command goes on\n"
    )
    assert 3 <= finished < 40
    rest = subprocess.run([*words, "--workers", "2"], check=False, **own, **pipes)
    assert rest.returncode == 0
    assert rest.stderr == f"{finished} of 40 points were already there\n"
    assert len(rest.stdout.splitlines()) == 41


def test_metrics_are_listed_with_unit_and_meaning(run):
    status, output, _ = run("sweep --list-metrics")
    assert status == 0
    told = {line.split()[0]: line for line in output.splitlines() if line.startswith("  ")}
    assert list(told) == list(METRICS)
    assert all(
        one.meaning in told[name] and one.unit in told[name] for name, one in METRICS.items()
    )


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--vary cpu=1,2 --metric reserved_bytes", "--vary: nothing that can be varied: 'cpu'"),
        ("--vary lve=1 --workload churn --metric refills", "--vary: nothing that can be varied"),
        ("--cpus 2 --metric refils", "--metric: no such metric: 'refils'; allowed: refills"),
        ("--cpus 2", "--metric: missing"),
        ("--workload churn --metric refills", "--policy: missing"),
        ("--policy rfc10 --metric refills", "--workload: missing"),
        ("--policy rfc13 --workload churn --metric refills", "--policy: no such policy: 'rfc13'"),
        ("--policy rfc10 --workload chrn --metric refills", "--workload: no such workload: 'chrn'"),
        ("--vary platform=x86 --metric reserved_share", "--vary platform: unknown platform"),
        ("--vary cpus=1 --cpus 2 --metric reserved_bytes", "--vary cpus: given twice"),
        ("--vary cpus=1:8 --metric reserved_bytes", "--vary cpus: not a count: '1:8'"),
        ("--vary cpus=8:1:*2 --metric reserved_bytes", "--vary cpus: not a range: '8:1:*2'"),
        ("--vary cpus=1:8:*1 --metric reserved_bytes", "--vary cpus: not a range: '1:8:*1'"),
        ("--vary seed=0:8:*2 --metric reserved_bytes", "--vary seed: not a range: '0:8:*2'"),
        ("--vary cpus=1:90000:+1 --metric reserved_bytes", "--vary cpus: range too long"),
        ("--vary cpus=1,,2 --metric reserved_bytes", "--vary cpus: not a count: ''"),
        ("--cpus 1,2 --metric reserved_bytes", "--cpus: not a count: '1,2'"),
        ("--vary cpus --metric reserved_bytes", "--vary: not an assignment: 'cpus'"),
        ("--chunk 3M --metric reserved_bytes", "--chunk: not a chunk size: 3145728"),
        ("-p live=3 --metric reserved_bytes", "-p live: no workload to have it"),
        ("--seed 3 --metric reserved_bytes", "--seed: no metric that is asked for depends on it"),
        (
            "--policy rfc10 --workload churn -p live=0 --metric refills",
            "-p live: out of range: '0'",
        ),
        ("--cpus 2 --metric reserved_bytes --workers 0", "--workers: out of range: 0"),
        (
            "--cpus 2 --metric reserved_bytes --workers 2 --scheduler tcp://h:1",
            "--workers: given together with --scheduler",
        ),
        ("--cpus 2 --metric reserved_bytes --scheduler h", "--scheduler: "),
        ("--cpus 2 --metric reserved_bytes -o a.txt", "-o: unknown ending: 'a.txt'"),
        (
            "--cpus 2 --metric reserved_bytes -o /nowhere/a.csv",
            "/nowhere/a.csv: its folder does not",
        ),
    ],
)
def test_what_is_typed_wrong_is_one_line(run, words, error):
    status, output, errors = run(f"sweep {words}")
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: {error}")
    assert errors.count("\n") == 1
