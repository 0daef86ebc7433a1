"""What the benchmark of free spaces compares with is right itself."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import LinearFreeSpace
from vmalloc_model.traces.oplog import read_oplog

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
try:
    import ctree
    from sorted_freespace import SortedFreeSpace
    from streams import ALLOC, FREE, churn, replay_on
finally:
    sys.path.pop()

WHOLE = [(1, 2**52 - 1)]
STOCK = "runs/linux-6.12.117-smp2-stock.oplog.csv.gz"


@pytest.fixture(scope="module")
def c_tree():
    try:
        ctree.library()
    except ctree.NoCompilerError as reason:
        pytest.skip(str(reason))
    return ctree.CTree


def steps(seed, count, orders=(0,)):
    """Random steps, more requests than releases and then the other way: ``(request, which)``."""
    random = np.random.default_rng(seed)
    for number in range(count):
        if random.random() < (0.8, 0.35)[number // 200 % 2]:
            vstart = int(random.choice([1, 64, 100, 1000]))
            vend = vstart + int(random.choice([300, 1500, 5000]))
            yield (int(random.integers(1, 40)), int(random.choice(orders)), vstart, vend), 0
        else:
            yield None, int(random.integers(2**31))


def agree(one, other, seed, count, orders=(0,), after=lambda: None):
    """Take the same steps in both; compare every address and the gaps at the end."""
    live, most, failed = [], 0, 0
    for request, which in steps(seed, count, orders):
        if request is None:
            if live:
                area = live.pop(which % len(live))
                one.release(*area)
                other.release(*area)
        else:
            start = one.reserve(*request)
            assert other.reserve(*request) == start
            if start is not None:
                live.append((start, request[0]))
            failed += start is None
        most = max(most, len(live))
        after()
    assert list(one.gaps()) == list(other.gaps())
    assert most > 60  # the test tests something
    assert failed > 10


@pytest.mark.parametrize("seed", range(3))
def test_c_tree_is_lowest_fit_without_alignment(c_tree, seed):
    tree = c_tree(WHOLE)

    def valid():
        assert tree.valid()

    agree(tree, LowestThenWindow(WHOLE), seed, 1000, after=valid)


class LowestThenWindow(LinearFreeSpace):
    """Lowest fit above ``vstart``; the request fails where that is beyond the window's end."""

    def reserve(self, pages, order, vstart, vend):
        for start, length in self.gaps():
            address = max(start, vstart)
            if address + pages <= start + length:
                if address + pages > vend:
                    return None
                self.carve(address, pages)
                return address
        return None


@pytest.mark.parametrize("seed", range(3))
def test_c_tree_is_the_plain_tree_with_alignment(c_tree, seed):
    agree(c_tree(WHOLE), TreeFreeSpace(WHOLE), seed, 1000, (0, 0, 1, 2, 4))


@pytest.mark.parametrize(("window", "start"), [((8, 16), 8), ((8, 17), None)])
def test_a_request_for_the_whole_window_is_not_padded(c_tree, window, start):
    gaps = [(20, 21), (8, 16)]  # the second is below the first, where padding hides it
    assert TreeFreeSpace(gaps).reserve(8, 2, *window) == start
    assert c_tree(gaps).reserve(8, 2, *window) == start


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("orders", [(0,), (0, 0, 1, 2, 4)])
def test_sorted_free_space_is_lowest_fit(seed, orders):
    agree(SortedFreeSpace(WHOLE), LinearFreeSpace(WHOLE, "lowest"), seed, 700, orders)


def test_sorted_free_space_with_requests_beyond_the_exact_classes():
    gaps = [(1000, 1600), (3000, 3515), (5000, 5514), (9000, 10000), (20000, 90000)]
    for pages in (512, 513, 514, 515, 516, 600, 601, 1000, 1001, 70000, 70001):
        for order in (0, 3):
            request = (pages, order, 1, 10**6)
            assert SortedFreeSpace(gaps).reserve(*request) == LinearFreeSpace(gaps).reserve(
                *request
            )


def test_replay_in_c_is_replay_step_by_step(c_tree):
    stream = churn(60, 600, seed=5, aligned=True)
    window = (100, 1500)  # too small: requests fail, and areas that never were are freed
    whole, _ = c_tree(WHOLE).replay(*stream[:5], *window)
    single, _ = replay_on(c_tree(WHOLE), *stream[:5], *window)
    assert np.array_equal(whole, single)
    assert {ALLOC, FREE} == set(stream.ops[whole < 0].tolist())
    with pytest.raises(ValueError, match="out of range"):
        c_tree(WHOLE).replay(*stream[:4], 59, *window)


def test_c_tree_gives_every_address_of_the_kernel(c_tree):
    log = read_oplog(data_path(STOCK))
    pages = [(pl.col(name) // 4096).cast(pl.Int64) for name in ("addr", "size", "vstart", "vend")]
    rows = (
        log.filter(
            pl.col("op").is_in(["tree_alloc", "tree_free", "pcpu_area", "init_free", "init_busy"])
        )
        .select("op", *pages, "align")
        .rows()
    )
    tree, found, aligned = c_tree([]), 0, 0
    for op, start, size, vstart, vend, align in rows:
        if op == "tree_alloc":
            order = max(align // 4096, 1).bit_length() - 1
            assert tree.reserve(size, order, vstart, vend) == start
            found += 1
            aligned += order > 0
        elif op == "tree_free":
            tree.release(start, size)
        elif op == "init_free":
            tree.release(1, 2**52 - 2)
        else:
            tree.carve(start, size)
    assert (found, aligned) == (11_600, 4_454)
    assert tree.valid()


def test_streams_are_what_they_say():
    stream = churn(1000, 20_000, seed=3, aligned=True)
    assert (stream.ops[:1000] == ALLOC).all()
    assert (stream.ops[1000:].reshape(-1, 2) == [FREE, ALLOC]).all()
    assert (stream.slot[1000::2] == stream.slot[1001::2]).all()
    assert (np.sort(stream.slot[:1000]) == np.arange(1000)).all()
    allocs = stream.ops == ALLOC
    assert not stream.pages[~allocs].any()
    stacks = stream.order == 2
    assert (stream.pages[stacks] == 5).all()
    assert 0.47 < stacks.sum() / allocs.sum() < 0.53
    payload = stream.pages[allocs & ~stacks].astype(int) - 1
    assert (payload.min(), payload.max()) == (1, 256)
    assert abs((payload < 16).mean() - 0.5) < 0.02  # log 16 is half of log 257, nearly
    again = churn(1000, 20_000, seed=3, aligned=True)
    assert all(np.array_equal(one, other) for one, other in zip(stream, again, strict=True))
    assert not churn(10, 100, seed=3).order.any()
    assert len(churn(10, 101, seed=3).ops) == 111
    assert len(stream.prefix(7).ops) == 1007
