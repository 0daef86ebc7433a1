"""What a recording is good for, and the recipes for one."""

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
    path.write_text("\n".join(LINES.get(one, one).format(t=5, a=address) for one in lines))
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
