import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.parameters import VOCABULARY, checked, literal
from vmalloc_model.units import GIB, KIB, MIB


def test_sizes_are_parsed_and_lists_become_tuples():
    p = checked(page_size="4K", chunk_sizes=["16M", 64 * MIB], cpus=8, budget=0.01)
    assert p.page_size == 4 * KIB
    assert p.chunk_sizes == (16 * MIB, 64 * MIB)
    assert p.cpus == 8
    assert p.budget == 0.01


def test_checked_parameters_do_not_change():
    p = checked(cpus=1)
    with pytest.raises(AttributeError):
        p.cpus = 2
    with pytest.raises(AttributeError, match="page_size"):
        _ = p.page_size


@pytest.mark.parametrize(
    ("values", "place", "problem"),
    [
        ({"chunk_size": "48M"}, "$.chunk_size", "not a power of two"),
        ({"chunk_size": 0}, "$.chunk_size", "size out of range"),
        ({"chunk_size": "64Q"}, "$.chunk_size", "not a size"),
        ({"chunk_size": 64.0}, "$.chunk_size", "not a size"),
        ({"chunk_size": "8E"}, "$.chunk_size", "size out of range"),
        ({"page_size": "64K", "chunk_size": "32K"}, "$.chunk_size", "no multiple of the page size"),
        (
            {"page_sizes": ["4K", "64K"], "chunk_sizes": ["1M", "64K"]},
            "$.chunk_sizes[1]",
            "no multiple of the page size",
        ),
        ({"page_size": 5000}, "$.page_size", "not a power of two"),
        ({"cpus": 0}, "$.cpus", "out of range"),
        ({"cpus": -1}, "$.cpus", "out of range"),
        ({"cpus": True}, "$.cpus", "not a whole number"),
        ({"cpus": "8"}, "$.cpus", "not a whole number"),
        ({"cpu_counts": 8}, "$.cpu_counts", "not a list"),
        ({"cpu_counts": []}, "$.cpu_counts", "length out of range"),
        ({"cpu_counts": [1, 2, 1]}, "$.cpu_counts[2]", "listed twice"),
        ({"guard_pages": -1}, "$.guard_pages", "out of range"),
        ({"budget": 1.5}, "$.budget", "out of range"),
        ({"budget": float("nan")}, "$.budget", "out of range"),
        ({"platform": "x86_64-4leve"}, "$.platform", "unknown"),
        ({"platforms": ["i386", "vax"]}, "$.platforms[1]", "unknown"),
        ({"run": "smp3"}, "$.run", "no such recorded run"),
        ({"policy": "rfc9"}, "$.policy", "no such policy"),
        ({"policies": ["rfc10", "rfc10"]}, "$.policies[1]", "listed twice"),
        ({"policies": ["rfc10", "none"]}, "$.policies[1]", "no such policy"),
        ({"policy": 10}, "$.policy", "not a name"),
        ({"workload": "chrun"}, "$.workload", "no such workload"),
        ({"workloads": ["churn", "make"]}, "$.workloads[1]", "no such workload"),
        ({"mixes": ["xfs", "ext4"]}, "$.mixes[1]", "no such mix"),
        ({"mixes": "xfs"}, "$.mixes", "not a list"),
        ({"events": 0}, "$.events", "out of range"),
        ({"events": 10**9 + 1}, "$.events", "out of range"),
        ({"events": 1e6}, "$.events", "not a whole number"),
        ({"seed": -1}, "$.seed", "out of range"),
        ({"seed": 1 << 64}, "$.seed", "out of range"),
        ({"colour": "red"}, "parameter", "unknown name"),
    ],
)
def test_wrong_values_give_one_clear_error(values, place, problem):
    with pytest.raises(InputError) as caught:
        checked(**values)
    assert str(caught.value).startswith(f"{place}: ")
    assert problem in str(caught.value)
    assert "; allowed: " in str(caught.value)


def test_an_unknown_name_lists_the_nearest_first():
    with pytest.raises(InputError, match="allowed: chunk_size"):
        checked(chunksize="64M")


def test_a_trace_file_is_a_run_and_so_is_an_id(tmp_path):
    trace = tmp_path / "trace.txt"
    trace.write_text("x")
    assert checked(run=str(trace)).run == str(trace)
    assert checked(runs=["smp1", "smp2"]).runs == ("smp1", "smp2")


def test_two_files_of_one_name_are_refused_as_tables_cannot_tell_them_apart(tmp_path):
    files = []
    for folder in ("a", "b"):
        file = tmp_path / folder / "run.npz"
        file.parent.mkdir()
        file.write_bytes(b"")
        files.append(str(file))
    with pytest.raises(InputError, match=re.escape(f"$.runs[2]: has the name of {files[0]}")):
        checked(runs=[files[0], "smp1", files[1]])


def test_zero_guard_pages_are_allowed():
    assert checked(guard_pages=0).guard_pages == 0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("chunk_size", "32M", "32M"),
        ("chunk_size", "33554432", 33554432),
        ("cpus", "1_024", 1024),
        ("cpu_counts", "1:8192:*2", [2**i for i in range(14)]),
        ("cpu_counts", "1:9:+4,64", [1, 5, 9, 64]),
        ("chunk_sizes", "16M:1G:*4", [16 * MIB, 64 * MIB, 256 * MIB, GIB]),
        ("budget", "2.5%", 0.025),
        ("budgets", "1%,0.5", [0.01, 0.5]),
        ("platforms", "i386, arm", ["i386", "arm"]),
        ("run", "smp1", "smp1"),
        ("barely", "0.25", 0.25),
        ("policies", "mainline, rfc12", ["mainline", "rfc12"]),
        ("workload", "churn", "churn"),
        ("events", "2_000_000", 2_000_000),
        ("seed", "0", 0),
    ],
)
def test_literals_of_the_command_line(name, text, value):
    assert literal(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cpus", "many"),
        ("cpus", "1.5"),
        ("budget", "x%"),
        ("cpu_counts", "8:1:*2"),
        ("cpu_counts", "1:8:*1"),
        ("cpu_counts", "0:8:*2"),
        ("cpu_counts", "1:8:2"),
        ("cpu_counts", "1:1000000:+1"),
        ("cpu_counts", "1:x:*2"),
        ("cpu_counts", "1,,2"),
        ("events", "1e6"),
        ("seed", "x"),
        ("nosuch", "1"),
    ],
)
def test_text_that_is_no_value_is_refused(name, text):
    with pytest.raises(InputError, match="allowed"):
        literal(name, text)


@given(st.integers(1, 1 << 20), st.sampled_from([2, 3, 4]), st.integers(1, 1 << 20))
def test_a_range_multiplies_from_first_up_to_last(first, factor, span):
    last = first + span
    values = literal("cpu_counts", f"{first}:{last}:*{factor}")
    assert values[0] == first
    assert values[-1] <= last < values[-1] * factor
    assert all(b == a * factor for a, b in itertools.pairwise(values))


def test_every_parameter_has_a_meaning_and_a_kind():
    for name, parameter in VOCABULARY.items():
        assert parameter.name == name
        assert parameter.meaning
        assert parameter.kind
    assert VOCABULARY["chunk_sizes"].kind == "list of powers of two"
    assert VOCABULARY["cpu_counts"].kind == "list of counts"
    assert VOCABULARY["chunk_size"].kind == "power of two"
    assert VOCABULARY["policies"].kind == "list of policies"
    assert VOCABULARY["workloads"].kind == "list of workloads"


def test_streams_may_be_longer_than_machines_have_cpus():
    p = checked(events=10**9, seed=(1 << 64) - 1, policies=["mainline"], workloads=["churn", "xfs"])
    assert (p.events, p.seed) == (10**9, (1 << 64) - 1)
    assert (p.policies, p.workloads) == (("mainline",), ("churn", "xfs"))
