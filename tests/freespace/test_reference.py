"""The list of gaps against a set of pages, and per-CPU areas against trying every base."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import LinearFreeSpace, align_up
from vmalloc_model.freespace.topdown import pcpu_areas

SPACE = 64


def gaps_of(pages):
    """Gaps (start, pages) of a set of free pages."""
    found = []
    for page in sorted(pages):
        if found and found[-1][0] + found[-1][1] == page:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((page, 1))
    return found


def spans(pages):
    return [(start, start + length) for start, length in gaps_of(pages)]


FREE = st.sets(st.integers(1, SPACE - 1))
RANGE = st.tuples(st.integers(1, SPACE - 9), st.integers(1, 8))
WINDOW = st.tuples(st.integers(0, SPACE), st.integers(0, SPACE)).map(sorted)


def test_alignment():
    assert [align_up(page, 4) for page in (0, 1, 4, 5)] == [0, 4, 4, 8]


@given(FREE, st.integers(1, 12), st.integers(0, 3), WINDOW)
def test_lowest_is_the_first_address_at_which_all_pages_are_free(free, pages, order, window):
    vstart, vend = window
    fitting = [
        start
        for start in range(vstart, vend - pages + 1)
        if start % (1 << order) == 0 and free.issuperset(range(start, start + pages))
    ]
    space = LinearFreeSpace(spans(free))
    got = space.reserve(pages, order, vstart, vend)
    assert got == (fitting[0] if fitting else None)
    taken = set() if got is None else set(range(got, got + pages))
    assert space.gaps() == gaps_of(free - taken)


@given(FREE, st.integers(1, 12), st.integers(0, 3), WINDOW)
def test_padded_wants_room_for_every_position(free, pages, order, window):
    """First run of pages + align - 1 free pages in the window; the address is aligned up in it."""
    vstart, vend = window
    wanted = pages + (1 << order) - 1
    runs = [
        start
        for start in range(vstart, vend - wanted + 1)
        if free.issuperset(range(start, start + wanted))
    ]
    got = LinearFreeSpace(spans(free), "padded").reserve(pages, order, vstart, vend)
    assert got == (align_up(runs[0], 1 << order) if runs else None)


def test_the_rules_differ():
    gaps = [(8, 12), (21, 40)]
    assert LinearFreeSpace(gaps, "lowest").reserve(4, 2, 0, 100) == 8
    assert LinearFreeSpace(gaps, "padded").reserve(4, 2, 0, 100) == 24
    assert LinearFreeSpace(gaps, "padded").reserve(4, 0, 0, 100) == 8


@given(FREE, RANGE)
def test_carving_and_releasing(free, where):
    start, pages = where
    wanted = set(range(start, start + pages))
    space = LinearFreeSpace(spans(free))
    if wanted <= free:
        space.carve(start, pages)
        assert space.gaps() == gaps_of(free - wanted)
        space.release(start, pages)
    else:
        with pytest.raises(ValueError, match="not wholly free"):
            space.carve(start, pages)
        if not wanted & free:
            space.release(start, pages)
            assert space.gaps() == gaps_of(free | wanted)
            space.carve(start, pages)
        else:
            with pytest.raises(ValueError, match="free already"):
                space.release(start, pages)
    space.check()
    assert space.gaps() == gaps_of(free)


@pytest.mark.parametrize("kind", [LinearFreeSpace, TreeFreeSpace])
@given(free=FREE, where=RANGE, window=WINDOW)
def test_releasing_what_is_partly_free(kind, free, where, window):
    start, pages = where
    wanted = set(range(start, start + pages))
    space = kind(spans(free))
    assert space.release_over(start, pages) == len(wanted & free)
    space.check()
    assert space.gaps() == gaps_of(free | wanted)
    inside = gaps_of((free | wanted) & set(range(*window)))
    assert space.largest(*window) == max((pages for _, pages in inside), default=0)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="no such rule: best"):
        LinearFreeSpace([], "best")
    with pytest.raises(ValueError, match="free already"):
        LinearFreeSpace([(0, 10), (5, 12)])
    for method in ("carve", "release", "release_over"):
        with pytest.raises(ValueError, match="at least one page"):
            getattr(LinearFreeSpace([(0, 10)]), method)(3, 0)


def test_the_check_finds_touching_and_empty_gaps():
    for gaps in ([(0, 5), (5, 9)], [(3, 3)], [(8, 9), (0, 5)]):
        space = LinearFreeSpace([])
        space._gaps = gaps
        with pytest.raises(AssertionError):
            space.check()


@st.composite
def layouts(draw):
    """Areas of one base: (offsets, sizes, order), ascending or not, multiples of the alignment."""
    order = draw(st.integers(0, 2))
    offset, areas = 0, []
    for _ in range(draw(st.integers(1, 3))):
        size = draw(st.integers(1, 2)) << order
        areas.append((offset, size))
        offset += size + (draw(st.integers(0, 3)) << order)
    areas = draw(st.permutations(areas))
    return [offset for offset, _ in areas], [size for _, size in areas], order


@pytest.mark.parametrize("kind", [LinearFreeSpace, TreeFreeSpace])
@given(busy=st.sets(st.integers(1, SPACE - 1), max_size=14), layout=layouts(), window=WINDOW)
def test_percpu_areas_have_the_highest_base_that_fits(kind, busy, layout, window):
    offsets, sizes, order = layout
    vstart, vend = window
    free = set(range(1, SPACE)) - busy

    def wanted(base):
        parts = zip(offsets, sizes, strict=True)
        return {page for at, size in parts for page in range(base + at, base + at + size)}

    limit = vend & -(1 << order)
    fitting = [
        base
        for base in range(vstart, SPACE)
        if base % (1 << order) == 0 and wanted(base) <= free and max(wanted(base)) < limit
    ]
    space = kind(spans(free))
    got = pcpu_areas(space, offsets, sizes, order, vstart, vend)
    assert got == (fitting[-1] if fitting else None)
    space.check()
    assert space.gaps() == gaps_of(free - (set() if got is None else wanted(got)))


def test_the_base_of_percpu_areas_may_have_to_move_several_times():
    """Areas at 0 and 2: 17 is moved by the lower to 16, by the upper to 14, and so on to 10."""
    space = LinearFreeSpace([(10, 11), (12, 13), (16, 17), (19, 20)])
    assert pcpu_areas(space, [0, 2], [1, 1], 0, 0, 20) == 10
    assert space.gaps() == [(16, 1), (19, 1)]


def test_percpu_areas_must_be_aligned():
    space = LinearFreeSpace([(0, 100)])
    for offsets, sizes in [([0, 6], [4, 4]), ([0], [3]), ([], []), ([0], [0]), ([0, 4], [4])]:
        with pytest.raises(ValueError, match="area"):
            pcpu_areas(space, offsets, sizes, 2, 0, 100)
    assert space.gaps() == [(0, 100)]
