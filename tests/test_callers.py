"""Payloads follow from their descriptions; module sizes are checked against a plain loop."""

import csv

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.callers import (
    ARCHES,
    PAYLOAD_KINDS,
    SECTIONS,
    WINDOWS,
    load_callers,
    load_modules,
    module_sections,
    windows,
)
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.platforms import load_platforms
from vmalloc_model.units import GIB, KIB, MIB, power_of_two_at_least

CALLERS = load_callers()
MODULES = load_modules()
BY_ID = {row["id"]: row for row in CALLERS.iter_rows(named=True)}
PAGE = 4096


# --- callers --------------------------------------------------------------------------------------


def test_architectures_are_those_of_the_platforms():
    assert list(ARCHES) == list(dict.fromkeys(p.arch for p in load_platforms().values()))


def test_every_caller_has_a_source_and_a_place_on_some_architecture():
    assert CALLERS["source"].str.starts_with("Linux 6.12.117 ").all()
    for row in BY_ID.values():
        assert {row[f"window_{arch}"] for arch in ARCHES} != {"none"}, row["id"]
    assert set(CALLERS["payload_kind"]) == set(PAYLOAD_KINDS)
    assert set(windows()["window"]) == set(WINDOWS)


def vmap_block(nr_cpus, page_size=PAGE):
    """VMAP_BLOCK_SIZE of mm/vmalloc.c on 64 bits; `nr_cpus` a power of two."""
    pages = 128 * GIB // page_size
    return min(1024, max(2 * 64, pages // nr_cpus // 16)) * page_size


@pytest.mark.parametrize(
    ("id", "payload"),
    [
        ("module-file", MODULES["file_bytes"].max()),
        ("module-init", MODULES["file_bytes"].max()),
        ("module-decompress", MODULES["file_bytes"].max()),
        ("module-section", module_sections(MODULES)["bytes"].max()),
        ("bpf-jit-pack", 2 * MIB * 1),
        ("bpf-jit-pack-2-nodes", 2 * MIB * 2),
        ("bpf-jit-image", (0xFFFF_FFFF_FF00_0000 - 0xFFFF_FFFF_C000_0000) // 2),
        ("bpf-arena", 4 * GIB + (1 << 16)),
        ("bpf-map", 8 * 1_048_576),
        ("dentry-hash", 32 * GIB // (8 * KIB) * 8),
        ("inode-hash", 32 * GIB // (16 * KIB) * 8),
        ("zram-table", 8 * GIB // PAGE * (8 + 4 + 4)),
        ("swap-map", 64 * GIB // PAGE),
        ("kvm-rmap", 64 * GIB // PAGE * 8),
        ("kvm-dirty-bitmap", 2 * 64 * GIB // PAGE // 8),
        ("conntrack-hash", 262_144 * 8),
        ("xfs-cil-small", 18 * PAGE),
        ("xfs-cil-large", 256 * PAGE),
        ("vmap-block-debian", vmap_block(8192)),
        ("vmap-block", vmap_block(2048)),
        ("drm-fbdev-4k", 3840 * 2160 * 4),
        ("kvmalloc", 2**31 - 1),
    ],
)
def test_a_payload_follows_from_its_description(id, payload):
    assert BY_ID[id]["payload"] == payload


@pytest.mark.parametrize("id", [id for id in BY_ID if id.startswith("ioremap")])
def test_device_memory_is_aligned_to_its_size(id):
    row = BY_ID[id]
    assert row["align"] == power_of_two_at_least(row["payload"])


def test_stacks():
    """THREAD_SIZE and THREAD_ALIGN: twice the size on the architectures that test a bit of sp."""
    stacks = {id: row for id, row in BY_ID.items() if id.startswith("stack-")}
    assert {id: row["align"] // row["payload"] for id, row in stacks.items()} == {
        "stack-x86_64": 1,
        "stack-arm64": 2,
        "stack-arm64-64k": 2,
        "stack-arm": 2,
        "stack-riscv64": 2,
        "stack-s390x": 1,
    }
    for id, row in stacks.items():
        here = [arch for arch in ARCHES if row[f"window_{arch}"] != "none"]
        assert here == [id.split("-")[1]]
        assert row[f"window_{here[0]}"] == "standard"


def test_guard_pages():
    without = CALLERS.filter(pl.col("guard") == 0)["id"].to_list()
    assert without == ["vmap-block-debian", "vmap-block", "pcpu-areas"]
    assert set(CALLERS["guard"]) == {0, 1}


# --- windows --------------------------------------------------------------------------------------


def window(caller, arch):
    (row,) = windows().filter(caller=caller, arch=arch).iter_rows(named=True)
    return row["window"], row["standard"]


def test_modules_are_outside_the_standard_window_where_the_mail_counts_on_them():
    for arch in ("x86_64", "arm64"):
        assert window("module-section", arch) == ("own", False)
        assert window("module-file", arch) == ("standard", True)
    assert window("module-section", "powerpc64") == ("standard", True)
    assert window("module-section", "arm") == ("fallback", None)
    assert window("bpf-jit-pack", "x86_64") == ("own", False)
    assert window("bpf-jit-pack", "arm64") == ("standard", True)
    assert window("bpf-jit-pack", "mips64") == ("none", None)


def test_windows_is_the_table_turned():
    turned = windows(CALLERS)
    assert turned.columns == ["caller", "arch", "window", "standard"]
    standard = {"standard": True, "own": False, "fallback": None, "none": None}
    expected = []
    for row in CALLERS.iter_rows(named=True):
        for arch in ARCHES:
            place = row[f"window_{arch}"]
            expected.append((row["id"], arch, place, standard[place]))
    assert turned.rows() == expected


# --- modules --------------------------------------------------------------------------------------


def test_debian_modules():
    """The counts that are quoted for this kernel."""
    sections = module_sections(MODULES)
    assert MODULES.height == 4_230
    assert sections.height == 22_564
    assert sections["bytes"].max() == 7_004_160
    assert sections.filter(pl.col("bytes") > MIB).height == 11
    assert sections.filter(pl.col("bytes") > 4 * MIB).height == 3
    assert round(sections["bytes"].mean()) == 12_047
    largest = MODULES.row(MODULES["file_bytes"].arg_max(), named=True)
    assert (largest["module"], largest["file_bytes"]) == ("amdgpu", 29_305_335)
    assert MODULES.filter(pl.col("file_bytes") > 8 * MIB).height == 2
    assert MODULES.filter(pl.col("file_bytes") > 16 * MIB)["module"].to_list() == ["amdgpu"]


def test_module_sections_equal_a_plain_loop_over_the_file():
    expected = []
    path = data_path("modules-debian-6.12.117-amd64.csv")
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for section in SECTIONS:
                size = int(row[f"{section}_bytes"])
                if size:
                    expected.append((row["module"], section, size))
    assert module_sections(MODULES).rows() == expected


PAGES = st.lists(st.integers(0, 4), min_size=len(SECTIONS), max_size=len(SECTIONS))


@given(st.lists(PAGES, max_size=6))
def test_module_sections_of_any_modules(pages):
    rows = [[f"m{n}", 1, *(PAGE * count for count in row)] for n, row in enumerate(pages)]
    modules = pl.DataFrame(rows, schema=MODULES.schema, orient="row")
    expected = [
        (f"m{n}", section, PAGE * count)
        for n, row in enumerate(pages)
        for section, count in zip(SECTIONS, row, strict=True)
        if count
    ]
    sections = module_sections(modules)
    assert sections.rows() == expected
    assert sections["bytes"].sum() == PAGE * sum(map(sum, pages))


# --- the loaders ----------------------------------------------------------------------------------

CALLER = {column: str(value) for column, value in BY_ID["bpf-prog"].items()}
MODULE = {"module": "toy", "file_bytes": "9000"} | {f"{section}_bytes": "0" for section in SECTIONS}


def write(path, rows, header=None):
    header = header or list(rows[0])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([row[column] for column in header] for row in rows)
    return path


def test_columns_may_come_in_any_order(tmp_path):
    path = write(tmp_path / "c.csv", [CALLER], list(CALLER)[::-1])
    assert load_callers(path).rows(named=True) == [BY_ID["bpf-prog"]]


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("id", "", "empty"),
        ("who", " ", "empty"),
        ("limit", "", "empty"),
        ("source", "", "empty"),
        ("payload", "4K", "not a whole number"),
        ("payload", "4096.0", "not a whole number"),
        ("payload", "", "not a whole number"),
        ("payload", "٤", "not a whole number"),
        ("payload", "9" * 19, "not a whole number"),
        ("payload", "0", "too small"),
        ("payload_kind", "usual", "unknown value"),
        ("align", "0", "too small"),
        ("align", "12288", "not a power of two"),
        ("guard", "-1", "not a whole number"),
        ("window_x86_64", "yes", "unknown value"),
        ("window_mips64", "", "unknown value"),
    ],
)
def test_a_bad_caller_names_line_and_column(tmp_path, column, cell, problem):
    path = write(tmp_path / "c.csv", [CALLER, CALLER | {"id": "bad"} | {column: cell}])
    with pytest.raises(FileError) as caught:
        load_callers(path)
    assert str(caught.value).startswith(f"{path}, line 3: column {column}: {problem}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("module", "", "empty"),
        ("file_bytes", "0", "too small"),
        ("file_bytes", "1e6", "not a whole number"),
        ("text_bytes", "4097", "not whole pages"),
        ("init_rodata_bytes", "x", "not a whole number"),
    ],
)
def test_a_bad_module_names_line_and_column(tmp_path, column, cell, problem):
    path = write(tmp_path / "m.csv", [MODULE, MODULE | {"module": "bad"} | {column: cell}])
    with pytest.raises(FileError) as caught:
        load_modules(path)
    assert str(caught.value).startswith(f"{path}, line 3: column {column}: {problem}: ")


def test_names_used_twice(tmp_path):
    with pytest.raises(FileError, match="line 3: column id: used twice: 'bpf-prog'"):
        load_callers(write(tmp_path / "c.csv", [CALLER, CALLER]))
    with pytest.raises(FileError, match="line 3: column module: used twice: 'toy'"):
        load_modules(write(tmp_path / "m.csv", [MODULE, MODULE]))


@pytest.mark.parametrize("column", list(CALLER))
def test_a_missing_column(tmp_path, column):
    header = [other for other in CALLER if other != column]
    with pytest.raises(FileError, match=f"line 1: missing column: '{column}'"):
        load_callers(write(tmp_path / "c.csv", [CALLER], header))


def test_an_unknown_column_and_one_twice(tmp_path):
    path = tmp_path / "m.csv"
    with pytest.raises(FileError, match="line 1: unknown column: 'window_vax'; allowed: id, who, "):
        load_callers(write(path, [CALLER | {"window_vax": "own"}]))
    with pytest.raises(FileError, match="line 1: column twice: 'module'"):
        load_modules(write(path, [MODULE], [*MODULE, "module"]))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: b"", "line 1: missing column: 'module'"),
        (lambda text: text[:-4], "line 2: too many or too few cells"),
        (lambda text: text.rstrip() + b",0\r\n", "line 2: too many or too few cells"),
        (lambda text: text.replace(b"toy", b'"toy'), "line 2: not CSV"),
        (lambda text: text.replace(b"toy", b"t\xffy"), "not UTF-8 text"),
        (
            lambda text: text.replace(b"toy", b"\r\n\r\ntoy").replace(b"9000", b"?"),
            "line 4: column",
        ),
    ],
    ids=["empty", "cut", "long line", "open quote", "not UTF-8", "empty lines"],
)
def test_a_damaged_file(tmp_path, damage, problem):
    path = write(tmp_path / "m.csv", [MODULE])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileError) as caught:
        load_modules(path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    for load in (load_callers, load_modules):
        with pytest.raises(FileError, match=r"cannot be read \(No such file"):
            load(tmp_path / "x.csv")
        with pytest.raises(FileError, match="cannot be read"):
            load(tmp_path)
