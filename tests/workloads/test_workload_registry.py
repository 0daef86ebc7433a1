"""The registry, and what holds of all workloads alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workload_checks import checked, made

from vmalloc_model import events as ev
from vmalloc_model import workloads
from vmalloc_model.errors import InputError
from vmalloc_model.workloads import WORKLOADS, Parameter, find_workload, make
from vmalloc_model.workloads.base import binomial_bound

KERNEL = [
    *("fix_size", "full_fit", "long_busy_list", "random_size", "fix_align", "random_size_align"),
    *("align_shift", "kvfree_rcu_1", "kvfree_rcu_2", "vm_map_ram", "no_block", "pcpu_alloc"),
]
OTHERS = [
    *("stacks", "xfs", "churn", "modules", "bpf", "producer_consumer", "pinning", "bursts"),
    *("mixed", "fitted"),
]
# Small enough that every part of a workload is reached in a few thousand events.
SMALL = {
    "fix_size": {"loops": 5, "nr_pages": 600, "migrate": 0.3},
    "full_fit": {"loops": 50},
    "long_busy_list": {"loops": 50},
    "kvfree_rcu_1": {"loops": 20, "batch": 7},
    "pcpu_alloc": {"objects": 1500, "migrate": 0.5},
    "stacks": {"live": 20},
    "xfs": {"live": 50, "max_pages": 2000},
    "churn": {"live": 50, "max_pages": 1000, "aligned": 0.3, "order": 3, "remote": 0.5},
    "modules": {"live": 5},
    "bpf": {"programs": 200, "maps": 20, "max_code": 65536},
    "producer_consumer": {"depth": 20, "pairs": 2},
    "pinning": {"pinned": 0.2, "pinned_live": 200},
    "bursts": {"burst": 30, "order": "random"},
    "fitted": {"run": "smp4-sync"},
    "mixed": {"modules": 0.5, "small_live": 20, "large_live": 2},
}
LENGTH = 4000


def small(name, **changes):
    page = 65536 if name == "full_fit" else 4096
    given = {"page_size": page, "cpus": 3, "events": LENGTH, "seed": 5} | SMALL.get(name, {})
    return make(name, **(given | changes))


def test_all_workloads_are_there_and_nothing_else():
    assert sorted(WORKLOADS) == sorted(KERNEL + OTHERS)
    assert list(WORKLOADS)[: len(KERNEL)] == KERNEL


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_a_workload_describes_itself(workload):
    assert WORKLOADS[workload.name] is workload
    assert workload.title
    assert "\n" not in workload.title
    for name, parameter in workload.parameters.items():
        assert name.isidentifier()
        assert parameter.meaning
        assert parameter.allowed
        if parameter.default is not None:
            assert parameter.check(name, parameter.default) == parameter.default


@pytest.mark.parametrize("name", WORKLOADS)
def test_slots_cpus_windows_and_sizes_are_right(name):
    stream = small(name)
    everything = checked(stream)
    assert stream.name == name
    assert (stream.page_size, stream.cpus) == (65536 if name == "full_fit" else 4096, 3)
    assert LENGTH <= len(everything) <= LENGTH + 40
    assert set(everything["cpu"].tolist()) <= {0, 1, 2}
    assert stream.parameters["events"] == LENGTH
    assert stream.parameters.keys() >= WORKLOADS[name].parameters.keys()


@pytest.mark.parametrize("name", WORKLOADS)
def test_defaults_make_a_stream(name):
    everything = checked(make(name, page_size=4096, cpus=2, events=3000, seed=0))
    assert len(everything) >= 3000


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_same_arguments_give_the_same_stream(name):
    first, again = small(name), small(name)
    np.testing.assert_array_equal(first.all(), again.all())
    np.testing.assert_array_equal(first.all(), first.all())  # from its beginning each time


@pytest.mark.parametrize("name", WORKLOADS)
def test_another_seed_gives_another_stream(name):
    assert not np.array_equal(small(name).all(), small(name, seed=6).all())


@pytest.mark.parametrize("length", [1, 3, 64, 1000])
@pytest.mark.parametrize("name", WORKLOADS)
def test_the_length_of_blocks_changes_nothing(name, length, monkeypatch):
    events = 300 if length == 1 else LENGTH
    expected = small(name, events=events).all()
    monkeypatch.setattr(ev, "BLOCK_EVENTS", length)
    blocks = list(small(name, events=events).blocks())
    assert max(map(len, blocks)) == min(length, len(expected))
    np.testing.assert_array_equal(np.concatenate(blocks), expected)


@pytest.mark.parametrize("name", WORKLOADS)
def test_interrupting_one_reading_does_not_disturb_another(name, monkeypatch):
    monkeypatch.setattr(ev, "BLOCK_EVENTS", 100)
    stream = small(name, events=1000)
    first = stream.blocks()
    begun = [next(first), next(first)]
    whole = stream.all()
    np.testing.assert_array_equal(np.concatenate([*begun, *first]), whole)


@pytest.mark.parametrize("name", [*OTHERS[:2], "churn", "bursts", "pinning", "mixed", "fitted"])
def test_one_event_is_a_stream(name):
    assert made(name, events=1)["op"].tolist() == [ev.ALLOC]


@st.composite
def any_values(draw):
    name = draw(st.sampled_from([name for name in WORKLOADS if name != "fitted"]))
    values = {}
    for key, parameter in WORKLOADS[name].parameters.items():
        if not draw(st.booleans()):
            continue
        if parameter.choices:
            values[key] = draw(st.sampled_from(parameter.choices))
        elif isinstance(parameter.default, float):
            values[key] = draw(st.floats(parameter.least, parameter.most))
        else:
            shift = draw(st.integers(0, int(parameter.most).bit_length()))
            high = max(int(parameter.least), int(parameter.most) >> shift)
            values[key] = draw(st.integers(int(parameter.least), high))
    machine = {
        "page_size": draw(st.sampled_from([4096, 16384, 65536])),
        "cpus": draw(st.sampled_from([1, 2, 3, 8, 300, 8192])),
        "events": draw(st.integers(1, 400)),
        "seed": draw(st.integers(0, 2**64 - 1)),
    }
    return name, machine | values


@settings(max_examples=80)
@given(any_values())
def test_any_values_within_the_ranges_make_a_stream_or_say_what_is_wrong(chosen):
    name, arguments = chosen
    try:
        stream = make(name, **arguments)
    except InputError as error:
        wrong = str(error)
    else:
        assert len(checked(stream)) >= arguments["events"]
        return
    assert wrong.startswith("$.")
    assert "allowed: " in wrong or "weight 0" in wrong


@given(st.integers(1, 10**12), st.floats(0, 1))
def test_a_binomial_bound_is_above_the_mean_and_not_far(trials, chance):
    bound = binomial_bound(trials, chance)
    assert trials * chance <= bound * (1 + 1e-12)
    assert bound <= trials
    assert bound <= trials * chance + 12 * np.sqrt(trials * chance) + 13


# --------------------------------------------------------------------------------------- errors
MACHINE = {"page_size": 4096, "cpus": 2, "events": 100, "seed": 1}


def wrong(name="churn", **arguments):
    with pytest.raises(InputError) as raised:
        make(name, **(MACHINE | arguments))
    return raised.value


def test_an_unknown_workload_lists_all_the_nearest_first():
    error = wrong("chrun")
    assert (error.where, error.value) == ("$.workload", "chrun")
    assert error.allowed.split(", ")[0] == "churn"
    assert sorted(error.allowed.split(", ")) == sorted(WORKLOADS)
    with pytest.raises(InputError, match=r"^here: no such workload"):
        find_workload("x", "here")
    assert find_workload("xfs") is WORKLOADS["xfs"]


def test_an_unknown_parameter_lists_those_of_the_workload():
    error = wrong(alive=3)
    assert error.where == "$.alive"
    assert "churn" in error.problem
    assert error.allowed.split(", ")[0] == "live"
    assert sorted(error.allowed.split(", ")) == sorted(WORKLOADS["churn"].parameters)


@pytest.mark.parametrize(
    ("name", "parameter", "value", "said"),
    [
        ("churn", "live", 0, "out of range: 0; allowed: whole numbers 1 to"),
        ("churn", "live", 2.0, "not a whole number: 2.0"),
        ("churn", "live", True, "not a whole number: True"),
        ("churn", "live", "many", "not a whole number: 'many'"),
        ("churn", "aligned", 1.5, "out of range: 1.5; allowed: 0 to 1"),
        ("churn", "aligned", float("nan"), "out of range: nan"),
        ("churn", "aligned", "x", "not a number"),
        ("churn", "min_pages", 300, "above the maximum: 300; allowed: 1 to 256"),
        ("bursts", "order", "reversed", "unknown value: 'reversed'; allowed: reverse"),
        ("stacks", "thread_size", "2K", "out of range: 2048"),
        ("stacks", "thread_size", "big", "not a size"),
        ("stacks", "thread_align", 12288, "not a power of two: 12288"),
        ("fix_align", "thread_align", 12288, "not a power of two: 12288"),
        ("fix_size", "threads", 65536, "out of range"),
        ("pcpu_alloc", "atom", 12288, "not an alignment"),
        ("bpf", "pack", (2 << 20) + 1, "not whole pages"),
        ("fitted", "run", 3, "not a text: 3"),
        ("fitted", "run", "smp3", "no such recorded run, and no such file: 'smp3'; allowed: smp2"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(name, parameter, value, said):
    error = wrong(name, **{parameter: value})
    assert str(error).startswith(f"$.{parameter}: {said}")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("page_size", 2048),
        ("page_size", 12288),
        ("page_size", 131072),
        ("page_size", 4096.0),
        ("cpus", 0),
        ("cpus", 2.0),
        ("events", 0),
        ("seed", -1),
        ("seed", 1 << 64),
    ],
)
def test_a_machine_that_is_not_allowed_is_named(parameter, value):
    error = wrong(**{parameter: value})
    assert (error.where, error.value) == (f"$.{parameter}", value)


def test_too_many_areas_are_refused():
    error = wrong("full_fit", cpus=8192, threads=65535, events=1 << 40)
    assert error.where == "$.workload"
    assert "too many areas" in error.problem


def test_too_many_objects_are_refused():
    error = wrong("pcpu_alloc", threads=65535)
    assert (error.where, error.value) == ("$.objects", 35_000)


def test_a_mix_of_nothing_is_refused():
    nothing = dict.fromkeys(("stacks", "bpf", "xfs", "modules", "small", "large"), 0)
    assert "weight 0" in wrong("mixed", **nothing).problem


def test_none_means_the_default():
    given = make("churn", live=None, **MACHINE)
    np.testing.assert_array_equal(given.all(), make("churn", **MACHINE).all())


def test_sizes_are_read_with_prefixes():
    text = make("stacks", thread_size="64K", **MACHINE)
    np.testing.assert_array_equal(text.all(), make("stacks", thread_size=65536, **MACHINE).all())
    assert text.all()["pages"][0] == 17


def test_numbers_of_numpy_are_numbers():
    assert Parameter(default=1, meaning="x", least=1, most=9).check("x", np.int64(3)) == 3
    assert Parameter(default=1.0, meaning="x", least=1, most=9).check("x", np.float32(3)) == 3.0


def test_the_package_names_what_it_offers():
    for name in workloads.__all__:
        assert hasattr(workloads, name)
