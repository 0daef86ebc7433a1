"""Each invariant notices a state that was made wrong by hand, and none complains before."""

import pytest

from vmalloc_model.interleavings.invariants import INVARIANTS, concerning, violated
from vmalloc_model.interleavings.programs import programs_of
from vmalloc_model.interleavings.setting import COUNTED, KERNELS, Setting, variant_of
from vmalloc_model.interleavings.state import (
    CURRENT,
    FULL,
    NEW,
    RELEASED,
    THROWN,
    Area,
    Chunk,
    State,
    Task,
    lowest,
    mask_of,
    pages_of,
    unflushed,
)


def where(policy="rfc12"):
    variant = COUNTED if policy == "counted" else variant_of(policy)
    return Setting(variant, KERNELS["migrate"], programs_of(2)[0])


def task(at="", local=(), held=(), cpu=0):
    return Task(cpu, 0, at, local, held)


IDLE = task()


def state(tasks=(IDLE,), chunks=(), current=(-1, -1), **fields):
    plain = {"locks": (-1, -1, -1), "free": 0, "kept": (), "lazy": (), "pool": (), "marks": ()}
    return State(tasks=tuple(tasks), current=current, chunks=tuple(chunks), **(plain | fields))


ONE = Area(0, 1, 0)
A = Chunk(0, 1, 1, 0, CURRENT)
FINE = state([task(held=(ONE,))], [A], (0, -1))
SUBTRACTING = task("subtract", (ONE, 0))


@pytest.mark.parametrize(
    ("policy", "good", "bad", "expected"),
    [
        ("rfc12", FINE, FINE._replace(kept=(Area(0, 2, -1),)), ["twice", "counter"]),
        (
            "rfc12",
            state([SUBTRACTING], [A], (0, -1)),
            state([SUBTRACTING, task(held=(Area(0, 2, -1),))], [A], (0, -1)),
            ["mapped"],
        ),
        ("rfc10", state(lazy=(ONE,)), state(lazy=(ONE,), kept=(Area(0, 1, -1),)), ["flushed"]),
        (
            "rfc10",
            state([task("give", ((ONE,),))], kept=(Area(0, 1, -1),)),
            state([task("flush", ((ONE,),))], kept=(Area(0, 1, -1),)),
            ["flushed"],
        ),
        ("rfc12", FINE, FINE._replace(marks=("returned",)), ["returned"]),
        ("rfc12", FINE, FINE._replace(marks=("descriptor",)), ["descriptor"]),
        ("rfc12", FINE, FINE._replace(marks=("skipped",)), ["skipped"]),
        (
            "rfc10",
            state(chunks=[Chunk(0, 2, 0, -1, FULL)]),
            state(chunks=[A._replace(fate=THROWN)]),
            ["room"],
        ),
        (
            "rfc12",
            state(chunks=[A._replace(fate=THROWN)], kept=(ONE,)),
            state(chunks=[A._replace(fate=THROWN, alloced=0)]),
            ["room"],
        ),
        (
            "rfc12",
            state([task("subtract", (ONE, -1))], [A._replace(fate=FULL)]),
            state([task("unmap", (ONE,))], [A._replace(fate=FULL, alloced=0)]),
            ["drained"],
        ),
        (
            "release-at-refill",
            state([task("retire", (1, 0))], [A._replace(fate=FULL, alloced=0)]),
            state([task("pool", (1,))], [A._replace(fate=FULL, alloced=0)]),
            ["drained"],
        ),
        (
            "release-after-purge",
            state(chunks=[A._replace(fate=FULL, alloced=0)], lazy=(ONE,)),
            state(chunks=[A._replace(fate=FULL, alloced=0)]),
            ["drained"],
        ),
        ("rfc12", FINE, FINE._replace(chunks=(A._replace(alloced=2),)), ["counter"]),
        (
            "counted",
            FINE._replace(chunks=(A._replace(alloced=2),)),
            FINE,
            ["counter"],
        ),
        (
            "rfc10",
            state([task("write", (0, 0, 0, 1))]),
            state([task("write", (0, 0, 1, 1), cpu=1)]),
            ["foreign"],
        ),
        (
            "rfc10",
            state([task("write", (0, 0, 1, -1), cpu=1)]),
            state([task("install locked", (0, 0, 0), cpu=1)]),
            ["foreign"],
        ),
    ],
)
def test_a_wrong_state_is_noticed(policy, good, bad, expected):
    assert violated(where(policy), good) == []
    assert violated(where(policy), bad) == expected


def test_what_comes_back_is_not_lost():
    for fate in (NEW, RELEASED, CURRENT):
        empty = state(chunks=[A._replace(fate=fate, alloced=0)], current=(0, -1))
        assert violated(where(), empty) == []


def test_only_what_a_variant_has_is_tested():
    keys = {
        name: [key for key, _ in concerning(where(name).variant)] for name in ("rfc10", "rfc12")
    }
    assert keys["rfc10"] == ["twice", "mapped", "flushed", "room", "foreign"]
    assert keys["rfc12"] == [key for key in INVARIANTS if key != "foreign"]
    assert [key for key, _ in concerning(where("pools-only").variant)] == keys["rfc10"][:3]


def test_masks():
    assert pages_of(mask_of(2, 3)) == [2, 3, 4]
    assert lowest(0b0110110, 2, 1) == 1
    assert lowest(0b0110110, 2, 2) == 4
    assert lowest(0b0110110, 1, 2) == 2
    assert lowest(0b0110110, 3, 1) == -1
    assert lowest(0, 1, 1) == -1
    assert unflushed(state([task("flush", ((ONE,),))], lazy=(Area(4, 2, -1),))) == 0b110001
