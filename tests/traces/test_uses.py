"""What a recording is good for, and the recipes for one."""

import gzip

import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.traces.importing import examine, import_recording
from vmalloc_model.traces.recipes import RECIPES, recipe
from vmalloc_model.traces.uses import USES, checks_of, uses_of

SMP = "runs/debian-6.12.117-{}.ftrace.txt.gz"
COPY = "runs/debian-6.12.117-smp1.vmallocinfo-end.txt.gz"
LINES = {
    "alloc": "t-1 [000] d. {t}.000000: alloc_vmap_area: va_start: {a} size=8192 align=1 "
    "vstart=0x1000 vend=0xffff failed=0",
    "free": "t-1 [000] d. {t}.000000: free_vmap_area_noflush: va_start={a:#x} nr_lazy=1 "
    "nr_lazy_max=2",
    "purge": "t-1 [000] d. {t}.000000: purge_vmap_area_lazy: start=0x1 end=0x2 num_purged=1",
}
WHOLE = ["alloc", "free", "purge"]


def failed(about):
    return [check.name for check in checks_of(about) if not check.passed]


def trace(tmp_path, *lines, address=4096):
    path = tmp_path / "t"
    path.write_text("".join(LINES.get(one, one).format(t=5, a=address) + "\n" for one in lines))
    return examine(path, [data_path(COPY)])


@pytest.mark.parametrize(
    ("lines", "address", "missing"),
    [
        (WHOLE, 4096, []),
        (["alloc"], 4096, ["frees", "purges", "begins with the boot"]),
        (["alloc", "free"], 4096, ["purges"]),
        (["free", *WHOLE], 4096, ["begins with the boot"]),
        (["alloc", *WHOLE], 4096, ["no losses"]),
        ([*WHOLE, "CPU:0 [LOST 3 EVENTS]"], 4096, ["no losses"]),
        (["# entries-in-buffer/entries-written: 3/4 #P:1", *WHOLE], 4096, ["no losses"]),
        (["# entries-in-buffer/entries-written: 4/4 #P:1", *WHOLE], 4096, ["no losses"]),
        (WHOLE, 0, ["addresses in clear"]),
        (WHOLE, 0xFFFF, ["addresses in clear"]),
        ([*WHOLE, LINES["alloc"].replace("{t}", "4").format(a=8192)], 4096, ["lock order"]),
        (["cpus=2", *WHOLE], 4096, ["lock order"]),
    ],
)
def test_each_check_can_fail(tmp_path, lines, address, missing):
    about = trace(tmp_path, *lines, address=address)
    assert failed(about) == [*missing, "phases"]
    for use, lacks in uses_of(about).items():
        assert lacks == [name for name in USES[use] if name in missing]


def test_what_is_lost_is_said_in_one_line(tmp_path):
    lines = [check.line() for check in checks_of(trace(tmp_path, *WHOLE, "CPU:0 [LOST 3 EVENTS]"))]
    (line,) = [line for line in lines if "no losses" in line]
    assert line == (
        "missing  no losses: 3 events lost (to mend: make the buffer larger (buffer_size_kb) and "
        "record again)"
    )
    assert not any("\n" in line for line in lines)


def found(about, name):
    """Line of the check of this name."""
    (check,) = [check for check in checks_of(about) if check.name == name]
    return check.line()


def test_a_trace_cut_at_a_line_end_is_not_whole(tmp_path):
    lines = gzip.decompress(data_path(SMP.format("smp1")).read_bytes()).splitlines(True)
    (tmp_path / "t").write_bytes(b"".join(lines[:20_000]))
    about = examine(tmp_path / "t")
    assert found(about, "no losses") == (
        "missing  no losses: the header says 39,137 entries, the file has 19,988 (to mend: take "
        "the whole file; stop tracing (tracing_on) before it is copied)"
    )
    assert about.lost == 39_137 - 19_988
    assert "no losses" in uses_of(about)["replay (validation)"]


SAYS = "# entries-in-buffer/entries-written: {0}/{0}   #P:1"
HEAD = "t-1 [000] d. 5.000000: "


@pytest.mark.parametrize(
    ("lines", "there"),
    [
        (WHOLE, None),
        ([SAYS.format(3), *WHOLE], 3),
        # A trace that went on while it was read has more than its header says.
        ([SAYS.format(2), *WHOLE], 2),
        # Events of all kinds, marks and stacks are entries; their lines below them are not.
        (
            [SAYS.format(7), HEAD + "sched_switch: a=1", HEAD + "tracing_mark_write: MARK a",
             HEAD + "tracing_mark_write: hello", HEAD + "<stack trace>", " => f", " => g", *WHOLE],
            7,
        ),
        # Buffers one behind the other: what one has too much does not make up for another.
        ([SAYS.format(1), "alloc", SAYS.format(2), "free", "purge"], 3),
        ([SAYS.format(1), "alloc", "free", SAYS.format(2), "purge"], 2),
        ([SAYS.format(2), "alloc", SAYS.format(1), "free", "purge"], 2),
        (["alloc", "free", SAYS.format(2), "purge"], 1),
    ],
)  # fmt: skip
def test_entries_are_counted_behind_their_header(tmp_path, lines, there):
    about = trace(tmp_path, *lines)
    assert about.entries_found == there
    short = (about.entries_in_buffer or 0) - (there or 0)
    assert (about.lost, "no losses" in failed(about)) == (short, short > 0)


def test_one_cpu_whose_time_runs_backwards(tmp_path):
    late = LINES["alloc"].replace("{t}", "9").format(a=8192)
    about = trace(tmp_path, late, *WHOLE)
    assert about.seconds == 4
    assert found(about, "lock order") == (
        "missing  lock order: 1 CPU, but 1 event earlier than the one before (to mend: give the "
        "trace of one boot, its lines in the order in which they were printed)"
    )
    two = trace(tmp_path, "cpus=2", late, *WHOLE)
    assert "2 CPUs, and events are printed after" in found(two, "lock order")
    assert "1 event earlier than the one before (to mend: boot with nr_cpus=1" in found(
        two, "lock order"
    )


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("smp1", ["vmallocinfo"]),
        ("smp2", ["lock order", "vmallocinfo"]),
        ("smp4-sync-purge", ["lock order", "vmallocinfo", "phases"]),
    ],
)
def test_recorded_runs(name, missing):
    about = examine(data_path(SMP.format(name)))
    assert failed(about) == missing
    assert uses_of(about)["replay (validation)"] == []


def test_a_log_is_good_for_all_and_a_copy_alone_for_nothing():
    log = examine(data_path("runs/linux-6.12.117-smp2-stock.oplog.csv.gz"))
    assert (log.kind, log.cpus, log.page_size, failed(log)) == ("oplog", 2, 4096, [])
    assert not any(uses_of(log).values())
    copy = examine(data_path(COPY))
    assert (copy.kind, sum(copy.events.values()), copy.events["vmalloc"]) == (
        "vmallocinfo",
        168,
        139,
    )
    assert all(uses_of(copy).values())


def test_copies_go_with_traces_only(tmp_path):
    for name in (COPY, "runs/linux-6.12.117-smp2-stock.oplog.csv.gz"):
        with pytest.raises(InputError, match="--vmallocinfo: only with a trace: '"):
            import_recording(data_path(name), tmp_path / "r.npz", [data_path(COPY)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("edges", [(0xA1B2C3D4, 0xD4C3B2A1), (0, 0)])
def test_hashed_addresses_are_refused_in_copies(tmp_path, edges):
    start, end = edges
    line = f"0x{start:016x}-0x{end:016x}    8192 a+0x1/0x2 pages=1 vmalloc\n"
    (tmp_path / "info").write_text(line)
    with pytest.raises(FileError, match=r"hashed or blanked out.*kptr_restrict=1.*no_hash_"):
        examine(tmp_path / "info")
    with pytest.raises(FileError, match="hashed or blanked out"):
        import_recording(
            data_path(SMP.format("smp4-sync-purge")), tmp_path / "r", [tmp_path / "info"]
        )


def test_a_trace_of_failures_only(tmp_path):
    with pytest.raises(FileError, match="no allocation that succeeded"):
        trace(tmp_path, LINES["alloc"].replace("failed=0", "failed=1"), "free")


# ------------------------------------------------------------------------------------- recipes
@pytest.mark.parametrize("tool", RECIPES)
def test_recipes_are_plain_narrow_text_and_end_in_the_import(tool):
    text = recipe(tool)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80
    assert "\t" not in text
    for word in ("kptr_restrict", "no_hash_pointers", "vmallocinfo-after.txt", "trace.txt.gz"):
        assert word in text
    assert "vmalloc-model import trace.txt.gz -o run.npz" in text
    assert "vmalloc-model report run.npz" in text


def test_bpftrace_prints_lines_that_are_read(tmp_path):
    """The formats of the program, filled in as bpftrace would, are lines of ftrace."""
    parts = {}
    for name in ("alloc_vmap_area", "free_vmap_area_noflush", "purge_vmap_area_lazy"):
        body = RECIPES["bpftrace"].split(f"tracepoint:vmalloc:{name} {{")[1].split("\n}")[0]
        formats = [piece.split('"')[0] for piece in body.split('printf("')[1:]]
        line = "".join(formats).replace("\\n", "").replace("%lu", "%d").replace("0x%lx", "%#x")
        head = ("a task", 7, 1, 5, 123)
        values = {"a": (8192, 8192, 1, 4096, 65535, 0), "f": (8192, 1, 2), "p": (1, 2, 3)}[name[0]]
        parts[name] = line % (*head, *values)
    (tmp_path / "t").write_text("\n".join(["Attaching 3 probes...", *parts.values(), ""]))
    about = examine(tmp_path / "t")
    assert (about.form, list(about.events.values())) == ("text of bpftrace", [1, 1, 1])
    assert (about.cpus, about.window, about.unknown_frees) == (2, (4096, 65535), 0)
