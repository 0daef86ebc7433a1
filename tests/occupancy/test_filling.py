"""Filling chunks: against a plain per-request twin, an identity, the closed form, and a kernel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.constraints import allocations_per_refill
from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import InputError
from vmalloc_model.occupancy import Filling, fill

P = 4096
MIB = 1 << 20
VMALLOC_START = 0xFFFFC90000000000  # x86_64, 4-level, without KASLR


@dataclass
class Chunk:
    """What the diff keeps per CPU, and the books of one chunk beside it."""

    cpu: int
    base: int
    limit: int
    bump: int
    taken: list[int] = field(default_factory=list)
    padding: int = 0
    closed: bool = False


def plain_fill(sizes, aligns, chunk_size, cpus, base) -> list[Chunk]:
    """One request at a time over all CPUs: try, refill on a miss, try once more."""
    chunks: list[Chunk] = []
    current: dict[int, Chunk] = {}

    def bump_alloc(cpu: int, size: int, align: int) -> bool:
        chunk = current.get(cpu)
        if chunk is None:
            return False
        at = chunk.bump
        while at % align:  # ALIGN(), the slow way
            at += P
        if at + size > chunk.limit:
            return False
        chunk.padding += at - chunk.bump
        chunk.taken.append(size)
        chunk.bump = at + size
        return True

    for size, align, cpu in zip(sizes, aligns, cpus, strict=True):
        if not bump_alloc(cpu, size, align):
            if cpu in current:
                current[cpu].closed = True
            start = base + len(chunks) * chunk_size
            current[cpu] = Chunk(cpu, start, start + chunk_size, start)
            chunks.append(current[cpu])
            assert bump_alloc(cpu, size, align), "a fresh chunk always has room"
    return chunks


def identity(filling: Filling) -> None:
    held = filling.requested + filling.padding + filling.tail + filling.rest
    assert held == filling.refills * filling.chunk_size
    assert filling.hits + filling.refills == filling.requests


orders = st.integers(4, 7)  # chunks of 16 to 128 pages


@st.composite
def streams(draw):
    chunk_pages = 1 << draw(orders)
    one = st.tuples(
        st.integers(1, chunk_pages // 2),
        st.sampled_from([1, P // 2] + [P << n for n in range(chunk_pages.bit_length() - 1)]),
        st.integers(0, 2),
    )
    requests = draw(st.lists(one, max_size=60))
    base = draw(
        st.sampled_from([0, P, (chunk_pages - 1) * P, VMALLOC_START, VMALLOC_START + 3 * P])
    )
    sizes = [pages * P for pages, _, _ in requests]
    return sizes, [a for _, a, _ in requests], chunk_pages * P, [c for _, _, c in requests], base


@given(streams())
def test_filling_equals_the_plain_twin(stream):
    sizes, aligns, chunk_size, cpus, base = stream
    got = fill(sizes, aligns, chunk_size, P, cpus, base)
    wanted = plain_fill(sizes, aligns, chunk_size, cpus, base)
    assert got.refills == len(wanted)
    assert got.chunk_cpu.tolist() == [c.cpu for c in wanted]
    assert got.chunk_base.tolist() == [c.base for c in wanted]
    assert got.chunk_used.tolist() == [c.bump - c.base for c in wanted]
    assert got.chunk_requested.tolist() == [sum(c.taken) for c in wanted]
    assert got.chunk_requests.tolist() == [len(c.taken) for c in wanted]
    assert got.chunk_closed.tolist() == [c.closed for c in wanted]
    assert got.requested == sum(sizes)
    assert got.padding == sum(c.padding for c in wanted)
    assert got.tail == sum(c.limit - c.bump for c in wanted if c.closed)
    assert got.rest == sum(c.limit - c.bump for c in wanted if not c.closed)
    identity(got)


@given(
    st.integers(1, 200),
    st.integers(1, 300),
    st.integers(0, 5),
    st.integers(5, 9),
    st.integers(0, 9),
)
def test_equal_requests_give_the_closed_form(n, pages, align_order, chunk_order, base_pages):
    chunk, align, base = P << chunk_order, P << align_order, P * base_pages
    size = pages * P
    per_refill = int(allocations_per_refill(chunk, size, P, 0, align, base))
    if per_refill == 0:
        with pytest.raises(InputError, match="more than half a chunk"):
            fill([size], align, chunk, P, base=base)
    else:
        assert fill([size] * n, align, chunk, P, base=base).refills == -(-n // per_refill)


@given(st.integers(1, 8192), st.integers(0, 13), st.integers(0, 16383))
def test_every_eligible_request_fits_a_fresh_chunk(pages, align_order, base_pages):
    # 64 MiB in pages: half is 8,192 pages = 2**13; the base is any page of a chunk
    only = fill([pages * P], P << align_order, 64 * MIB, P, base=base_pages * P)
    assert only.refills == 1
    assert int(only.chunk_used[0]) <= 64 * MIB - P


def test_tail_can_be_almost_a_whole_chunk():
    # base one page short of 32 MiB alignment: two pages, then 32 MiB aligned to 32 MiB
    lost = fill([2 * P, 32 * MIB], [1, 32 * MIB], 64 * MIB, P, base=32 * MIB - P)
    assert (lost.refills, lost.tail) == (2, 64 * MIB - 2 * P)


def test_no_requests():
    nothing = fill([], 1, 64 * MIB, P)
    assert (nothing.refills, nothing.hits, nothing.chunk_used.shape) == (0, 0, (0,))
    identity(nothing)


@pytest.fixture(scope="module")
def oplog() -> pl.DataFrame:
    path = data_path("runs/linux-6.12.117-smp2-rfc10.oplog.csv.gz")
    return pl.read_csv(path, infer_schema=False)


def test_recorded_kernel_fills_its_chunks_exactly_so(oplog):
    hits = oplog.filter(pl.col("op") == "bump_hit")
    refills = oplog.filter(pl.col("op") == "refill")
    got = fill(
        hits["size"].cast(int).to_numpy(),
        hits["align"].cast(int).to_numpy(),
        64 * MIB,
        P,
        cpu=hits["cpu"].cast(int).to_numpy(),
        base=VMALLOC_START,
    )
    assert got.refills == refills.height == 71
    assert got.hits == hits.height - (oplog["op"] == "bump_miss").sum()
    # every chunk: who took it, where it lies, how far its pointer got (logged at the next refill)
    assert got.chunk_cpu.tolist() == refills["cpu"].cast(int).to_list()
    bases = [int(text, 16) for text in refills["addr"]]
    assert got.chunk_base.tolist() == bases
    old = [int(text, 16) for text in refills["value"]]
    logged = {base: int(used) for base, used in zip(old, refills["size"], strict=True) if base}
    assert len(logged) == got.chunk_closed.sum() == 69
    filled = dict(zip(got.chunk_base.tolist(), got.chunk_used.tolist(), strict=True))
    assert {base: filled[base] for base in logged} == logged
    # every hit lies in the chunk that the filling puts it into
    counted = Counter(int(text, 16) for text in hits["value"])
    assert dict(zip(bases, got.chunk_requests.tolist(), strict=True)) == counted
    identity(got)


def test_the_log_pairs_each_miss_with_one_refill_on_the_same_cpu(oplog):
    # why the hits alone are the request stream: a miss is followed by its own refill and hit
    overlay = oplog.filter(pl.col("op").is_in(["bump_hit", "bump_miss", "refill", "refill_fail"]))
    ops, cpus, sizes = (overlay[name].to_list() for name in ("op", "cpu", "size"))
    for i, op in enumerate(ops):
        if op == "bump_miss":
            assert ops[i + 1 : i + 3] == ["refill", "bump_hit"]
            assert cpus[i] == cpus[i + 1] == cpus[i + 2]
            assert sizes[i] == sizes[i + 2]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([33 * MIB], 1, 64 * MIB, P), "$.size: not eligible, more than half a chunk: 34603008"),
        (([P], 64 * MIB, 64 * MIB, P), "$.align: not eligible, more than half a chunk: 67108864"),
        (([P + 1], 1, 64 * MIB, P), "$.size: not a multiple of the page size: 4097"),
        (([P], 1, 48 * MIB, P), "$.chunk_size: not a power of two: 50331648"),
        (([P], [1, 1], 64 * MIB, P), "$.align: wrong shape: (2,); allowed: (1,) or one value"),
        (([P], 1, 64 * MIB, P, [0, 1]), "$.cpu: wrong shape: (2,)"),
        ((P, 1, 64 * MIB, P), "$.size: wrong shape: ()"),
        (([P], 1, 64 * MIB, P, None, 5), "$.base: not a page-aligned address: 5"),
    ],
)
def test_bad_requests_name_the_place(arguments, text):
    with pytest.raises(InputError) as caught:
        fill(*arguments)
    assert str(caught.value).startswith(text)
