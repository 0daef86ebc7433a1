"""The facts of a trace, found block by block, against a twin that goes event by event."""

from collections import Counter
from math import gcd

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.datafiles import data_path
from vmalloc_model.traces.events import ALLOC, EVENT, FREE, PURGE
from vmalloc_model.traces.ftrace import read_ftrace
from vmalloc_model.traces.survey import Survey

ROWS = st.lists(
    st.tuples(
        st.sampled_from([ALLOC, ALLOC, FREE, PURGE]),
        st.integers(0, 4).map(lambda k: k * 4096),  # address
        st.sampled_from([4096, 8192, 12288]),  # size
        st.sampled_from([(0, 20479), (4096, 24575), (0, 2**64 - 1)]),
        st.integers(0, 5),  # time
        st.integers(0, 3),  # CPU
        st.booleans(),  # failed
    ),
    min_size=1,
    max_size=30,
)


def events_of(rows):
    events = np.zeros(len(rows), EVENT)
    for event, (kind, start, size, (first, end), time, cpu, failed) in zip(
        events, rows, strict=True
    ):
        event["kind"], event["start"], event["time"], event["cpu"] = kind, start, time, cpu
        if kind == ALLOC:
            event["size"], event["vstart"], event["vend"] = size, first, end
            event["failed"] = failed
    return events


def twin(events):
    live, windows, size, last = set(), Counter(), 0, 0
    facts = Counter()
    for event in events:
        start = int(event["start"])
        facts["backwards"] += event["time"] < last
        last = event["time"]
        facts["failed"] += event["failed"]
        if event["kind"] == ALLOC and not event["failed"]:
            facts["taken_twice"] += start in live
            live.add(start)
            first, end = int(event["vstart"]), int(event["vend"])
            windows[first, end] += 1
            size = gcd(size, int(event["size"]))
            facts["outside"] += not first <= start <= start + int(event["size"]) - 1 <= end
        elif event["kind"] == FREE:
            facts["unknown_frees"] += start not in live
            live.discard(start)
    most = max(windows.values(), default=0)
    window = min((pair for pair in windows if windows[pair] == most), default=(0, 0))
    names = ("backwards", "failed", "taken_twice", "outside", "unknown_frees")
    return {name: facts[name] for name in names} | {"window": window, "page_size": size & -size}


@given(ROWS, st.integers(1, 30))
def test_every_fact_is_the_twins(rows, block):
    events, survey = events_of(rows), Survey()
    for at in range(0, len(events), block):
        survey.add(events[at : at + block])
    survey.add(events[:0])
    facts = survey.facts()
    expected = twin(events)
    assert {name: facts[name] for name in expected} == expected
    counts = Counter(events["kind"].tolist())
    assert list(facts["events"].values()) == [counts[kind] for kind in (ALLOC, PURGE, FREE)]
    assert facts["cpus"] == max(events["cpu"]) + 1
    assert facts["seconds"] == int(np.ptp(events["time"])) / 1e6


@pytest.mark.parametrize("name", ["smp1", "smp2", "smp4-sync-purge"])
def test_recorded_kernels_free_what_they_allocated(name):
    survey = Survey()
    survey.add(read_ftrace(data_path(f"runs/debian-6.12.117-{name}.ftrace.txt.gz")).events)
    facts = survey.facts()
    assert facts["outside"] == facts["unknown_frees"] == facts["taken_twice"] == 0
    assert facts["page_size"] == 4096
