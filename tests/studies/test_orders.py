import polars as pl
import pytest

from vmalloc_model.errors import FileError, InputError
from vmalloc_model.interleavings.recursion import Call, nesting
from vmalloc_model.interleavings.setting import KERNELS
from vmalloc_model.interleavings.steps import STEPS
from vmalloc_model.studies import orders, orders_measured, orders_recursion
from vmalloc_model.studies import orders_words as words

POLICIES = ["pools-only", "rfc10", "rfc11", "rfc12", "described", "release-at-refill"]


@pytest.fixture(scope="module")
def cases():
    return orders.search(POLICIES, 2, 2, 10**6)


@pytest.fixture(scope="module")
def weakest(cases):
    return orders.weakest_table(cases)


def verdict(weakest, policy, invariant):
    kernel, moves = (
        weakest.filter(policy=policy, invariant=invariant).select("kernel", "moves").row(0)
    )
    return f"{kernel[0].upper()}{moves}" if moves else kernel


def test_every_policy_meets_every_kernel_and_the_repair_is_always_there(cases):
    names = [*POLICIES, "counted"]
    assert [(one.variant.name, one.kernel.name) for one in cases] == [
        (name, kernel) for name in names for kernel in KERNELS
    ]
    assert all(case.exhausted for case in cases)


@pytest.mark.parametrize(
    ("policy", "invariant", "expected"),
    [
        # a second refill, or one that lands on another CPU, throws a fresh chunk away
        ("rfc10", "room", "C10"),
        ("rfc12", "room", "C7"),
        # the lock of one CPU with the chunk of another: harmless, but for PREEMPT_RT
        ("rfc10", "foreign", "M5"),
        ("rfc10", "twice", "R12"),
        # a range returns before the TLB flush, and before the PTEs are cleared
        ("rfc11", "flushed", "S13"),
        ("rfc12", "flushed", "S14"),
        ("rfc12", "mapped", "C13"),
        ("described", "mapped", "C13"),
        ("rfc10", "mapped", "holds"),
        # a chunk is drained while it is current
        ("rfc11", "drained", "S8"),
        ("rfc12", "drained", "S9"),
        ("described", "drained", "S10"),
        ("rfc10", "drained", "none of it"),
        # 11/12 returns a chunk that its owner goes on using; 12/12 does not
        ("rfc11", "descriptor", "S8"),
        ("rfc12", "descriptor", "P14"),
        # an area of a chunk that a pool hands out again is not counted
        ("rfc12", "counter", "S1"),
        ("rfc12", "twice", "S15"),
        ("described", "twice", "holds"),
        # never reached, in no version
        ("rfc12", "skipped", "holds"),
        # the plain repair can return a range twice
        ("release-at-refill", "returned", "C11"),
    ],
)
def test_what_the_search_finds(weakest, policy, invariant, expected):
    assert verdict(weakest, policy, invariant) == expected


def test_nothing_is_wrong_with_pools_alone_and_with_the_counted_repair(weakest):
    for policy in ("pools-only", "counted"):
        assert weakest.filter(policy=policy)["moves"].null_count() == 10


def test_verdicts_tell_every_kernel(cases):
    table = orders.verdict_table(cases)
    rt = table.filter(policy="rfc10", invariant="twice")
    assert rt["moves"].to_list() == [None, None, None, None, 12]
    assert rt["program"].to_list()[-1] == "miss"
    assert table.filter(policy="rfc10", kernel="rt")["states"].n_unique() == 1


def test_states_are_counted_once_where_two_kernels_share_a_search(cases):
    table = orders.states_table(cases)
    row = table.filter(policy="rfc12").row(0, named=True)
    assert row["rt"] == row["migrate"] > row["coop"] > row["serial"]
    assert row["exhausted"] == "yes"
    mine = [one for one in cases if one.variant.name == "rfc12" and one.kernel.name != "rt"]
    assert row["transitions"] == sum(s.transitions for case in mine for s in case.searches)
    lock = table.filter(policy="rfc10").row(0, named=True)
    assert lock["rt"] > lock["migrate"]


def test_the_example_is_the_one_that_was_asked_for_if_there_is_one(cases):
    one = orders.example(cases, "room", prefer="rfc10", kernel="preempt")
    assert (one.setting.variant.name, one.setting.kernel.name) == ("rfc10", "preempt")
    assert orders.example(cases, "twice", prefer="rfc10").setting.kernel.name == "rt"
    other = orders.example(cases, "twice", prefer="pools-only")
    assert other.setting.variant.name == "rfc10"
    assert orders.example(cases, "skipped") is None


def test_the_steps_are_those_of_the_order(cases):
    one = orders.example(cases, "twice", prefer="rfc10")
    table = orders.steps_table(one)
    assert table.columns == ["step", "t1", "t2", "then"]
    assert table.height == len(one.moves) == 12
    assert ((table["t1"] == "") != (table["t2"] == "")).all()
    assert table["then"][-1].endswith("in use 0, 1, 1")
    lanes = orders.lanes_table(one)
    assert lanes["short"].to_list()[:4] == [
        "CPU 0: asks the pool",
        "CPU 0: picks lock 0",
        "moves to CPU 1",
        "CPU 1: takes lock 0",
    ]
    nothing = orders.steps_table(None)
    assert nothing.row(0) == ("-", "no order violates it")
    assert orders.lanes_table(None).is_empty()


def test_a_grace_period_is_nobodys_step(cases):
    one = orders.example(cases, "descriptor", prefer="rfc12")
    table = orders.steps_table(one)
    row = table.row(-2, named=True)
    assert row["t1"] == row["t2"] == ""
    assert row["then"].startswith("grace period ends")
    assert orders.lanes_table(one)["lane"].to_list()[-2:] == ["RCU", "T2"]


def test_every_step_has_short_words():
    assert {*orders.SHORT, *orders.LOCKS} == {*STEPS, "grace"}


def test_orders_without_concurrency_are_replayed(cases):
    table = orders.replay_table(cases)
    assert set(table["addresses"]) == {"the same"}
    assert min(table["value"]) > 0
    assert {"rfc11", "rfc12", "described", "release-at-refill"} == set(table["policy"])
    text = words.say_replays(table)
    assert f"in {table.height}, and shows the violation in {table.height}" in text
    assert "nothing to replay" in words.say_replays(table.clear())


@pytest.mark.parametrize(
    ("given", "place"),
    [((4, 2, 10), "tasks"), ((1, 2, 10), "tasks"), ((2, 5, 10), "cpus"), ((2, 0, 10), "cpus")],
)
def test_numbers_out_of_range(given, place):
    with pytest.raises(InputError, match=rf"\$\.{place}"):
        orders.search(["rfc10"], *given)


# --- sentences -----------------------------------------------------------------------------------


def test_the_caption_says_what_each_violation_takes(weakest):
    text = words.say_orders(weakest)
    assert "pools-only: everything holds" in text
    assert 'rfc10 violates "room" with CPUs in parallel; "foreign"' in text
    assert '"twice" only on PREEMPT_RT' in text
    summary = words.orders_summary(weakest)
    assert summary.filter(policy="rfc10").row(0, named=True)["twice"] == "R12"
    assert summary.filter(policy="rfc10").row(0, named=True)["counter"] is None
    assert summary.filter(policy="counted").row(0, named=True)["room"] == "ok"
    table = words.invariants_table(weakest)
    assert table.filter(invariant="skipped")["violated"][0] == "nobody"
    assert "rfc10 (R12)" in table.filter(invariant="twice")["violated"][0]


def test_captions_of_examples(cases):
    one = orders.example(cases, "foreign", prefer="rfc10")
    text = words.say_example(one, "foreign")
    assert "5 moves, one task is enough" in text
    room = words.say_example(orders.example(cases, "room", "rfc10", "preempt"), "room")
    assert "2 tasks" in room
    assert "At the end chunk B has room" in room
    assert "No order of these programs violates it" in words.say_example(None, "skipped")
    for key in ("twice", "mapped", "flushed", "returned", "descriptor", "drained", "counter"):
        assert "A shortest order" in words.say_example(orders.example(cases, key), key)


def test_the_sentence_about_the_search(cases):
    text = words.say_search(cases)
    assert "None stopped at the bound" in text
    assert text.endswith("No order ends in a deadlock.")
    short = orders.search(["rfc10"], 2, 2, 50)
    assert "stopped at the bound: there" in words.say_search(short)
    assert orders.states_table(short)["exhausted"].to_list() == ["no", "no"]


def test_verdicts_on_the_repair_and_on_the_owner(cases):
    assert words.say_counted(cases).startswith("In none of its ")
    assert "In none of " in words.say_skipped(cases)
    broken = [
        orders.Case(cases[-1].variant, one.kernel, one.searches)
        for one in cases
        if one.variant.name == "rfc12"
    ]
    assert words.say_counted(broken).startswith("It violates twice, mapped")


def test_programs_are_listed_with_their_cpus():
    table = words.programs_table(3, 1)
    assert table.height == 7
    assert "CPU 1" not in "".join(table["tasks"]) + "".join(table["before"])
    assert "T3 on CPU 0: alloc" in table["tasks"][0]
    assert words.kernels_table()["letter"].to_list() == ["S", "C", "P", "M", "R"]


# --- a real kernel -------------------------------------------------------------------------------


def test_what_was_measured_is_what_the_search_allows(cases):
    measured = orders_measured.load_measured()
    table = orders_measured.measured_table(measured, cases)
    assert table["measured"].to_list() == [
        "11 of 14,216 hits",
        "2 of 48 refills; lost: 56.6 MB and 42.4 MB",
        "0 of 15,000 allocations",
    ]
    assert table["search"].to_list()[0] == "yes, after 5 moves"
    assert table["search"].to_list()[2].startswith("in none of 11,")
    assert table["rt"].to_list()[2] == "yes, after 12 moves"
    text = orders_measured.say_measured(measured, cases)
    assert "is what the search without PREEMPT_RT allows" in text
    assert "PREEMPT_RT was not run." in text


def test_a_count_that_the_search_excludes_is_told(cases):
    measured = orders_measured.load_measured()
    changed = type(measured)(
        **{name: getattr(measured, name) for name in measured.__slots__} | {"handed_out_twice": 1}
    )
    assert "do not say the same" in orders_measured.say_measured(changed, cases)
    without = [case for case in cases if case.variant.name != "rfc10"]
    assert "was not searched" in orders_measured.say_measured(measured, without)


@pytest.mark.parametrize(
    ("change", "problem"),
    [({"hits": "many"}, "wrong hits"), ({"more": 1}, "wrong keys")],
)
def test_a_wrong_file_is_an_error(monkeypatch, change, problem):
    entry = orders_measured.read_toml("measured-races.toml")
    monkeypatch.setattr(orders_measured, "read_toml", lambda _: entry | change)
    with pytest.raises(FileError, match=problem):
        orders_measured.load_measured()


# --- a refill inside a refill --------------------------------------------------------------------


def test_the_recursion_repeats_where_nothing_changes():
    endless = nesting(2, 1, 34, kmalloc_fails=True)
    assert endless.calls == (Call(2, 1), Call(34, 1), Call(34, 1))
    assert endless.endless
    for calls, end in [
        (nesting(2, 2, 34, True), 1),
        (nesting(2, 1, 34, False), 1),
        (nesting(2, 1, 0, True), 1),
        (nesting(100, 50, 34, True), 2),
    ]:
        assert (len(calls.calls), calls.endless) == (end, False)


def test_a_request_smaller_than_the_descriptor_never_leaves_room_for_it():
    for pages in range(1, 35):
        assert all(nesting(pages, room, 34, True).endless for room in range(pages))
    assert not nesting(40, 34, 34, True).endless


def test_descriptors_by_platform():
    table = orders_recursion.recursion_table(["x86_64-4level", "arm64-48bit-64k", "i386"], 64 << 20)
    assert table["descriptor"].to_list() == [131_136, 8_256, 65_572]
    assert table["order"].to_list() == [6, 0, 5]
    assert table["pages"].to_list() == [34, 0, 18]
    assert table["depth"].to_list() == [3, 1, 3]
    text = orders_recursion.say_recursion(table, 64 << 20)
    assert "without end: x86_64-4level (131,136 bytes, order 6), i386" in text
    assert "no fallback: arm64-48bit-64k" in text
    small = orders_recursion.say_recursion(table.filter(pl.col("pages") == 0), 64 << 20)
    assert "without end" not in small


# --- the chapter ---------------------------------------------------------------------------------
