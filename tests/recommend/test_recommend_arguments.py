"""The three arguments for one configuration, against counting pages one by one."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.platforms import load_platforms
from vmalloc_model.recommend.arguments import Configuration, cpus_within, judge, left
from vmalloc_model.recommend.changes import budget_needed, changes
from vmalloc_model.units import share_text

MIB = 1 << 20
PLATFORMS = load_platforms()
THOUSANDTHS = st.integers(1, 1000)


@st.composite
def configurations(draw):
    """Any platform, its CPUs, and criteria; the budget in thousandths."""
    platform = PLATFORMS[draw(st.sampled_from(sorted(PLATFORMS)))]
    most = min(platform.size, 1 << 31)
    return Configuration(
        platform=platform,
        cpus=draw(st.integers(1, platform.nr_cpus_max)),
        largest=draw(st.one_of(st.integers(1, most), st.sampled_from([MIB, 32 * MIB]))),
        budget=draw(THOUSANDTHS) / 1000,
        mean_size=draw(st.integers(1, 4 * MIB)),
        min_allocations=draw(st.integers(1, 20_000)),
        guard_pages=draw(st.integers(0, 2)),
    )


def sizes_of(asked):
    page = asked.platform.page_size
    top = 8 * asked.platform.pointer_size - 2
    return [1 << n for n in range((2 * page).bit_length() - 1, min(top, 34) + 1)]


def obviously(asked, chunk):
    """Whether a chunk meets each argument, by whole pages and whole numbers."""
    page = asked.platform.page_size

    def pages(payload):
        return len(range(0, payload, page)) + asked.guard_pages

    half = chunk // page // 2
    area = pages(asked.mean_size)
    served = len(range(area, chunk // page + 1, area)) if area <= half else 0
    thousandths = round(asked.budget * 1000)
    return {
        "coverage": pages(asked.largest) <= half,
        "amortisation": served >= asked.min_allocations,
        "cost": 1000 * asked.cpus * chunk <= thousandths * asked.platform.size,
    }


@given(configurations())
def test_the_verdicts_are_those_of_counting(asked):
    for size in judge(asked, sizes_of(asked)):
        assert size.met == obviously(asked, size.chunk_size), size


@given(configurations())
def test_a_margin_is_one_or_more_exactly_where_the_argument_is_met(asked):
    for size in judge(asked, sizes_of(asked)):
        assert {name: margin >= 1 for name, margin in size.margin.items()} == size.met


@given(configurations())
def test_the_sizes_left_are_those_between_the_two_bounds(asked):
    sizes = sizes_of(asked)
    inside = [size for size in sizes if asked.least <= size <= asked.most]
    assert left(judge(asked, sizes)) == inside


@given(configurations(), THOUSANDTHS)
def test_more_budget_never_removes_a_size(asked, thousandths):
    more = replace(asked, budget=max(asked.budget, thousandths / 1000))
    sizes = sizes_of(asked)
    assert set(left(judge(asked, sizes))) <= set(left(judge(more, sizes)))


@given(configurations(), st.integers(0, 1 << 31))
def test_a_larger_request_never_adds_a_size(asked, extra):
    larger = replace(asked, largest=min(asked.largest + extra, asked.platform.size))
    sizes = sizes_of(asked)
    assert set(left(judge(larger, sizes))) <= set(left(judge(asked, sizes)))


@settings(max_examples=30)
@given(configurations())
def test_the_number_of_cpus_within_the_budget_is_exact(asked):
    for size in judge(asked, sizes_of(asked)):
        most = size.cpus_within
        if 1 <= most <= asked.platform.nr_cpus_max:
            (there,) = judge(replace(asked, cpus=most), [size.chunk_size])
            assert there.met["cost"]
        if most + 1 <= asked.platform.nr_cpus_max:
            (beyond,) = judge(replace(asked, cpus=most + 1), [size.chunk_size])
            assert not beyond.met["cost"]


@given(configurations())
def test_each_change_leaves_the_size_that_it_names(asked):
    found = changes(asked)
    assert not found or not asked.least <= asked.most
    assert [change.factor for change in found] == sorted(change.factor for change in found)
    for change in found:
        after = replace(asked, **change.values)
        assert change.factor > 1
        assert left(judge(after, [change.leaves])) == [change.leaves]


@given(configurations())
def test_a_change_goes_no_further_than_it_must(asked):
    for change in changes(asked):
        for name, value in change.values.items():
            less = {
                "budget": value * 0.9,  # it is rounded up to two digits or three
                "cpus": value + 1,
                "largest": value + asked.platform.page_size,
                "min_allocations": value + 1,
            }[name]
            assume(less <= asked.platform.size)
            almost = replace(asked, **{**change.values, name: less})
            assert not left(judge(almost, [change.leaves])), name


@given(configurations(), st.integers(20, 30))
def test_the_budget_that_is_printed_is_enough(asked, power):
    needed = budget_needed(asked, 1 << power)
    assume(needed <= 1)
    typed = float(share_text(needed).removesuffix(" %")) / 100
    (size,) = judge(replace(asked, budget=typed), [1 << power])
    assert size.met["cost"]


def test_the_mails_request_needs_twice_the_mails_chunk():
    asked = Configuration(
        platform=PLATFORMS["arm64-39bit-4k"], cpus=64, largest=32 * MIB, budget=0.01
    )
    half, patch, twice = judge(asked, [32 * MIB, 64 * MIB, 128 * MIB])
    assert (patch.admits, patch.allocations) == (32 * MIB - 4096, 8192)
    assert patch.met == {"coverage": False, "amortisation": True, "cost": False}
    assert twice.met == {"coverage": True, "amortisation": True, "cost": False}
    assert half.met == {"coverage": False, "amortisation": True, "cost": True}
    assert (asked.least, asked.most) == (128 * MIB, 32 * MIB)
    assert cpus_within(asked, 64 * MIB) == int(0.01 * asked.platform.size) // (64 * MIB) == 39
    # no guard: 64 MiB is exactly enough, and only the budget is missing
    bare = replace(asked, guard_pages=0, budget=0.02)
    assert left(judge(bare, [32 * MIB, 64 * MIB, 128 * MIB])) == [64 * MIB]


def test_the_smallest_change_may_be_of_two_premises():
    asked = Configuration(
        platform=PLATFORMS["arm64-39bit-4k"], cpus=64, largest=32 * MIB, budget=0.01
    )
    first = changes(asked)[0]
    assert first.values == {"largest": 32 * MIB - 4096, "budget": 0.0161}
    assert first.leaves == 64 * MIB


def test_one_cpu_with_the_whole_range():
    asked = Configuration(platform=PLATFORMS["i386"], cpus=1, largest=MIB, budget=1.0)
    assert asked.most == 64 * MIB  # of 120 MiB
    assert changes(asked) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cpus", 0),
        ("cpus", 65),
        ("largest", 0),
        ("largest", 121 * MIB),
        ("budget", 0.0),
        ("budget", 1.01),
        ("mean_size", 0),
        ("min_allocations", 0),
        ("guard_pages", -1),
    ],
)
def test_a_value_out_of_range_is_named(name, value):
    good = {"cpus": 4, "largest": MIB, "budget": 0.1}
    with pytest.raises(InputError) as error:
        Configuration(platform=PLATFORMS["i386"], **{**good, name: value})
    assert error.value.where == f"$.{name}"
    assert error.value.allowed


def test_a_chunk_too_large_for_exact_numbers():
    with pytest.raises(InputError, match="min_allocations: needs a chunk too large"):
        Configuration(
            platform=PLATFORMS["x86_64-5level"],
            cpus=1,
            largest=MIB,
            budget=0.1,
            mean_size=1 << 34,
            min_allocations=10**9,
        )


@pytest.mark.parametrize("sizes", [[], [3 * MIB], [64 << 10], [1 << 63]])
def test_what_is_no_chunk_size(sizes):
    asked = Configuration(platform=PLATFORMS["arm64-48bit-64k"], cpus=4, largest=MIB, budget=0.1)
    with pytest.raises(InputError, match=r"^\$\.chunks: not a chunk size"):
        judge(asked, sizes)
