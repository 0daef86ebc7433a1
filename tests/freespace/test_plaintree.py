"""The kernel's free space as node objects: against recorded kernels, the list, and the textbook."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import LinearFreeSpace
from vmalloc_model.freespace.topdown import pcpu_areas
from vmalloc_model.traces.oplog import read_oplog

RUNS = Path(__file__).resolve().parents[2] / "data" / "runs"
PAGE = 4096
COLUMNS = ("op", "addr", "size", "align", "vstart", "vend")


def replay(name, limit=None):
    """Feed a log's operations on the free space to the tree; return (searches, wrong, per-CPU)."""
    log = read_oplog(RUNS / f"linux-6.12.117-smp2-{name}.oplog.csv.gz")
    config = log.row(0, named=True)
    standard = config["vstart"] // PAGE, config["vend"] // PAGE
    gaps = [
        (-(-row["addr"] // PAGE), (row["addr"] + row["size"]) // PAGE)
        for row in log.rows(named=True)
        if row["op"] == "init_free"
    ]
    tree = TreeFreeSpace(gaps)
    searches, wrong, per_cpu = 0, [], 0
    for number, (op, addr, size, align, vstart, vend) in enumerate(log.select(COLUMNS).rows()):
        if op in ("tree_alloc", "chunk_reserve"):
            order = max(align // PAGE, 1).bit_length() - 1
            got = tree.reserve(size // PAGE, order, vstart // PAGE, vend // PAGE)
            searches += 1
            if got != (None if addr is None else addr // PAGE):
                wrong.append(number)
                break
        elif op == "tree_free":
            tree.release(addr // PAGE, size // PAGE)
        elif op == "pcpu_area":
            order = (align // PAGE).bit_length() - 1
            got = pcpu_areas(tree, [0], [size // PAGE], order, *standard)
            per_cpu += 1
            if got != addr // PAGE:
                wrong.append(number)
                break
        elif op == "init_busy":
            tree.carve(addr // PAGE, -(-size // PAGE))
        if number == limit:
            break
        if number % 1000 == 0:
            tree.check()
    tree.check()
    return searches, wrong, per_cpu


@pytest.mark.parametrize(("name", "searches"), [("stock", 11_600), ("rfc10", 500)])
def test_every_address_of_a_recorded_kernel_is_predicted(name, searches):
    assert replay(name) == (searches, [], 2)


def test_first_fit_by_address_does_not_predict_them():
    """The validation can fail: without the tree's shape the addresses come out differently."""
    log = read_oplog(RUNS / "linux-6.12.117-smp2-stock.oplog.csv.gz")
    space = LinearFreeSpace([(1, 2**52 - 1)])
    for op, addr, size, align, vstart, vend in log.select(COLUMNS).rows():
        if op == "tree_alloc":
            order = max(align // PAGE, 1).bit_length() - 1
            got = space.reserve(size // PAGE, order, vstart // PAGE, vend // PAGE)
            if got != addr // PAGE:
                return
        elif op == "tree_free":
            space.release(addr // PAGE, size // PAGE)
        elif op == "pcpu_area":
            space.carve(addr // PAGE, size // PAGE)
    pytest.fail("first fit predicts the whole log")


SPACE = 96
REQUESTS = st.tuples(
    st.integers(1, 12), st.integers(0, 3), st.integers(0, SPACE // 2), st.integers(1, SPACE)
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), REQUESTS),
        st.tuples(st.just("release"), st.integers(0, 200)),
        st.tuples(st.just("carve"), st.tuples(st.integers(0, SPACE), st.integers(1, 12))),
        st.tuples(st.just("over"), st.tuples(st.integers(1, SPACE - 13), st.integers(1, 12))),
    ),
    max_size=60,
)


@given(STEPS)
def test_the_tree_does_what_the_list_does(steps):
    """Without alignment the searches agree; with it the tree may only find less, or higher up."""
    tree, linear = TreeFreeSpace([(1, SPACE)]), LinearFreeSpace([(1, SPACE)])
    held = []
    for what, argument in steps:
        if what == "reserve":
            pages, order, vstart, length = argument
            lowest = LinearFreeSpace(linear._gaps).reserve(pages, order, vstart, vstart + length)
            got = tree.reserve(pages, order, vstart, vstart + length)
            if order == 0:
                assert got == lowest
            if got is not None:
                assert lowest is not None
                assert lowest <= got
                assert got % (1 << order) == 0
                assert vstart <= got <= vstart + length - pages
                linear.carve(got, pages)
                held.append((got, pages))
        elif what == "release":
            if held:
                start, pages = held.pop(argument % len(held))
                try:
                    linear.release(start, pages)
                except ValueError:  # an "over" gave back a part of it
                    with pytest.raises(ValueError, match="free already"):
                        tree.release(start, pages)
                else:
                    tree.release(start, pages)
        elif what == "carve":
            try:
                linear.carve(*argument)
            except ValueError:
                with pytest.raises(ValueError, match="not wholly free"):
                    tree.carve(*argument)
            else:
                tree.carve(*argument)
                held.append(argument)
        else:
            assert tree.release_over(*argument) == linear.release_over(*argument)
        tree.check()
        linear.check()
        assert tree.gaps() == linear.gaps()
        assert tree.largest(5, SPACE - 5) == linear.largest(5, SPACE - 5)


@given(st.permutations(list(range(24))), st.permutations(list(range(24))))
def test_insertion_and_removal_in_any_order_keep_the_invariants(inserted, removed):
    tree = TreeFreeSpace([(2 * number, 2 * number + 1) for number in inserted])
    tree.check()
    assert tree.gaps() == [(2 * number, 1) for number in range(24)]
    for left, number in enumerate(removed):
        tree.carve(2 * number, 1)
        tree.check()
        assert len(tree.shape()) == 23 - left


def keys(tree):
    return [(depth, start, red) for depth, start, _, red in tree.shape()]


def test_shapes_of_the_textbook():
    """The red-black tree of CLRS exercise 13.3-2 (41, 38, 31, 12, 19, 8) and of 13.4-3."""
    tree = TreeFreeSpace([(2 * key, 2 * key + 1) for key in (41, 38, 31, 12, 19, 8)])
    assert keys(tree) == [
        (0, 76, False),
        (1, 38, True),
        (2, 24, False),
        (3, 16, True),
        (2, 62, False),
        (1, 82, False),
    ]
    shapes = []
    for key in (8, 12, 19, 31, 38, 41):
        tree.carve(2 * key, 1)
        tree.check()
        shapes.append(keys(tree))
    assert shapes == [
        [(0, 76, False), (1, 38, True), (2, 24, False), (2, 62, False), (1, 82, False)],
        [(0, 76, False), (1, 38, False), (2, 62, True), (1, 82, False)],
        [(0, 76, False), (1, 62, False), (1, 82, False)],
        [(0, 76, False), (1, 82, True)],
        [(0, 82, False)],
        [],
    ]


def test_a_split_leaves_the_upper_part_in_the_node():
    """Were the lower part to stay, 30 would come in as a red leaf on the right."""
    tree = TreeFreeSpace([(10, 40)])
    tree.carve(20, 5)
    assert tree.shape() == [(0, 25, 15, False), (1, 10, 10, True)]


def test_a_range_between_two_gaps_goes_to_the_lower_one():
    """The upper node leaves the tree: the root if it is the upper one."""
    tree = TreeFreeSpace([(10, 20), (0, 5)])
    tree.release(5, 5)
    assert tree.shape() == [(0, 0, 20, False)]
    tree = TreeFreeSpace([(10, 20), (0, 5), (30, 40)])
    tree.release(20, 10)
    assert tree.shape() == [(0, 10, 30, False), (1, 0, 5, True)]


def test_an_aligned_request_misses_a_gap_off_its_path():
    """[8, 12) would do for 4 pages at 4, but only gaps of 8 pages lead the search to the left."""
    gaps = [(20, 22), (8, 12), (64, 100)]
    assert LinearFreeSpace(gaps).reserve(4, 2, 0, 1000) == 8
    assert TreeFreeSpace(gaps).reserve(4, 2, 0, 1000) == 64
    assert TreeFreeSpace(gaps).reserve(4, 0, 0, 1000) == 8


def test_an_aligned_request_takes_a_gap_that_it_meets():
    """The root is tested for a real fit although it is shorter than the search's length."""
    gaps = [(8, 12), (2, 4), (64, 100)]
    assert TreeFreeSpace(gaps).reserve(4, 2, 0, 1000) == 8


def test_the_search_length_is_one_page_more_than_a_rule_in_pages_would_ask():
    """size + align - 1 bytes: a gap of pages + align - 1 pages is one byte and a page short."""
    gaps = [(20, 21), (8, 15), (64, 100)]
    assert LinearFreeSpace(gaps, "padded").reserve(4, 2, 0, 1000) == 8
    assert TreeFreeSpace(gaps).reserve(4, 2, 0, 1000) == 64
    gaps[1] = (8, 16)
    assert TreeFreeSpace(gaps).reserve(4, 2, 0, 1000) == 8


def test_a_window_of_just_the_request_is_searched_without_padding():
    """One aligned place only: [8, 12) is found to the left of a root that is too low."""
    gaps = [(20, 22), (8, 12), (64, 100)]
    assert TreeFreeSpace(gaps).reserve(4, 2, 8, 12) == 8


def test_a_gap_behind_the_window_makes_the_request_fail():
    tree = TreeFreeSpace([(0, 4), (50, 60)])
    assert tree.reserve(5, 0, 0, 54) is None
    assert tree.reserve(5, 0, 0, 55) == 50


def test_the_climb_goes_on_above_a_right_subtree_it_has_seen():
    """In the left subtree everything lies below the window's start: the climb ends at the root."""
    tree = TreeFreeSpace([(40, 44), (10, 20), (60, 70), (25, 30)])
    assert tree.reserve(6, 0, 18, 100) == 60


def test_bad_operations_are_refused():
    tree = TreeFreeSpace([(10, 20)])
    for start, pages in [(9, 2), (19, 2), (30, 1), (0, 5)]:
        with pytest.raises(ValueError, match="not wholly free"):
            tree.carve(start, pages)
    for start, pages in [(9, 2), (19, 2), (5, 30), (10, 10)]:
        with pytest.raises(ValueError, match="free already"):
            tree.release(start, pages)
    with pytest.raises(ValueError, match="at least one page"):
        tree.reserve(0, 0, 0, 100)
    assert tree.gaps() == [(10, 10)]


def test_the_check_finds_a_broken_tree():
    for damage in ("red", "largest", "start"):
        tree = TreeFreeSpace([(2 * key, 2 * key + 1) for key in range(8)])
        node = tree._root.right
        setattr(node, damage, {"red": not node.red, "largest": 5, "start": 0}[damage])
        with pytest.raises(AssertionError):
            tree.check()
