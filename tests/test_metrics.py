"""Metrics over a grid: a row for each point, equal to what the parts of the model say."""

import json

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model import constraints
from vmalloc_model.errors import InputError
from vmalloc_model.experiments.play import play
from vmalloc_model.metrics import METRICS, SETTINGS, find_metric, settings_of, survey, tables
from vmalloc_model.platforms import find_platform, load_platforms
from vmalloc_model.sweep import Attempt

MIB = 1 << 20
SMALL = {"workload": ["churn"], "events": [6000], "parameters.live": [50]}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("vmalloc_model.sweep.store.cache_folder", lambda kind: tmp_path / kind)


def table(axes, *names):
    metrics = [find_metric(name) for name in names]
    return survey(settings_of(axes, metrics), metrics)


def test_rows_are_the_combinations_in_order_with_all_settings():
    axes = {"cpus": [2, 4], "policy": ["rfc12", "mainline"], "seed": [(1 << 64) - 1], **SMALL}
    rows = table(axes, "requests", "reserved_bytes").table
    assert rows.columns == [
        *("policy", "workload", "platform", "cpus", "chunk_bytes", "events", "seed", "live"),
        *("requests", "reserved_bytes", "error"),
    ]
    assert rows.select("cpus", "policy").rows() == [
        (cpus, policy) for cpus in (2, 4) for policy in ("rfc12", "mainline")
    ]
    assert rows["seed"].to_list() == [(1 << 64) - 1] * 4
    assert rows["chunk_bytes"].unique().to_list() == [64 * MIB]
    assert rows["reserved_bytes"].to_list() == [128 * MIB, None, 256 * MIB, None]


@pytest.mark.parametrize("policy", ["mainline", "rfc10", "rfc12", "scaled-chunk"])
@pytest.mark.parametrize("chunk", [MIB, 64 * MIB])
def test_a_simulated_metric_is_the_number_of_that_simulation(policy, chunk):
    """The chunk size is left out where a policy has none: it must change nothing there."""
    names = [name for name, one in METRICS.items() if one.simulated]
    row = table({"policy": [policy], "chunk": [chunk], "cpus": [4], **SMALL}, *names).table.row(
        0, named=True
    )
    point = {"stream": "churn", "policy": policy, "platform": "x86_64-4level", "cpus": 4}
    own = {"events": 6000, "seed": 1, "chunk_size": chunk, "parameters": {"live": 50}}
    counted = play(point | own)
    assert row["error"] is None
    for name in set(counted) & set(row):
        assert row[name] == counted[name], name
    assert row["lock_global_per_1000"] == 1000 * counted["lock_global"] / counted["requests"]
    assert row["high_water_bytes"] == 4096 * counted["high_water"]
    assert row["chunk_used_bytes"] == counted["chunk_size"]
    served = [row[f"{by}_share"] for by in ("chunk_hits", "pool_hits", "global_hits", "failures")]
    assert sum(served) == pytest.approx(1)
    parts = ("room", "areas", "idle", "pinned", "tail", "waiting", "drained", "padding")
    assert row["chunks_held_bytes"] == sum(row[f"chunks_{part}_bytes"] for part in parts)
    lost = counted["tail_pages"] + counted["padding_pages"]
    if policy == "rfc10":
        assert row["chunks_lost_bytes"] == 4096 * lost
        assert lost > 0 or chunk > MIB
    else:
        assert row["chunks_lost_bytes"] == row["chunks_lost"] * row["chunk_used_bytes"]


@given(
    st.sampled_from(sorted(load_platforms())),
    st.integers(1, 1 << 20),
    st.integers(17, 32).map(lambda bits: 1 << bits),
    st.integers(1, 1 << 28),
    st.integers(0, 3),
)
def test_closed_forms_are_those_of_the_arguments(platform, cpus, chunk, payload, guard):
    axes = {
        "platform": [platform],
        "cpus": [cpus],
        "chunk": [chunk],
        "payload": [payload],
        "guard_pages": [guard],
    }
    names = [name for name, one in METRICS.items() if not one.simulated]
    [row] = table(axes, *names).table.rows(named=True)
    assert row["error"] is None
    page, size = find_platform(platform).page_size, find_platform(platform).size
    pages = -(-payload // page) + guard
    fits = pages * page <= chunk // 2
    served = chunk // (pages * page) if fits else 0
    assert row["reserved_bytes"] == cpus * chunk
    assert row["reserved_share"] == cpus * chunk / size
    assert row["allocations_per_refill"] == served
    assert row["global_visits_per_1000"] == pytest.approx(1000 / max(served, 1))
    assert (row["largest_eligible_bytes"] >= payload) == fits
    assert (row["smallest_chunk_bytes"] <= chunk) == fits
    gain = constraints.doubling_gain(chunk, payload, page, guard)
    assert row["doubling_saves_per_1000"] == 1000 * float(gain.saved)
    assert row["chunk_slots"] == find_platform(platform).slots(chunk)


def test_names_end_with_their_unit():
    units = {"bytes": "bytes", "pages": "pages", "share": "share of 1"}
    for name, one in METRICS.items():
        assert one.name == name
        assert one.unit == units.get(name.rpartition("_")[2], one.unit)
        assert one.unit in ("", *units.values(), "per 1,000 allocations")
        assert set(one.uses) <= set(SETTINGS)


def test_a_point_that_fails_is_a_row_without_numbers():
    axes = {"platform": ["arm64-42bit-64k"], "chunk": [64 << 10, MIB], "policy": ["rfc10"], **SMALL}
    told = table(axes, "refills", "reserved_bytes")
    first, second = told.table.rows(named=True)
    assert told.failed == 1
    assert (first["refills"], first["reserved_bytes"]) == (None, None)
    assert first["error"].startswith("$.chunk_size: not a chunk size: 65536")
    assert second["refills"] > 0
    assert second["error"] is None
    alone = table({"platform": ["arm64-42bit-64k"], "chunk": [64 << 10]}, "chunk_slots")
    assert alone.table["error"].to_list() == [first["error"]]


def test_an_error_of_any_kind_is_one_line(monkeypatch):
    def broken(_function, points, **_):
        return Attempt([ValueError("two\nlines") for _ in points], 0)

    monkeypatch.setattr(tables, "attempt", broken)
    told = table({"policy": ["rfc12"], **SMALL}, "refills")
    assert told.table["error"].to_list() == ["ValueError: two lines"]


def test_a_share_of_nothing_is_empty_and_keeps_its_type():
    told = table({"policy": ["mainline"], **SMALL}, "steps_per_lookup", "reserved_share")
    assert told.table.select("steps_per_lookup", "reserved_share").rows() == [(None, None)]
    assert told.table["steps_per_lookup"].dtype == pl.Float64


def test_a_recorded_run_has_its_own_machine():
    [row] = table(
        {"run": ["smp4-sync"], "policy": ["rfc10"]}, "refills", "reserved_bytes"
    ).table.rows(named=True)
    assert (row["cpus"], row["platform"]) == (4, "x86_64-4level")
    assert row["reserved_bytes"] == 256 * MIB
    counted = play({"stream": "smp4-sync", "policy": "rfc10", "chunk_size": 64 * MIB})
    assert row["refills"] == counted["refills"] > 0
    json.dumps(row)


def test_numbers_stand_in_the_row_of_their_point():
    """Simulations run in the order of their streams; rows keep the order of the points."""
    axes = {"policy": ["rfc12", "mainline"], "seed": [9, 3], "cpus": [8, 2], **SMALL}
    rows = table(axes, "lock_global").table.rows(named=True)
    for row in rows:
        point = {name: row[name] for name in ("policy", "seed", "cpus", "platform", "events")}
        told = play(point | {"stream": "churn", "parameters": {"live": 50}})
        assert row["lock_global"] == told["lock_global"]
    assert [row["cpus"] for row in rows] == [8, 2] * 4


def test_a_workload_follows_the_pointers_of_its_platform():
    own = {"stream": "align_shift", "events": 500, "policy": "mainline", "cpus": 8, "seed": 1}
    short, long = (
        play(own | {"platform": "i386", "parameters": {"bits": bits}})["failures"]
        for bits in ("32", "64")
    )
    axes = {"workload": ["align_shift"], "events": [500], "policy": ["mainline"]}
    told = table({**axes, "platform": ["i386"]}, "failures").table["failures"][0]
    assert told == short != long


@pytest.mark.parametrize(
    ("axes", "names", "error"),
    [
        ({"cpu": [1]}, ["reserved_bytes"], "$.cpu: nothing that can be varied"),
        ({"seed": [1]}, ["reserved_bytes"], "$.seed: no metric that is asked for depends on it"),
        ({"cpus": [1, 1]}, ["reserved_bytes"], "$.cpus: listed twice: 1"),
        ({"cpus": [0]}, ["reserved_bytes"], "$.cpus: out of range: 0"),
        ({"cpus": []}, ["reserved_bytes"], "sweep: size out of range: 0"),
        ({"chunk": [3 * MIB]}, ["reserved_bytes"], "$.chunk: not a chunk size: 3145728"),
        ({"workload": ["churn"]}, ["refills"], "$.policy: missing; allowed: one, since refills"),
        ({"policy": ["rfc10"]}, ["refills"], "$.workload: missing"),
        ({"policy": ["rfc10"], "workload": ["x"]}, ["refills"], "$.workload: no such workload"),
        (
            {"policy": ["rfc10"], "workload": ["churn"], "run": ["smp1"]},
            ["refills"],
            "$.run: given together with a workload",
        ),
        (
            {"policy": ["rfc10"], "run": ["smp1"], "platform": ["i386"]},
            ["refills"],
            "$.platform: given, and the run smp1 has its own",
        ),
        (
            {"policy": ["rfc10"], "run": ["smp1"], "cpus": [2]},
            ["reserved_bytes", "refills"],
            "$.cpus: no metric that is asked for depends on it",
        ),
        (
            {"policy": ["rfc10"], "workload": ["churn", "stacks"], "parameters.min_pages": [9]},
            ["refills"],
            "$.parameters.min_pages: no such parameter of stacks",
        ),
        ({"cpus": range(1, 401), "payload": range(1, 401)}, ["refills"], "$.policy: missing"),
        (
            {"cpus": range(1, 401), "payload": range(1, 401)},
            ["reserved_bytes", "allocations_per_refill"],
            "sweep: size out of range: 160000; allowed: 1..100,000",
        ),
        ({}, [], "$.metrics: none is asked for"),
        ({}, ["refils"], "$.metric: no such metric: 'refils'; allowed: refills"),
    ],
)
def test_what_makes_no_sense_is_refused(axes, names, error):
    with pytest.raises(InputError) as refused:
        table(axes, *names)
    assert str(refused.value).startswith(error)
