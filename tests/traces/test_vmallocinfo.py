"""``/proc/vmallocinfo``: recorded copies, every form of a line, and addresses that were hidden."""

import gzip

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.traces.events import ALLOC, FREE
from vmalloc_model.traces.ftrace import read_ftrace
from vmalloc_model.traces.vmallocinfo import read_vmallocinfo

RUN = "runs/debian-6.12.117-"
REUSED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
START, END = 0xFFFFC90000000000, 0xFFFFE8FFFFFFFFFF


@pytest.mark.parametrize(
    ("name", "areas", "unpurged"),
    [
        ("smp1.vmallocinfo-boot.txt.gz", 90, 1),
        ("smp1.vmallocinfo-end.txt.gz", 168, 1),
        ("smp2.vmallocinfo-boot.txt.gz", 106, 6),
        ("smp2.vmallocinfo-end.txt.gz", 187, 0),
        ("smp4-sync-purge.vmallocinfo.txt.gz", 114, 5),
    ],
)
def test_recorded_copies(name, areas, unpurged):
    table = read_vmallocinfo(data_path(RUN + name))
    assert table.height == areas
    assert table.filter(kind="unpurged").height == unpurged
    assert (table["end"] - table["start"] == table["size"]).all()
    # Nothing overlaps, and every address is in the standard window or in that of the modules.
    busy = table.sort("start")
    assert (busy["end"][:-1] <= busy["start"][1:]).all()
    assert ((busy["start"] >= START) & (busy["end"] <= END) | (busy["start"] > END)).all()
    # An area of memory pages has one guard page.
    pages = table.filter(pl.col("pages") > 0)
    assert (pages["size"] == 4096 * (pages["pages"] + 1)).all()


def test_the_end_of_smp4_is_what_its_trace_leaves():
    trace = read_ftrace(data_path(RUN + "smp4-sync-purge.ftrace.txt.gz")).events
    table = read_vmallocinfo(data_path(RUN + "smp4-sync-purge.vmallocinfo.txt.gz"))
    live = {}
    for event in trace[trace["kind"] != 2]:
        if event["kind"] == ALLOC:
            live[int(event["start"])] = int(event["size"])
        elif event["kind"] == FREE:
            live.pop(int(event["start"]))
    shown = table.filter(pl.col("kind") != "unpurged")
    silent = shown.filter(pl.col("caller").str.starts_with("pcpu_get_vm_areas"))
    assert silent["start"].to_list() == [0xFFFFE8FFFFC00000]
    rest = shown.filter(~pl.col("start").is_in(silent["start"].implode()))
    left = set(zip(rest["start"], rest["size"], strict=True)) ^ set(live.items())
    # The two were copied a moment apart: four stacks differ, everything else is the same.
    assert [size for _, size in left] == [20480] * 4


WORDS = ["ioremap", "sparse", "vmalloc", "vmap", "user", "dma-coherent", "vpages"]
LINES = st.tuples(
    st.integers(1, 2**52 - 1000),
    st.integers(1, 1000),
    st.sampled_from(
        [None, "kernel_clone+0xc2/0x430", "a.b+0x0/0x10 [xt_CT]", "0xffffffff81000000"]
    ),
    st.one_of(st.none(), st.integers(1, 999)),
    st.one_of(st.none(), st.integers(0, 2**40)),
    st.lists(
        st.sampled_from(WORDS),
        unique=True,
    ),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 99)), max_size=3),
    st.sampled_from([None, None, None, "vm_map_ram", "unpurged vm_area"]),
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@REUSED
@given(st.lists(LINES, min_size=1, max_size=20))
def test_every_form_of_a_line(tmp_path, pack, lines):
    text, rows = "", []
    for number, (page, count, caller, pages, phys, flags, nodes, word) in enumerate(lines, 1):
        start, size = page * 4096, count * 4096
        text += f"0x{start:016x}-0x{start + size:016x} {size:7d}"
        if word:
            text += f" {word}"
            caller, pages, phys, flags = None, None, None, []
        else:
            text += f" {caller}" if caller else ""
            text += f" pages={pages}" if pages else ""
            text += f" phys=0x{phys:016x}" if phys is not None else ""
            text += "".join(f" {flag}" for flag in flags)
            text += "".join(f" N{node}={some}" for node, some in nodes)
        text += "\n"
        kind = word.split()[0] if word else (flags or [""])[0]
        row = (number, start, start + size, size, kind, " ".join(flags), caller, pages or 0, phys)
        rows.append(row)
    (tmp_path / "t").write_bytes(pack(text.encode()))
    assert read_vmallocinfo(tmp_path / "t").rows() == rows


HASHED = (
    "0x00000000a2b5c1d4-0x000000009e2f11aa   20480 kernel_clone+0xc2/0x430 pages=4 vmalloc N0=4"
)
GOOD = "0xffffc90000000000-0xffffc90000005000   20480 irq_init_percpu_irqstack+0xf4/0x130 vmap"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HASHED, ["line 1: the addresses are hashed", "no_hash_pointers", "root"]),
        (f"{GOOD}\n0x{0:016x}-0x{0:016x} 20480 vm_map_ram", ["line 2: the addresses are hashed"]),
        (f"0x{0:016x}-0x{0:016x}       0 unpurged vm_area", ["line 1: the addresses are hashed"]),
        ("(____ptrval____)-(____ptrval____) 20480 vmap", ["line 1: the addresses are hashed"]),
        (f"{GOOD}\n{GOOD} nonsense", ["line 2: not a line of vmallocinfo", "nonsense"]),
        (f"{GOOD[:30]}", ["line 1: not a line of vmallocinfo"]),
        ("VmallocTotal:   34359738367 kB", ["no areas in it", "/proc/vmallocinfo"]),
        ("", ["the file is empty"]),
    ],
)
def test_one_clear_error(tmp_path, text, said):
    (tmp_path / "t").write_text(text)
    with pytest.raises(FileError) as error:
        read_vmallocinfo(tmp_path / "t")
    for part in said:
        assert part in str(error.value)


def test_columns_have_their_types(tmp_path):
    (tmp_path / "t").write_text(GOOD)
    table = read_vmallocinfo(tmp_path / "t")
    assert table["start"].dtype == pl.UInt64
    assert table["start"].to_numpy().dtype == np.uint64
    assert table["phys"].null_count() == 1
