"""Every range is computed twice: from its formula, and from the header's macros in Python."""

import ast
import csv
import dataclasses
import operator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.platforms import BOUNDS, Platform, find_platform, load_platforms
from vmalloc_model.units import GIB, KIB, MIB, PIB, TIB

PLATFORMS = load_platforms()
SPACE = 1 << 64
STRUCT_PAGE = 64  # sizeof(struct page) without debugging options
every_platform = pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)


# --- the formula column ---------------------------------------------------------------------------

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}


def formula_size(platform):
    names = {
        "KiB": KIB,
        "MiB": MIB,
        "GiB": GIB,
        "TiB": TIB,
        "PiB": PIB,
        "page_size": platform.page_size,
        "page_shift": platform.page_size.bit_length() - 1,
        "pointer_size": platform.pointer_size,
        "va_bits": platform.va_bits,
        "struct_page": STRUCT_PAGE,
    }

    def value(node):
        match node:
            case ast.Constant(value=int()):
                return node.value
            case ast.Name():
                return names[node.id]
            case ast.BinOp():
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise AssertionError(f"not arithmetic: {ast.dump(node)}")

    return value(ast.parse(platform.formula, mode="eval").body)


@every_platform
def test_the_formula_gives_the_size(platform):
    assert formula_size(platform) == platform.size


@every_platform
def test_a_changed_size_is_noticed(platform):
    for step in (-platform.page_size, platform.page_size):
        wrong = dataclasses.replace(platform, size=platform.size + step)
        assert formula_size(wrong) != wrong.size
        assert layout(wrong)[1] != wrong.size


# --- the twin: the macros of each architecture, computed modulo 2**64 as the preprocessor does ----


def arm64(va_bits, page_size, vabits_actual=None):
    """``VMALLOC_START`` and ``VMALLOC_END`` by asm/memory.h and asm/pgtable.h."""
    vabits_actual = vabits_actual or va_bits

    def page_offset(va):
        return -(1 << va) % SPACE

    def page_end(va):
        return -(1 << (va - 1)) % SPACE

    va_bits_min = va_bits if va_bits <= 48 else 47 if page_size == 16 * KIB else 48
    modules_vaddr = page_end(va_bits_min)
    modules_end = modules_vaddr + 2 * GIB
    vmemmap_range = page_end(va_bits_min) - page_offset(va_bits)
    vmemmap_size = vmemmap_range // page_size * STRUCT_PAGE
    vmemmap_end = -GIB % SPACE
    vmemmap_start = vmemmap_end - vmemmap_size
    if va_bits == va_bits_min:
        vmalloc_end = vmemmap_start - 8 * MIB
    else:
        unused_pages = (page_offset(vabits_actual) - page_offset(va_bits)) // page_size
        vmalloc_end = vmemmap_start + unused_pages * STRUCT_PAGE - 8 * MIB
    return modules_end, vmalloc_end


def riscv(page_offset, pgdir_shift, pointer_size):
    """asm/pgtable.h; a page holds PAGE_SIZE / sizeof(pgd_t) first-level entries."""
    ptrs_per_pgd = 4096 // pointer_size
    kern_virt_size = ptrs_per_pgd // 2 * (1 << pgdir_shift) // 2
    vmalloc_size = kern_virt_size >> 1
    return page_offset - vmalloc_size, page_offset


def loongarch(page_size, levels, valen=48, palen=48):
    """asm/pgtable.h and asm/sparsemem.h; CPUCFG.1 holds address lengths minus one."""
    cpu_vabits, cpu_pabits = valen - 1, palen - 1
    vm_map_base = (0 - (1 << cpu_vabits)) % SPACE
    entries = page_size // 8
    pmd_size = page_size * entries
    vmemmap_size = STRUCT_PAGE * ((1 << (cpu_pabits + 1)) // page_size)
    modules_vaddr = vm_map_base + 32 * MIB + 2 * page_size
    reach = min(entries**levels * page_size, 1 << cpu_vabits)
    return modules_vaddr + 2 * GIB, vm_map_base + reach - pmd_size - vmemmap_size


def mips64(page_size, pgd_pages, levels, cpu_vmbits=64):
    """asm/pgtable-64.h with MAP_BASE of mach-generic/spaces.h."""
    map_base = 0xC000_0000_0000_0000
    entries = page_size // 8
    reach = min(pgd_pages * entries**levels * page_size, 1 << cpu_vmbits)
    return map_base + 2 * page_size, map_base + reach - (1 << 32)


def lowmem_limited(vmalloc_end, reserve, gap):
    """i386 and arm: RAM fills low memory up to `reserve` below the end; a gap follows it."""
    high_memory = vmalloc_end - reserve
    return high_memory + gap, vmalloc_end


def layout(platform):
    """``(start or None, size)`` of a platform, from its id alone."""
    start_known = platform.start is not None
    match platform.id.split("-"):
        case ["x86_64", "4level"]:
            start, end = 0xFFFF_C900_0000_0000, 0xFFFF_E8FF_FFFF_FFFF + 1
        case ["x86_64", "5level"]:
            start, end = 0xFFA0_0000_0000_0000, 0xFFD1_FFFF_FFFF_FFFF + 1
        case ["i386"]:
            # any page-aligned VMALLOC_END: the size doesn't depend on it
            start, end = lowmem_limited(0xFF7F_E000, 128 << 20, 8 * MIB)
        case ["arm"]:
            # adjust_lowmem_bounds() keeps VMALLOC_OFFSET free below the reserve
            start, end = lowmem_limited(0xFF80_0000, 240 * MIB + 8 * MIB, 8 * MIB)
        case ["arm64", bits, pages]:
            start, end = arm64(int(bits.removesuffix("bit")), int(pages[:-1]) * KIB)
        case ["riscv64", "sv39"]:
            start, end = riscv(0xFFFF_FFD6_0000_0000, 30, 8)
        case ["riscv64", "sv48"]:
            start, end = riscv(0xFFFF_AF80_0000_0000, 39, 8)
        case ["riscv64", "sv57"]:
            start, end = riscv(0xFF60_0000_0000_0000, 48, 8)
        case ["riscv32"]:
            start, end = riscv(0xC000_0000, 22, 4)
        case ["powerpc64", "hash", "4k"]:
            # hash-4k.h: 61 TiB of linear map, then 1 TiB each of vmalloc, I/O and vmemmap
            start = 0xC000_0000_0000_0000 + 61 * TIB
            end = start + TIB
        case ["powerpc64", "book3e"]:
            start, end = 0xC000_1000_0000_0000, 0xC000_1000_0000_0000 + (0x1000_0000_0000 >> 2)
        case ["powerpc64", *_]:
            start, end = 0xC008_0000_0000_0000, 0xC00A_0000_0000_0000
        case ["s390x"]:
            ident_map_size = 64 * GIB
            end = 1 << 42
            start = end - max(ident_map_size // 8, (512 << 30) - (1 << 31))
        case ["loongarch64", pages]:
            start, end = loongarch(int(pages[:-1]) * KIB, {"16k": 3, "4k": 4}[pages])
        case ["mips64", "4k"]:
            start, end = mips64(4 * KIB, 2, 3)
        case ["mips64", "4k", "48bit"]:
            start, end = mips64(4 * KIB, 1, 4)
        case ["mips64", "16k"]:
            start, end = mips64(16 * KIB, 1, 3)
        case ["mips64", "64k"]:
            start, end = mips64(64 * KIB, 1, 2)
        case _:
            raise AssertionError(f"{platform.id} has no twin")
    return start if start_known else None, end - start


@every_platform
def test_the_header_macros_give_start_and_size(platform):
    assert (platform.start, platform.size) == layout(platform)


@pytest.mark.parametrize(
    ("id", "first", "last"),
    [
        # read off running kernels: trace events of a 4-level one, boot of a 5-level one
        ("x86_64-4level", 0xFFFF_C900_0000_0000, 0xFFFF_E8FF_FFFF_FFFF),
        ("x86_64-5level", 0xFFA0_0000_0000_0000, 0xFFD1_FFFF_FFFF_FFFF),
        # Documentation/arch/riscv/vm-layout.rst
        ("riscv64-sv39", 0xFFFF_FFC6_0000_0000, 0xFFFF_FFD5_FFFF_FFFF),
        ("riscv64-sv48", 0xFFFF_8F80_0000_0000, 0xFFFF_AF7F_FFFF_FFFF),
        ("riscv64-sv57", 0xFF20_0000_0000_0000, 0xFF5F_FFFF_FFFF_FFFF),
    ],
)
def test_documented_and_observed_ends(id, first, last):
    platform = PLATFORMS[id]
    assert (platform.start, platform.end) == (first, last + 1)


@pytest.mark.parametrize(
    ("page_size", "narrow"), [(4 * KIB, 48), (16 * KIB, 47), (64 * KIB, 48)], ids=str
)
def test_a_52_bit_arm64_kernel_on_a_cpu_without_52_bits(page_size, narrow):
    """What the notes say: such a CPU has the range of the narrower configuration."""
    assert arm64(52, page_size, vabits_actual=narrow) == arm64(narrow, page_size)


def test_52_bit_addresses_do_not_enlarge_vmalloc_on_arm64():
    for pages in ("4k", "64k"):
        wide, narrow = (PLATFORMS[f"arm64-{bits}bit-{pages}"] for bits in (52, 48))
        assert wide.start == narrow.start
        assert wide.size < narrow.size


NR_CPUS = {  # default and largest value in the Kconfig of each architecture, Linux 6.12.117
    "x86_64": (64, 8192),
    "i386": (8, 64),
    "arm64": (512, 4096),
    "arm": (4, 32),
    "riscv64": (64, 512),
    "riscv32": (32, 512),
    "powerpc64": (32, 8192),
    "s390x": (64, 512),
    "loongarch64": (64, 256),
    "mips64": (64, 256),
}


@every_platform
def test_cpu_limits(platform):
    assert (platform.nr_cpus_default, platform.nr_cpus_max) == NR_CPUS[platform.arch]


@every_platform
def test_every_row_names_its_source(platform):
    assert platform.source.startswith("Linux 6.12.117 arch/")
    assert "NR_CPUS" in platform.source
    assert platform.note
    assert platform.bound in BOUNDS
    if platform.start is None:
        assert platform.bound != "exact"


def test_the_platforms_that_the_report_needs():
    arm = {"36bit-16k", "39bit-4k", "42bit-64k", "47bit-16k"}
    arm |= {f"{bits}bit-{pages}" for bits in (48, 52) for pages in ("4k", "16k", "64k")}
    assert {id.removeprefix("arm64-") for id in PLATFORMS if id.startswith("arm64-")} == arm
    assert {"x86_64-4level", "x86_64-5level", "i386", "arm", "riscv32", "s390x"} <= set(PLATFORMS)
    assert {p.arch for p in PLATFORMS.values()} == set(NR_CPUS)


def test_no_range_is_what_the_mail_says():
    """The mail has 128 GB on x86_64 and 256 PB on arm64; no platform has either."""
    sizes = {platform.size for platform in PLATFORMS.values()}
    assert 128 * GIB not in sizes
    assert max(sizes) == 16 * PIB


# --- Platform -------------------------------------------------------------------------------------


def test_the_last_page_of_x86_64_is_out_of_reach():
    platform = PLATFORMS["x86_64-4level"]
    assert platform.usable_size == 32 * TIB - 4096
    assert platform.slots(64 * MIB) == 32 * TIB // (64 * MIB) - 1
    exclusive = PLATFORMS["riscv64-sv48"]
    assert exclusive.usable_size == exclusive.size == 32 * TIB
    assert exclusive.slots(64 * MIB) == 524_288


@pytest.mark.parametrize(("id", "slots"), [("i386", 1), ("arm", 3), ("riscv32", 8)])
def test_chunks_of_64_mib_in_32_bits(id, slots):
    assert PLATFORMS[id].slots(64 * MIB) == slots


@given(st.sampled_from(sorted(PLATFORMS)), st.integers(1, 1 << 62))
def test_slots_is_the_most_that_fits(id, chunk_size):
    platform = PLATFORMS[id]
    slots = platform.slots(chunk_size)
    assert slots * chunk_size <= platform.usable_size < (slots + 1) * chunk_size


@pytest.mark.parametrize("chunk_size", [0, -4096])
def test_slots_of_nothing(chunk_size):
    with pytest.raises(InputError, match=r"^\$\.chunk_size: too small: "):
        PLATFORMS["arm"].slots(chunk_size)


def test_unknown_platform_lists_the_known_ones_nearest_first():
    with pytest.raises(InputError) as caught:
        find_platform("arm64-52bits-64k", where="$.platforms[2]")
    text = str(caught.value)
    assert text.startswith(
        "$.platforms[2]: unknown platform: 'arm64-52bits-64k'; allowed: arm64-52"
    )
    listed = text.split("allowed: ")[1].split(", ")
    assert listed[0] == "arm64-52bit-64k"
    assert sorted(listed) == sorted(PLATFORMS)


@pytest.mark.parametrize("id", [None, 64, ["arm"], ""])
def test_a_platform_that_is_no_id(id):
    with pytest.raises(InputError, match="unknown platform"):
        find_platform(id)


def test_find_platform():
    assert find_platform("arm") == PLATFORMS["arm"]


# --- the loader -----------------------------------------------------------------------------------

HEADER = [field.name for field in dataclasses.fields(Platform)]
GOOD = {
    "id": "toy",
    "name": "Toy",
    "arch": "toy",
    "va_bits": "40",
    "page_size": "4096",
    "pointer_size": "8",
    "start": "0xfffffff000000000",
    "size": str(64 * GIB),
    "end_inclusive": "0",
    "bound": "exact",
    "nr_cpus_default": "4",
    "nr_cpus_max": "8",
    "formula": "64 * GiB",
    "source": "a header",
    "note": "",
}


def write(path: Path, rows, header=HEADER):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([row[column] for column in header] for row in rows)
    return path


def test_columns_may_come_in_any_order_and_a_range_may_end_at_the_top(tmp_path):
    path = write(tmp_path / "p.csv", [GOOD], HEADER[::-1])
    assert load_platforms(path)["toy"].end == SPACE


@pytest.mark.parametrize(
    ("column", "cell", "problem"),
    [
        ("id", " ", "empty"),
        ("name", "", "empty"),
        ("arch", "", "empty"),
        ("source", "", "empty"),
        ("formula", "", "empty"),
        ("va_bits", "0", "out of range"),
        ("va_bits", "65", "out of range"),
        ("va_bits", "4_0", "not a whole number"),
        ("page_size", "4K", "not a whole number"),
        ("page_size", "12288", "not a power of two"),
        ("pointer_size", "6", "unknown value"),
        ("start", "fffffff000000000", "not an address"),
        ("start", "0xfffffff00000000g", "not an address"),
        ("start", "0x1fffffff000000000", "not an address"),
        ("start", "0xfffffff000000100", "not page aligned"),
        ("size", "-4096", "not a whole number"),
        ("size", "0", "out of range"),
        ("size", "٤٠٩٦", "not a whole number"),
        ("size", "9" * 5000, "not a whole number"),
        ("size", "4097", "not whole pages"),
        ("size", str(64 * GIB + 4096), "the range ends beyond 2**64"),
        ("size", str(SPACE + 4096), "out of range"),
        ("end_inclusive", "yes", "unknown value"),
        ("bound", "about", "unknown value"),
        ("nr_cpus_default", "9", "out of range"),
        ("nr_cpus_default", "0", "out of range"),
        ("nr_cpus_max", "", "not a whole number"),
    ],
)
def test_a_bad_cell_names_line_and_column(tmp_path, column, cell, problem):
    path = write(tmp_path / "p.csv", [GOOD, GOOD | {"id": "bad"} | {column: cell}])
    with pytest.raises(FileError) as caught:
        load_platforms(path)
    assert str(caught.value).startswith(f"{path}, line 3: column {column}: {problem}: ")
    assert "\n" not in str(caught.value)


def test_a_32_bit_range_ends_at_4_gib(tmp_path):
    small = GOOD | {"pointer_size": "4", "va_bits": "32", "start": "0xf0000000"}
    top = small | {"size": str(256 * MIB)}
    assert load_platforms(write(tmp_path / "p.csv", [top]))["toy"].end == 1 << 32
    beyond = small | {"size": str(256 * MIB + 4096)}
    with pytest.raises(FileError, match=r"line 2: column size: the range ends beyond 2\*\*32"):
        load_platforms(write(tmp_path / "p.csv", [beyond]))


def test_an_id_used_twice(tmp_path):
    with pytest.raises(FileError, match="line 3: column id: used twice: 'toy'"):
        load_platforms(write(tmp_path / "p.csv", [GOOD, GOOD]))


@pytest.mark.parametrize("column", HEADER)
def test_a_missing_column(tmp_path, column):
    header = [other for other in HEADER if other != column]
    with pytest.raises(FileError, match=f"line 1: missing column: '{column}'"):
        load_platforms(write(tmp_path / "p.csv", [GOOD], header))


def test_an_unknown_column_and_one_twice(tmp_path):
    path = tmp_path / "p.csv"
    with pytest.raises(FileError, match=r"line 1: unknown column: 'color'; allowed: id, name, "):
        load_platforms(write(path, [GOOD | {"color": "red"}], [*HEADER, "color"]))
    with pytest.raises(FileError, match="line 1: column twice: 'size'"):
        load_platforms(write(path, [GOOD], [*HEADER, "size"]))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda text: b"", "line 1: missing column: 'id'"),
        (lambda text: text[:-20], "line 2: too many or too few cells"),
        (lambda text: text.rstrip() + b",more\r\n", "line 2: too many or too few cells"),
        (lambda text: text.replace(b"Toy", b'"Toy'), "line 2: not CSV"),
        (lambda text: text.replace(b"Toy", b"T\xffy"), "not UTF-8 text"),
    ],
    ids=["empty", "cut", "long line", "open quote", "not UTF-8"],
)
def test_a_damaged_file(tmp_path, damage, problem):
    path = write(tmp_path / "p.csv", [GOOD])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(FileError) as caught:
        load_platforms(path)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match=r"cannot be read \(No such file"):
        load_platforms(tmp_path / "p.csv")
    with pytest.raises(FileError, match="cannot be read"):
        load_platforms(tmp_path)


def test_the_table_is_plain_text_with_one_row_a_line():
    text = data_path("platforms.csv").read_text(encoding="ascii")
    assert text.count("\n") == len(PLATFORMS) + 1
