"""The manifest of recorded runs, and their streams of requests."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vmalloc_model import datafiles
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.replay.run import replay
from vmalloc_model.replay.streams import record_of, recorded_stream
from vmalloc_model.runs import (
    KINDS,
    REQUESTS,
    find_run,
    load_runs,
    measured_overlay,
    read_requests,
    run_id,
)
from vmalloc_model.traces.ftrace import ALLOC, EVENT, read_ftrace
from vmalloc_model.traces.importing import import_recording
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.traces.vmallocinfo import read_vmallocinfo
from vmalloc_model.workloads.lifetimes import frees_of

RUNS = ("smp1", "smp2", "smp4-sync", "oplog-stock", "oplog-rfc10")
FTRACE, OPLOG = RUNS[:3], RUNS[3:]
LINE = (
    "t-1 [00{cpu}] ..... 1.000000: alloc_vmap_area: va_start: {start} size={size} align=1 "
    "vstart=0x{vstart:x} vend=0x{vend:x} failed={failed}\n"
)
PLAIN = {"cpu": 0, "start": 4096, "size": 12288, "vstart": 4096, "vend": 65536, "failed": 0}


@pytest.fixture
def own_trace(tmp_path):
    def write(*changes):
        path = tmp_path / "my.txt"
        path.write_text("".join(LINE.format(**PLAIN | change) for change in changes))
        return path

    return write


# ------------------------------------------------------------------------------------- manifest
def test_the_manifest_lists_every_recording_and_only_those():
    runs = load_runs()
    assert tuple(runs) == RUNS
    named = {name for run in runs.values() for name in (run.file, *run.vmallocinfo)}
    present = {path.name for path in (datafiles.ROOT / "data/runs").iterdir()}
    assert present == named | {"README.md", "runs.toml"}


@pytest.mark.parametrize("name", RUNS)
def test_the_manifest_agrees_with_the_recording_and_the_platform(name):
    run = load_runs()[name]
    assert run.kind in KINDS
    platform = find_platform(run.platform)
    assert run.page_size == platform.page_size
    end = platform.end - 1 if platform.end_inclusive else platform.end
    assert run.window == (platform.start, end)
    own = find_run(run.path)
    assert (own.kind, own.cpus, own.page_size, own.window) == (
        (run.kind, run.cpus, run.page_size, run.window)
    )
    assert own.path == run.path
    for other in run.vmallocinfo:
        assert read_vmallocinfo(data_path(f"runs/{other}")).height > 80


def test_an_unknown_run_lists_the_known_ones_nearest_first():
    with pytest.raises(InputError) as error:
        find_run("smp3", "$.run")
    assert str(error.value).startswith("$.run: no such recorded run, and no such file: 'smp3'; al")
    assert all(name in str(error.value) for name in RUNS)
    with pytest.raises(InputError, match="allowed: oplog-stock, "):
        read_requests("oplog-stok")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "ftrace"', 'kind = "perf"', "run smp1: wrong kind: 'perf'"),
        ("cpus = 1", 'cpus = "1"', "run smp1: wrong cpus: '1'; allowed: int"),
        ("cpus = 1", "cpu = 1", "run smp1: wrong keys"),
        ('"0xffffc90000000000"', "1", "run smp1: wrong window"),
        ('"0xffffc90000000000", ', "", "run smp1: wrong window"),
    ],
)
def test_a_bad_manifest_names_run_and_key(tmp_path, monkeypatch, old, new, said):
    text = (datafiles.ROOT / "data/runs/runs.toml").read_text()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/runs.toml").write_text(text.replace(old, new, 1))
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    with pytest.raises(FileError) as error:
        load_runs()
    assert said in str(error.value)


# ------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize(
    ("name", "requests", "in_window"),
    [
        ("smp1", 16_820, 14_563),
        ("smp2", 18_087, 15_830),
        ("smp4-sync", 4_270, 4_261),
        ("oplog-stock", 15_585, 15_156),
        ("oplog-rfc10", 15_679, 15_250),
    ],
)
def test_recorded_requests(name, requests, in_window):
    table = read_requests(name)
    assert table.schema == pl.Schema(REQUESTS)
    assert table.height == requests
    assert table["in_window"].sum() == in_window
    run = find_run(name)
    assert table["cpu"].is_between(0, run.cpus - 1).all()
    assert (table["line"].diff().drop_nulls() > 0).all()
    assert (table["size"] % run.page_size == 0).all()
    align = table["align"]
    assert ((align & (align - 1)) == 0).all()
    # Every area lies in the window it was asked for.
    assert (table["addr"] >= table["vstart"]).all()
    assert (table["addr"] + table["size"].cast(pl.UInt64) <= table["vend"]).all()


@pytest.mark.parametrize("name", FTRACE)
def test_ftrace_requests_are_the_successful_events(name):
    trace = read_ftrace(find_run(name).path)
    events = [dict(zip(EVENT.names, event, strict=True)) for event in trace.events.tolist()]
    events = [event for event in events if event["kind"] == ALLOC and not event["failed"]]
    window = find_run(name).window
    rows = read_requests(name).iter_rows(named=True)
    for row, event in zip(rows, events, strict=True):
        assert row["addr"] == event["start"]
        assert row["phase"] == trace.phases[event["phase"]]
        assert row["in_window"] == ((row["vstart"], row["vend"]) == window)
        for column in ("line", "cpu", "size", "align", "vstart", "vend"):
            assert row[column] == event[column]
        assert row["reached_overlay"] is row["vm_map_ram"] is row["caller"] is None


@pytest.mark.parametrize("name", OPLOG)
def test_oplog_requests_equal_a_reading_row_by_row(name):
    window = find_run(name).window
    asked, pooled, expected = {}, set(), []
    log = read_oplog(find_run(name).path)
    for line, row in enumerate(log.iter_rows(named=True), 2):
        task = row["task"]
        if row["op"] in ("tree_alloc", "bump_ineligible"):
            asked[task] = row["vstart"], row["vend"]
        elif row["op"] == "pool_hit":
            pooled.add(task)
        elif row["op"] == "alloc_done":
            edges = asked.pop(task, window)
            expected.append(
                {
                    "line": line,
                    "cpu": row["cpu"],
                    "addr": row["addr"],
                    "size": row["size"],
                    "align": row["align"],
                    "vstart": edges[0],
                    "vend": edges[1],
                    "in_window": edges == window,
                    "phase": "",
                    "reached_overlay": task not in pooled,
                    "vm_map_ram": bool(row["flag"] & 16),
                    "caller": row["caller"],
                }
            )
            pooled.discard(task)
    assert read_requests(name).to_dicts() == expected


def test_reached_overlay_is_what_the_overlay_logged():
    log = read_oplog(find_run("oplog-rfc10").path)
    requests = read_requests("oplog-rfc10")
    asked = log.filter(pl.col("op").is_in(["bump_hit", "bump_ineligible"])).height
    assert requests["reached_overlay"].sum() == asked
    # Whoever asked for another window is refused, and nobody else.
    assert (
        requests.filter(~pl.col("in_window")).height
        == measured_overlay("oplog-rfc10").ineligible_window
    )
    assert requests.filter(~pl.col("in_window"))["reached_overlay"].all()


def test_highest_addresses_of_the_two_logs():
    ends = {}
    for name in OPLOG:
        inside = read_requests(name).filter("in_window")
        top = (inside["addr"] + inside["size"].cast(pl.UInt64)).max()
        ends[name] = (top - find_run(name).window[0]) >> 20
    assert ends == {"oplog-stock": 197, "oplog-rfc10": 4541}


# -------------------------------------------------------------------------------- own recordings
def test_an_own_trace_takes_the_window_of_most_requests(own_trace):
    failed = {"failed": 1, "vend": 2**30}
    path = own_trace({}, {"vend": 2**20, "cpu": 3}, failed, {"cpu": 1}, {"vstart": 8192}, failed)
    table = read_requests(path)
    assert table["in_window"].to_list() == [True, False, True, False]
    assert table["line"].to_list() == [1, 2, 4, 5]
    assert read_requests(path, window=(4096, 2**20))["in_window"].arg_true().to_list() == [1]
    run = find_run(str(path))
    assert (run.kind, run.cpus, run.page_size, run.window) == ("ftrace", 4, 4096, (4096, 65536))
    assert (run.platform, run.modified, run.in_order, run.vmallocinfo) == (None, None, None, ())
    assert run.path == path


def test_an_own_file_is_called_by_its_name_and_found_by_its_path(own_trace):
    path = own_trace({})
    run = find_run(path)
    assert (run.id, run.key, run.own) == ("my.txt", str(path), True)
    assert run_id("smp1") == find_run("smp1").key == "smp1"


def test_an_own_file_called_as_a_run_of_the_manifest_keeps_its_path(own_trace):
    path = own_trace({})
    other = path.rename(path.with_name("smp1"))
    assert find_run(other).id == run_id(other) == str(other)


def test_an_own_copy_reads_as_the_recorded_run(tmp_path):
    for name in ("smp4-sync", "oplog-stock"):
        copy = tmp_path / "copy"
        copy.write_bytes(gzip.decompress(find_run(name).path.read_bytes()))
        assert read_requests(copy).equals(read_requests(name))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The recorded runs as `run.npz`, with their copies of vmallocinfo."""
    folder = tmp_path_factory.mktemp("stored")
    for name, run in load_runs().items():
        import_recording(run.path, folder / f"{name}.npz", run.copies)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_an_imported_run_gives_what_its_text_gives(stored, tmp_path, name):
    known, path = find_run(name), stored / f"{name}.npz"
    run = find_run(path)
    mine = find_run(known.path)
    assert replace(run, id="", file="", description="") == replace(
        mine, id="", file="", description=""
    )
    assert (run.path, run.window, run.cpus) == (path, known.window, known.cpus)
    assert read_requests(path).equals(read_requests(name))
    if known.kind == "oplog":
        assert read_oplog(path).equals(read_oplog(known.path))
        return  # all else follows from that
    assert frees_of(run).equals(frees_of(known))
    text, events = record_of(known), record_of(run)
    for column in ("events", "line", "page", "count"):
        assert np.array_equal(getattr(events, column), getattr(text, column))
    assert (events.windows, events.missing) == (text.windows, text.missing)
    assert run.copies == (path,)
    assert recorded_stream(path).slots == recorded_stream(name).slots


@pytest.mark.parametrize("name", ["smp1", "smp4-sync"])
def test_an_imported_run_is_replayed_as_its_text(stored, name):
    mine, known = replay(stored / f"{name}.npz"), replay(name)
    assert replace(mine, file=known.file) == known
    assert mine.right


def test_an_imported_log_gives_the_same_overlay_figures(stored):
    mine, known = measured_overlay(stored / "oplog-rfc10.npz"), measured_overlay("oplog-rfc10")
    assert mine.chunks.equals(known.chunks)


def test_a_copy_of_vmallocinfo_alone_is_no_run(stored, tmp_path):
    copy = load_runs()["smp1"].copies[0]
    import_recording(copy, tmp_path / "copy.npz")
    for path in (copy, tmp_path / "copy.npz"):
        for read in (read_requests, find_run, recorded_stream):
            with pytest.raises(FileError, match="areas that live, not requests in their order"):
                read(path)


def test_an_own_trace_of_failures_only_is_refused(own_trace):
    path = own_trace({"failed": 1})
    for read in (read_requests, find_run):
        with pytest.raises(FileError, match="no allocation that succeeded"):
            read(path)


def test_an_own_log_with_an_area_from_nowhere_is_refused(tmp_path):
    text = gzip.decompress(find_run("oplog-stock").path.read_bytes()).decode()
    lines = [*text.splitlines()[:3], "2,alloc_done,0,0,,0x5000,8192,1,,,,8,"]
    (tmp_path / "log.csv").write_text("\n".join([*lines, ""]))
    with pytest.raises(FileError, match=r"log\.csv, line 4: alloc_done without the tree_alloc"):
        read_requests(tmp_path / "log.csv")


# -------------------------------------------------------------------------------------- overlay
@pytest.mark.parametrize("name", ["smp1", "oplog-stock"])
def test_a_run_without_the_overlay_has_no_overlay_figures(name):
    with pytest.raises(InputError, match=f"no overlay in this run: '{name}'"):
        measured_overlay(name)


def test_an_own_log_gives_the_same_overlay_figures(tmp_path):
    copy = tmp_path / "copy"
    copy.write_bytes(find_run("oplog-rfc10").path.read_bytes())
    mine, known = measured_overlay(copy), measured_overlay("oplog-rfc10")
    assert mine.chunks.equals(known.chunks)
    assert (mine.refills, mine.tail, mine.padding) == (known.refills, known.tail, known.padding)


def test_recordings_are_plain_gzip_files_of_the_checkout():
    for run in load_runs().values():
        assert Path(run.path).read_bytes()[:2] == b"\x1f\x8b"
