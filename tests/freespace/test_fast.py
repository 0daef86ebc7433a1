"""The compiled free spaces against their plain twins, event by event."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from vmalloc_model import freespace
from vmalloc_model.errors import InputError
from vmalloc_model.freespace.fast import FastFreeSpace, bench_replay
from vmalloc_model.freespace.plaintree import TreeFreeSpace
from vmalloc_model.freespace.reference import LinearFreeSpace
from vmalloc_model.freespace.topdown import pcpu_areas

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "freespace"
KINDS = ("rbtree", "gaps")
WHOLE = [(1, 2**52 - 1)]
BASE = 0xFFFFC90000000000 >> 12


class Both:
    """A compiled free space and its twin that take the same steps; a step is a list for JSON."""

    def __init__(self, kind, gaps):
        self.kind = kind
        self.fast = FastFreeSpace(kind, gaps)
        self.plain = TreeFreeSpace(gaps) if kind == "rbtree" else LinearFreeSpace(gaps, "padded")
        self.results = []
        self.compare()

    def take(self, step, compare=True):
        """Take a step in both; demand the same result, and the same state if `compare`."""
        what, *arguments = step
        if what == "comb":  # a number of equal steps on ranges at equal distances
            what, start, pages, stride, count = arguments
            for number in range(count):
                often = compare and (number % 8 == 0 or number == count - 1)
                result = self.take([what, start + number * stride, pages], often)
            return result
        results = [_result(space, what, arguments) for space in (self.fast, self.plain)]
        assert results[0] == results[1], step
        self.results.append(results[0])
        if compare:
            self.compare()
        return results[0]

    def compare(self):
        self.fast.check()
        self.plain.check()
        assert self.fast.gaps() == self.plain.gaps()
        if self.kind == "rbtree":
            assert self.fast.shape() == self.plain.shape()


def _result(space, what, arguments):
    try:
        if what == "top_down" and not isinstance(space, FastFreeSpace):
            return pcpu_areas(space, *arguments)
        return getattr(space, what)(*arguments)
    except ValueError:
        return "refused"


# --- whatever hypothesis thinks of ---------------------------------------------------------------


def comb_of(seed, count, first, shuffled):
    """Make gaps of a few pages, a few pages apart."""
    chance = random.Random(seed)
    gaps, at = [], first
    for _ in range(count):
        at += chance.choice((1, 1, 2, 5, 16))
        length = chance.choice((1, 2, 3, 4, 7, 12, 33))
        gaps.append((at, at + length))
        at += length
    if shuffled:
        chance.shuffle(gaps)
    return gaps


# (gaps, first and last page of where it all happens)
COMBS = st.builds(
    lambda seed, count, shuffled, lowest: (
        ([(1, BASE - 1)] if lowest == "huge" else [(1, 3)] if lowest == "small" else [])
        + comb_of(seed, count, BASE if lowest == "huge" else 3, shuffled),
        BASE if lowest == "huge" else 1,
        (BASE if lowest == "huge" else 3) + 30 * count,
    ),
    st.integers(0, 999),
    st.sampled_from((3, 12, 31, 32, 33, 40, 70, 130)),
    st.booleans(),
    st.sampled_from(("huge", "small", "none")),
)
SPACES = st.one_of(
    st.just((WHOLE, BASE, BASE + 1500)),
    st.just(([(1, 400)], 1, 400)),
    st.just(([(1, 40), (60, 200), (201, 230)], 1, 240)),
    COMBS,
)
PAGES = st.one_of(st.integers(1, 3), st.integers(1, 48), st.integers(49, 700))
ORDERS = st.integers(0, 6)
WHICH = st.integers(0, 10**6)
PARTS = st.sampled_from(("whole", "left", "right", "middle"))


def part_of(start, pages, part, cut):
    """Cut a range: all of it, or without a few pages at one end or both."""
    cut = 1 + cut % 5
    if part == "whole" or pages <= cut:
        return start, pages
    if part == "left":
        return start, pages - cut
    if part == "right":
        return start + cut, pages - cut
    return (start + cut, pages - 2 * cut) if pages > 2 * cut else (start + cut, 1)


class Machine(RuleBasedStateMachine):
    """Random steps; ``which`` and ``page`` are taken modulo what there is."""

    kind = ""

    @initialize(space=SPACES)
    def begin(self, space):
        gaps, self.low, self.high = space
        note(f'{{"gaps": {json.dumps(gaps)}, "steps": [')
        self.both = Both(self.kind, gaps)

    def take(self, *step):
        note(f"{json.dumps(step)},")
        return self.both.take(step)

    def gap(self, which):
        gaps = self.both.plain.gaps()
        return gaps[which % len(gaps)] if gaps else None

    def page(self, number):
        return self.low + number % (self.high - self.low)

    @rule(pages=PAGES, order=ORDERS)
    def reserve_anywhere(self, pages, order):
        self.take("reserve", pages, order, self.low, self.high)

    @rule(pages=PAGES, order=ORDERS, first=WHICH, length=st.integers(0, 800))
    def reserve_in_a_window(self, pages, order, first, length):
        first = self.page(first)
        self.take("reserve", pages, order, first, first + length)

    @rule(
        pages=PAGES,
        order=ORDERS,
        which=WHICH,
        shift=st.integers(-3, 5),
        more=st.sampled_from((0, 0, 1, 3, 15, 70, 10**6)),
    )
    def reserve_near_a_gap(self, pages, order, which, shift, more):
        """The window begins in a gap or an area and has the request's length, or a bit more."""
        gap = self.gap(which)
        if gap:
            vstart = max(gap[0] + shift, 1)
            if which % 3 == 0:
                pages = min(gap[1], 10**6)
            self.take("reserve", pages, order, vstart, vstart + pages + more)

    @rule(which=WHICH, order=ORDERS)
    def reserve_what_a_gap_has(self, which, order):
        gap = self.gap(which)
        if gap and gap[1] < 10**6:
            self.take("reserve", gap[1], order, self.low, self.high)

    @rule(which=WHICH, part=PARTS, cut=st.integers(0, 4))
    def carve_a_gap(self, which, part, cut):
        gap = self.gap(which)
        if gap:
            self.take("carve", *part_of(*gap, part, cut))

    @rule(which=WHICH, part=PARTS, cut=st.integers(0, 4))
    def fill_a_hole(self, which, part, cut):
        gaps = self.both.plain.gaps()
        if len(gaps) > 1:
            which %= len(gaps) - 1
            end = sum(gaps[which])
            self.take("release", *part_of(end, gaps[which + 1][0] - end, part, cut))

    @rule(first=WHICH, pages=PAGES, what=st.sampled_from(("carve", "release", "release_over")))
    def any_range(self, first, pages, what):
        self.take(what, self.page(first), pages)

    @rule(first=WHICH, which=WHICH, count=st.integers(1, 40))
    def release_over_many(self, first, which, count):
        """From inside one gap or area to the end of another."""
        gaps = self.both.plain.gaps()
        first = self.page(first)
        ends = [sum(gap) for gap in gaps if sum(gap) > first][:count]
        if ends:
            self.take("release_over", first, min(ends[-1] - first + which % 3, 10**5))

    @rule(which=WHICH, count=st.integers(1, 40))
    def carve_neighbours(self, which, count):
        """Drain leaves."""
        gaps = self.both.plain.gaps()
        for gap in gaps[which % (len(gaps) + 1) :][:count]:
            if gap[1] < 10**6:
                self.take("carve", *gap)

    @rule(first=WHICH, stride=st.integers(2, 4), count=st.integers(1, 40))
    def comb(self, first, stride, count):
        """Fill leaves."""
        first = self.page(first)
        what = "carve" if self.both.fast.largest(first, first + 1) else "release"
        for number in range(count):
            self.take(what, first + number * stride, 1)

    @rule(
        areas=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), min_size=1, max_size=4),
        order=st.integers(0, 4),
        window=st.tuples(WHICH, WHICH),
        shuffle=st.randoms(use_true_random=False),
    )
    def top_down(self, areas, order, window, shuffle):
        offset, offsets, sizes = 0, [], []
        for distance, size in areas:
            offset += distance << order
            offsets.append(offset)
            sizes.append(size << order)
            offset += size << order
        places = [*range(len(areas))]
        shuffle.shuffle(places)
        vstart, vend = sorted(map(self.page, window))
        if window[0] % 2:
            vstart, vend = self.low, self.high
        self.take(
            "top_down",
            [offsets[k] for k in places],
            [sizes[k] for k in places],
            order,
            vstart,
            vend,
        )

    @rule(first=WHICH, length=st.integers(0, 500))
    def largest(self, first, length):
        first = self.page(first)
        self.take("largest", first, first + length)


class TreeMachine(Machine):
    kind = "rbtree"


class GapsMachine(Machine):
    kind = "gaps"


STEPS = settings(max_examples=80, stateful_step_count=30)
TestTree = TreeMachine.TestCase
TestTree.settings = STEPS
TestGaps = GapsMachine.TestCase
TestGaps.settings = STEPS


# --- traces worth keeping ------------------------------------------------------------------------

TRACES = sorted(CORPUS.glob("*.json"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_kept_trace(path, kind):
    trace = json.loads(path.read_text())
    both = Both(kind, trace["gaps"])
    for step in trace["steps"]:
        result = both.take(step)
    # so that a trace goes on showing what it was kept for
    assert result == trace["last"][kind]


# --- long runs -----------------------------------------------------------------------------------


def churn_steps(both, chance, events, low, high, grow):
    """Reserve and release so that gaps become more, or fewer: a step is chosen from a few."""
    held = both.held
    for _ in range(events):
        if chance.random() < grow or not held:
            order = chance.choice((0, 0, 0, 1, 2, 4, 6))
            vstart = chance.choice((low, low, chance.randrange(low, high)))
            pages = chance.choice((1, 2, 3, 5, 5, 8, chance.randrange(1, 60)))
            vend = chance.choice((high, high, vstart + pages, vstart + 4 * pages))
            start = both.take(["reserve", pages, order, vstart, vend], compare=False)
            if start is not None:
                held.append((start, pages))
        else:
            place = chance.randrange(len(held))
            held[place], held[-1] = held[-1], held[place]
            both.take(["release", *held.pop()], compare=False)
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2))
def test_churn_that_fills_up_and_drains(kind, seed):
    chance = random.Random(seed)
    both = Both(kind, WHOLE if seed else [(BASE, BASE + 9000)])
    both.held = []
    most = 0
    for events, grow in ((900, 0.95), (1200, 0.5), (900, 0.05), (300, 0.7), (600, 0.0)):
        for number, _ in enumerate(churn_steps(both, chance, events, BASE, BASE + 9000, grow)):
            if number % 50 == 0:
                both.compare()
                most = max(most, len(both.plain.gaps()))
    both.compare()
    assert most > 100
    while both.held:
        both.take(["release", *both.held.pop()], compare=False)
    both.compare()
    assert len(both.plain.gaps()) == 1


@pytest.mark.parametrize(
    ("kind", "order"),
    [("rbtree", "ascending"), ("rbtree", "descending"), ("rbtree", "random"), ("gaps", "random")],
)
def test_an_index_of_three_levels_comes_and_goes(kind, order):
    """More than 32 * 32 gaps, in three orders; in between some aligned requests."""
    chance = random.Random(order)
    both = Both(kind, WHOLE)
    count = 1300
    places = [*range(count)]
    spans = [(BASE + 20 * k, chance.randrange(1, 12)) for k in places]

    def in_order():
        if order == "descending":
            places.reverse()
        elif order == "random":
            chance.shuffle(places)
        return [spans[k] for k in places]

    both.take(["carve", BASE, 20 * count])
    end = BASE + 20 * count
    for number, span in enumerate(in_order()):
        both.take(["release", *span], compare=number % 50 == 0)
    assert both.fast.levels() == 3
    taken = []
    for number in range(600):
        pages, align = chance.randrange(1, 12), chance.randrange(7)
        vstart = chance.randrange(BASE, end)
        vend = chance.choice((2**52, end, vstart + pages, vstart + 400))
        start = both.take(["reserve", pages, align, vstart, vend], compare=number % 50 == 0)
        if start is not None:
            taken.append((start, pages))
    assert len(taken) > 100
    for area in taken:
        both.take(["release", *area], compare=False)
    both.compare()
    for number, (start, pages) in enumerate(in_order()):
        # some vanish, some merge with the gaps beside them
        if number % 3:
            both.take(["carve", start, pages], compare=number % 50 == 0)
        else:
            both.take(["release_over", start, 20], compare=number % 50 == 0)
    both.take(["release_over", BASE, 10 * count])
    for number, (start, pages) in enumerate(both.plain.gaps()[1:-1]):
        both.take(["carve", start, pages], compare=number % 50 == 0)
    both.compare()
    assert both.fast.levels() == 1


@pytest.mark.parametrize("odd", [0, 1])
def test_gaps_cross_every_border_between_leaves(odd):
    """A gap starts lower, as the first of its leaf; the one before it starts higher, as the last.

    Some of the leaves are the first ones below their block, so that two separators must follow.
    """
    gaps = [(BASE + 20 * k, BASE + 20 * k + 3 + k % 5) for k in range(1400)]
    both = Both("rbtree", gaps)
    assert both.fast.levels() == 3
    for number in range(1 + odd, 1400, 2):
        (before, end), (first, last) = gaps[number - 1], gaps[number]
        for step in (
            ["release", first - 4, 4],
            ["carve", first - 3, 1],  # in what is new
            ["carve", first - 4, 1],
            ["carve", first - 2, last + 2 - first],
            ["release", end, first + 4 - end],  # over where the leaf began
            ["carve", before, first + 2 - before],
            ["release", first, 1],  # between the two places
        ):
            both.take(step, compare=False)
        if number // 2 % 8 == 0:
            both.compare()
    both.compare()


@pytest.mark.parametrize("kind", KINDS)
def test_replaying_a_stream_is_taking_its_steps(kind):
    """The window is too small: requests fail, and areas that never were are freed."""
    chance = np.random.default_rng(3)
    events, slots = 3000, 120
    slot = chance.integers(slots, size=events).astype(np.uint32)
    seen, ops = set(), []
    for one in slot.tolist():
        ops.append(2 if one in seen else 1)
        seen ^= {one}
    pages = chance.integers(1, 30, size=events).astype(np.uint32)
    order = chance.choice([0, 0, 1, 2, 4], size=events).astype(np.uint8)
    window = (BASE, BASE + 900)
    got, seconds, held = bench_replay(
        kind, np.array(ops, np.uint8), pages, order, slot, slots, 500, *window
    )
    both, live, wanted = Both(kind, WHOLE), {}, []
    for op, size, align, one in zip(
        ops, pages.tolist(), order.tolist(), slot.tolist(), strict=True
    ):
        if op == 1:
            start = both.take(["reserve", size, align, *window], compare=False)
            live[one] = None if start is None else (start, size)
        elif live[one] is None:
            start = None
        else:
            start = live[one][0]
            both.take(["release", *live[one]], compare=False)
        wanted.append(-1 if start is None else start)
    assert got.tolist() == wanted
    assert -1 in wanted
    assert seconds > 0
    assert held > 0


# --- by name -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "start"),
    [("reference", 8), ("padded", 32), ("gaps", 32), ("plaintree", 64), ("rbtree", 64)],
)
def test_every_kind_follows_its_rule(kind, start):
    """[8, 12) fits as it is, [30, 37) at any alignment, and [64, 72) has a page to spare."""
    space = freespace.make(kind, [(50, 51), (30, 37), (64, 72), (8, 12)])
    assert space.reserve(4, 2, 1, 1000) == start
    space.check()


def test_the_kinds_are_all():
    assert set(freespace.KINDS) == {"reference", "padded", "gaps", "plaintree", "rbtree"}
    with pytest.raises(InputError, match=r"^\$.free_space: no such free space: 'rbtee'.*: rbtree,"):
        freespace.make("rbtee", [])
    assert freespace.bench_replay is bench_replay
    with pytest.raises(AttributeError, match="no attribute 'replay'"):
        freespace.replay  # noqa: B018


def test_importing_the_package_loads_nothing_compiled():
    code = "import sys, vmalloc_model.freespace; sys.exit('vmalloc_model.native' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
