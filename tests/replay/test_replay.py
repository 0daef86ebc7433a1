"""Recorded kernels against the model: every address from the requests alone."""

import gzip
import json
import shutil

import numpy as np
import pytest

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.cli import cli, main
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.replay.run import replay
from vmalloc_model.replay.streams import record_of, recorded_stream
from vmalloc_model.replay.text import machine_for
from vmalloc_model.runs import find_run, load_runs, measured_overlay

SMP4 = "debian-6.12.117-smp4-sync-purge"
STOCK = "linux-6.12.117-smp2-stock.oplog.csv.gz"
RFC10 = "linux-6.12.117-smp2-rfc10.oplog.csv.gz"


def lines_of(name):
    return gzip.decompress(data_path(f"runs/{name}").read_bytes()).decode().splitlines()


def counts(result):
    return {kind: (tally.right, tally.made) for kind, tally in result.tallies.items()}


@pytest.mark.parametrize(("run", "allocations"), [("smp1", 16_820), ("smp4-sync", 4_270)])
def test_every_address_of_a_text_in_lock_order(run, allocations):
    result = replay(run)
    assert counts(result)["addresses"] == (allocations, allocations)
    assert all(tally.made > 0 for tally in result.tallies.values())
    assert result.right
    assert result.exact == allocations


@pytest.mark.parametrize("run", ["oplog-stock", "oplog-rfc10"])
def test_every_step_of_an_operation_log(run):
    result = replay(run)
    assert result.right
    rows = [line.split(",")[1] for line in lines_of(load_runs()[run].file)[1:]]
    made = {kind: tally.made for kind, tally in result.tallies.items()}
    recorded = {op: rows.count(op) for op in set(rows)}
    assert made["addresses"] == recorded["alloc_done"]
    assert made["global addresses"] == recorded["tree_alloc"]
    assert made["pool hits"] == recorded["pool_hit"]
    assert made["pool rotations"] == recorded["pool_rotate"]
    assert made["decay victims"] == recorded["decay_area"]
    assert made["purge order"] == recorded["purge_area"]
    assert made["pool adds"] == recorded["pool_add"]
    assert made["ranges given back"] == recorded["tree_free"]
    assert made["chunk bases"] == recorded.get("chunk_reserve", 0)
    assert made["bump addresses"] == recorded.get("bump_hit", 0)
    assert all(tally.right == tally.made for tally in result.tallies.values())


def test_a_text_without_lock_order_says_how_far_it_is_exact_and_goes_on():
    result = replay("smp2")
    right, made = counts(result)["addresses"]
    assert made == 18_087
    assert not result.right
    assert result.resynchronised == result.different == made - right
    assert 0 < result.exact < result.differences[0].line
    assert right / made > 0.85
    assert any("while the events were off" in line for line in result.added)


def test_the_overlay_of_a_kernel_from_the_requests_alone():
    recorded = record_of(find_run("oplog-rfc10"))
    allocator = Allocator(machine_for(recorded), "rfc10", auto_purge=False)
    for block in recorded.stream().blocks():
        allocator.run(block)
    logged = measured_overlay("oplog-rfc10")
    chunks = allocator.chunks()
    assert allocator.counters()["refills"] == logged.refills == 71
    assert allocator.measures()["high_water"] * 4096 == logged.high_water == 71 * logged.chunk_size
    assert (np.diff(np.sort(chunks.base)) >= logged.chunk_size // 4096).all()


def test_a_recorded_stream_is_the_same_each_time_and_names_its_windows():
    stream = recorded_stream("smp1")
    assert np.array_equal(stream.all(), stream.all())
    assert stream.windows[0] == (0xFFFFC90000000000, 0xFFFFE8FFFFFFF000)
    assert stream.events == len(stream.all())


def test_without_vmallocinfo_the_first_difference_is_named(tmp_path):
    own = tmp_path / "own.txt.gz"
    shutil.copy(data_path(f"runs/{SMP4}.ftrace.txt.gz"), own)
    alone = replay(own)
    assert not alone.right
    assert alone.exact < 4_270
    info = data_path(f"runs/{SMP4}.vmallocinfo.txt.gz")
    assert replay(own, [info]).right
    beside = tmp_path / "own.ftrace.txt.gz"
    own.rename(beside)
    shutil.copy(info, tmp_path / "own.vmallocinfo-end.txt.gz")
    assert replay(beside).right


def test_a_changed_address_in_a_text_is_found_and_costs_little(tmp_path):
    lines = lines_of(f"{SMP4}.ftrace.txt.gz")
    allocs = [k for k, line in enumerate(lines) if "alloc_vmap_area" in line]
    at = allocs[2000]  # of an area that is not in vmallocinfo any more
    old = int(lines[at].split("va_start: ")[1].split()[0])
    new = old + (1 << 40)
    head = "\n".join(lines[:at])
    text = "\n".join(lines[at:]).replace(f"va_start: {old} ", f"va_start: {new} ", 1)
    first_free = f"va_start={old:#x} "
    path = tmp_path / "own.ftrace.txt"
    path.write_text(f"{head}\n" + text.replace(first_free, f"va_start={new:#x} ", 1) + "\n")
    shutil.copy(data_path(f"runs/{SMP4}.vmallocinfo.txt.gz"), tmp_path / "own.vmallocinfo.txt.gz")
    result = replay(path)
    assert result.differences[0].line == at + 1
    assert (result.differences[0].expected, result.differences[0].recorded) == (
        f"{old:#x}",
        f"{new:#x}",
    )
    assert result.resynchronised >= 1


def changed(tmp_path, name, change):
    rows = [line.split(",") for line in lines_of(name)]
    change(rows)
    path = tmp_path / "own.csv"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    return path


def first(rows, op, skip=0):
    return [k for k, row in enumerate(rows) if row[1] == op][skip]


def test_a_changed_address_in_a_log_is_found(tmp_path):
    where = {}

    def change(rows):
        at = first(rows, "decay_area", 20)
        other = first(rows, "decay_area", 21)
        where["line"] = at + 1
        rows[at][5], rows[other][5] = rows[other][5], rows[at][5]

    try:
        result = replay(changed(tmp_path, STOCK, change))
    except FileError as error:
        assert error.line >= where["line"]  # noqa: PT017
    else:
        assert result.differences[0].line == where["line"]
        assert result.differences[0].kind == "decay victims"


def test_a_wrong_chunk_base_is_found_and_the_model_takes_it_over(tmp_path):
    def change(rows):
        at = first(rows, "chunk_reserve", 3)
        base = rows[at][5]
        moved = hex(int(base, 16) + (1 << 44))
        for row in rows[at:]:
            for k in (5, 10):
                if row[k].startswith("0x") and 0 <= int(row[k], 16) - int(base, 16) < 1 << 26:
                    row[k] = hex(int(row[k], 16) - int(base, 16) + int(moved, 16))

    result = replay(changed(tmp_path, RFC10, change))
    assert result.differences[0].kind == "chunk bases"
    right, made = counts(result)["bump addresses"]
    assert right == made  # bump addresses follow the base that was taken over


def drop_done(rows):
    del rows[first(rows, "pool_miss", 5) : first(rows, "alloc_done", 5)]


def free_twice(rows):
    at = first(rows, "lazy_add")
    rows.insert(at + 1, [str(int(rows[at][0])), *rows[at][1:]])
    for number, row in enumerate(rows[1:]):
        row[0] = str(number)


def free_unknown(rows):
    rows[first(rows, "lazy_add")][5] = "0xffffc90001234000"


def overlap(rows):
    at = first(rows, "alloc_done", 3)
    rows[at][5] = rows[first(rows, "alloc_done", 2)][5]


def attach_first(rows):
    at = first(rows, "decay_area")
    rows[at][1] = "decay_attach"
    rows[at][4] = "1" if rows[at][4] == "0" else "0"
    rows[at][10] = "0"


def purge_in_purge(rows):
    at = first(rows, "purge_end")
    rows[at][1], rows[at][11] = "purge_begin", "0"


def refill_alone(rows):
    rows[first(rows, "chunk_reserve")][1] = "tree_alloc"


def second_config(rows):
    rows[60][1:] = rows[1][1:]


def no_node(rows):
    rows[first(rows, "pool_miss", 4)][4] = "7"


def odd_size(rows):
    rows[first(rows, "tree_alloc" if rows[1][11] == "0" else "bump_hit")][6] = "20481"


def free_space_twice(rows):
    rows[first(rows, "tree_free", 3)][5] = "0xffffd00000000000"


@pytest.mark.parametrize(
    ("log", "change", "said"),
    [
        (STOCK, drop_done, "an allocation ends that nothing has served"),
        (STOCK, free_twice, "free of an address that is not allocated"),
        (STOCK, free_unknown, "free of an address that is not allocated"),
        (STOCK, overlap, "overlaps the one at 0x"),
        (STOCK, attach_first, "a pool decays that was not detached"),
        (STOCK, purge_in_purge, "a purge begins inside another"),
        (RFC10, refill_alone, "a refill without the chunk_reserve before it"),
        (STOCK, second_config, "a second configuration"),
        (STOCK, no_node, "no such node"),
        (STOCK, odd_size, "no whole pages"),
        (STOCK, free_space_twice, "free already"),
    ],
)
def test_a_log_that_cannot_be_is_refused_with_its_line(tmp_path, log, change, said):
    path = changed(tmp_path, log, change)
    with pytest.raises(FileError, match=said) as raised:
        replay(path)
    assert raised.value.line
    assert raised.value.line > 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("va_start=0x", "va_start=0x1", "free of an address that was not allocated"),
        (None, None, "an address is allocated that is in use"),
    ],
)
def test_a_text_that_cannot_be_is_refused_with_its_line(tmp_path, old, new, said):
    lines = lines_of(f"{SMP4}.ftrace.txt.gz")
    if old:
        at = next(k for k, line in enumerate(lines) if "free_vmap" in line)
        lines[at] = lines[at].replace("va_start=0xffff", "va_start=0xfffe")
        line = at + 1
    else:
        lines.insert(1, lines[0])
        line = 2
    path = tmp_path / "own.txt"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(FileError, match=said) as raised:
        replay(path)
    assert raised.value.line == line


def test_overlapping_areas_in_a_text_are_refused(tmp_path):
    lines = lines_of(f"{SMP4}.ftrace.txt.gz")
    allocs = [k for k, line in enumerate(lines) if "alloc_vmap_area" in line]
    inside = int(lines[allocs[6]].split("va_start: ")[1].split()[0]) + 4096
    head, tail = lines[allocs[20]].split("va_start: ")
    lines[allocs[20]] = f"{head}va_start: {inside} {tail.split(' ', 1)[1]}"
    path = tmp_path / "own.txt"
    path.write_text("\n".join(lines[: allocs[20] + 1]) + "\n")
    with pytest.raises(FileError, match="overlaps the one of line") as raised:
        replay(path)
    assert raised.value.line == allocs[20] + 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"recording": "smp9"}, "no such recorded run"),
        ({"recording": "smp1", "policy": "rfc9"}, "no such policy"),
        ({"recording": "oplog-rfc10", "policy": "rfc12"}, "no steps of this policy"),
        ({"recording": "smp1", "decay": "7"}, "unknown rule"),
        ({"recording": "oplog-stock", "vmallocinfo": ["x"]}, "has every area"),
    ],
)
def test_options_that_cannot_be_used(arguments, said):
    with pytest.raises(InputError, match=said):
        replay(**arguments)


def command(capsys, *words):
    with pytest.raises(SystemExit) as raised:
        main(["replay", *words])
    out = capsys.readouterr()
    return raised.value.code, out.out, out.err


def test_the_command_prints_the_count_and_ends_with_its_status(capsys, tmp_path):
    status, out, err = command(capsys, "smp1")
    assert status == 0
    assert "16820 of 16820 allocation addresses predicted (100.00 %)" in out
    assert err == ""
    status, out, _ = command(capsys, "oplog-rfc10", "--json")
    record = json.loads(out)
    assert status == 0
    assert record["tallies"]["bump addresses"] == {"made": 11_314, "right": 11_314}
    own = tmp_path / "own.txt.gz"
    shutil.copy(data_path(f"runs/{SMP4}.ftrace.txt.gz"), own)
    status, out, _ = command(capsys, str(own))
    assert status == 1
    assert "first difference: line" in out
    assert "likely cause:" in out
    status, out, err = command(capsys, str(tmp_path / "none"))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "no such file" in err


def test_the_command_is_listed():
    assert "replay" in cli.list_commands(None)


def test_a_log_without_a_column_names_it(tmp_path):
    path = tmp_path / "own.csv"
    rows = [",".join(line.split(",")[:-1]) for line in lines_of(STOCK)[:20]]
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(FileError, match="missing column caller") as raised:
        replay(path)
    assert raised.value.line == 1
