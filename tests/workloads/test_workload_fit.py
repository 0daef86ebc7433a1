"""Statistics of recorded runs, and synthetic runs with the same."""

import numpy as np
import polars as pl
import pytest
from workload_checks import Random, checked, chi_squared, lifetimes, owners

from vmalloc_model import events as ev
from vmalloc_model.errors import InputError
from vmalloc_model.runs import find_run, read_requests
from vmalloc_model.workloads import make
from vmalloc_model.workloads.base import binomial_bound
from vmalloc_model.workloads.fit import fit
from vmalloc_model.workloads.lifetimes import lifetimes_of, survival


# ------------------------------------------------------------------------------------- lifetimes
def test_the_free_of_an_allocation_is_the_next_event_of_its_address():
    requests = pl.DataFrame(
        {
            "line": [1, 2, 10, 12, 14, 20],
            "cpu": [0, 1, 0, 1, 1, 0],
            "addr": [100, 200, 100, 300, 300, 400],
        }
    )
    frees = pl.DataFrame(
        {"line": [5, 7, 15, 21], "cpu": [1, 1, 0, 0], "addr": [100, 999, 300, 400]}
    )
    areas = lifetimes_of(requests, frees).sort("line")
    # lines:  1 2 5 7 10 12 14 15 20 21: times 0 to 9
    assert areas["freed"].to_list() == [True, False, False, False, True, True]
    assert areas["freed_on"].to_list() == [1, None, None, None, 0, 0]
    assert areas["lifetime"].to_list() == [2, 10 - 1, 10 - 4, 10 - 5, 1, 1]
    assert set(requests.columns) < set(areas.columns)


def test_survival_is_that_of_the_textbook():
    """Remission times of Freireich et al. 1963 (6-MP), with the estimate that textbooks print."""
    freed = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    alive = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    areas = pl.DataFrame(
        {
            "group": [4] * 21 + [2, 2],
            "lifetime": [*freed, *alive, 1, 5],
            "freed": [True] * 9 + [False] * 12 + [True, True],
        }
    )
    curve = survival(areas)
    assert curve.columns == ["group", "lifetime", "risk", "deaths", "survival"]
    assert curve.filter(group=2).rows() == [(2, 1, 2, 1, 0.5), (2, 5, 1, 1, 0.0)]
    curve = curve.filter(group=4)
    assert curve["lifetime"].to_list() == [6, 7, 10, 13, 16, 22, 23]
    assert curve["risk"].to_list() == [21, 17, 15, 12, 11, 7, 6]
    assert curve["deaths"].to_list() == [3, 1, 1, 1, 1, 1, 1]
    printed = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert curve["survival"].round(3).to_list() == printed


# --------------------------------------------------------------------------------------- own trace
ALLOC = (
    "t-1 [00{cpu}] ..... 1.000000: alloc_vmap_area: va_start: {start} size={size} align={align} "
    "vstart=0x{vstart:x} vend=0x{vend:x} failed={failed}\n"
)
FREE = (
    "t-1 [00{cpu}] ..... 1.000000: free_vmap_area_noflush: va_start=0x{start:x} nr_lazy=1 "
    "nr_lazy_max=2\n"
)
PLAIN = {
    "cpu": 0,
    "start": 0x10000,
    "size": 8192,
    "align": 1,
    "failed": 0,
    "vstart": 0x10000,
    "vend": 0xFFFFFFFF,
}


@pytest.fixture
def trace(tmp_path):
    def write(*lines):
        path = tmp_path / "own.txt"
        text = "".join(
            (FREE if kind == "free" else ALLOC).format(**PLAIN | change) for kind, change in lines
        )
        path.write_text(text)
        return path

    return write


def test_a_fit_of_a_small_trace(trace):
    path = trace(
        ("alloc", {}),
        ("alloc", {"start": 0x20000, "size": 20480, "align": 16384, "cpu": 1}),
        ("alloc", {"start": 0x30000, "failed": 1}),
        ("free", {"cpu": 1}),
        ("alloc", {"start": 0x40000, "size": 4096 << 4, "align": 4096 << 4}),
        ("alloc", {"start": 0x80000000, "vstart": 0x80000000, "vend": 0x90000000, "align": 4096}),
        ("free", {"start": 0x80000000}),
        ("free", {"start": 0x70000000}),
        ("alloc", {}),
    )
    found = fit(path)
    assert found.run.page_size == 4096
    # the end of the first window is inclusive: its last page cannot be used
    assert found.windows == ((0x10000, 0xFFFFF000), (0x80000000, 0x90000000))
    kinds = found.requests.select("pages", "order", "window", "guard", "count", "group").rows()
    assert kinds[0] == (2, 0, 0, True, 2, 0)
    assert sorted(kinds[1:]) == [
        (2, 0, 1, True, 1, 0),
        (5, 2, 0, True, 1, 0),
        (16, 4, 0, False, 1, 0),  # as large as it is aligned: a block of vm_map_ram
    ]
    assert found.requests["share"].to_list() == [0.4, 0.2, 0.2, 0.2]
    # events: A A F A A F F A; lifetimes 2 and 1, three that live for 7, 5 and 1 events at least
    assert found.lifetimes.rows() == [(0, 1, 5, 1, 0.8), (0, 2, 3, 1, pytest.approx(0.8 * 2 / 3))]
    assert found.cpus.rows() == [(0, 4, 0.8), (1, 1, 0.2)]
    assert (found.frees, found.remote) == (2, 0.5)


def test_a_trace_without_frees_lives_for_ever(trace):
    found = fit(trace(("alloc", {}), ("alloc", {"start": 0x20000})))
    assert found.run.page_size == 8192  # as all sizes are multiples of it
    assert found.requests.select("pages", "guard").rows() == [(1, False)]
    assert (found.frees, found.remote) == (0, 0.0)
    assert found.lifetimes.is_empty()
    assert (checked(found.stream(1000, 1))["op"] == ev.ALLOC).all()
    described = dict(found.describe().rows())
    assert described["share that is not freed"] == 1.0


def test_no_more_areas_live_for_ever_than_there_are_slots_for(trace, monkeypatch):
    """The bound is never reached: then an area lives as long as any does, here one event."""
    monkeypatch.setattr("vmalloc_model.workloads.fit.binomial_bound", lambda *_: 3)
    found = fit(trace(("alloc", {"size": 12288}), ("alloc", {"start": 0x20000, "size": 8192})))
    stream = found.stream(8, 1)
    assert stream.slots == 5
    assert checked(stream)["op"].tolist() == [1, 1, 1, 1, 2, 1, 2, 1]


# ----------------------------------------------------------------------------------- recorded runs
@pytest.fixture(scope="module", params=["smp2", "oplog-stock", "smp4-sync"])
def found(request):
    return fit(request.param)


def test_a_fit_counts_every_request(found):
    requests = read_requests(found.run.id)
    assert found.requests["count"].sum() == len(requests)
    assert found.requests["share"].sum() == pytest.approx(1)
    assert found.cpus["count"].sum() == len(requests)
    assert found.cpus.height == found.run.cpus
    stacks = requests.filter(pl.col("size") == 20480, pl.col("align") == 16384, "in_window")
    row = found.requests.filter(pages=5, order=2, window=0, guard=True)
    assert row["count"].to_list() == [len(stacks)]
    assert found.requests["count"].is_sorted(descending=True)
    modules = requests.filter(~pl.col("in_window"))
    assert found.requests.filter(pl.col("window") > 0)["count"].sum() == len(modules)
    blocks = found.requests.filter(~pl.col("guard"))
    if found.run.kind == "oplog":
        assert blocks["count"].sum() == requests["vm_map_ram"].sum()
    else:  # Debian's blocks of vm_map_ram are of 1 MiB
        assert blocks.select("pages", "order").rows() == [(256, 8)]
        assert blocks["count"].sum() == len(requests.filter(size=1 << 20, align=1 << 20))


def test_frequent_kinds_have_lifetimes_of_their_own(found):
    groups = found.requests.filter(pl.col("count") >= 50)["group"]
    assert groups.to_list() == list(range(1, len(groups) + 1))
    assert (found.requests.filter(pl.col("count") < 50)["group"] == 0).all()
    assert set(found.lifetimes["group"].unique()) == {0, *groups}
    for curve in found.lifetimes.partition_by("group"):
        assert curve["lifetime"].is_sorted()
        assert curve["survival"].is_sorted(descending=True)
        assert curve["survival"].is_between(0, 1).all()
        assert (curve["deaths"] <= curve["risk"]).all()


def test_a_description_has_the_main_numbers(found):
    rows = dict(found.describe().rows())
    assert rows["allocations"] == len(read_requests(found.run.id))
    assert rows["kinds"] == found.requests.height
    assert rows["share of remote frees"] == found.remote
    assert rows["windows"] == 2
    pages = read_requests(found.run.id)["size"] // 4096
    assert rows["largest pages"] == pages.max()
    assert rows["median pages"] == pages.median()
    assert 0 < rows["share that is not freed"] < 0.05


def test_a_synthetic_run_has_the_statistics_of_the_recorded(found):
    events = 150_000
    stream = found.stream(events, seed=2)
    everything = checked(stream)
    assert stream.windows == found.windows
    assert (stream.name, stream.page_size, stream.cpus) == ("fitted", 4096, found.run.cpus)
    taken = everything[everything["op"] == ev.ALLOC]
    kinds = found.requests.with_row_index("kind").with_columns(flags=pl.col("guard").cast(pl.UInt8))
    names = ["pages", "order", "window", "flags"]
    drawn = pl.DataFrame({name: taken[name].astype(np.int64) for name in names})
    counts = (
        kinds.with_columns(pl.col(names).cast(pl.Int64))
        .join(drawn.group_by(names).len(), on=names, how="left", maintain_order="left")
        .with_columns(pl.col("len").fill_null(0))
    )
    assert counts["len"].sum() == len(taken)
    often = counts.filter(pl.col("group") > 0)
    assert abs(chi_squared(often["len"], often["share"])) < 4
    assert abs(chi_squared(np.bincount(taken["cpu"]), found.cpus["share"].to_numpy())) < 4
    pairs = owners(everything)
    remote = (pairs[:, 0] != pairs[:, 1]).mean()
    assert abs(remote - found.remote) < 4 * np.sqrt(0.25 / len(pairs))


def lifetimes_of_stacks(everything):
    born, spans = {}, []
    names = ("op", "slot", "pages", "order")
    for time, (op, slot, *kind) in enumerate(
        zip(*(everything[name].tolist() for name in names), strict=True)
    ):
        if kind == [5, 2]:
            born[slot] = time
        elif op == ev.FREE and slot in born:
            spans.append(time - born.pop(slot))
    return spans


def test_lifetimes_are_drawn_as_estimated():
    found = fit("smp2")
    everything = checked(found.stream(300_000, seed=2))
    spans = lifetimes_of_stacks(everything)
    curve = found.lifetimes.filter(group=1)
    for quantile in (0.25, 0.5, 0.75, 0.9):
        estimated = curve.filter(pl.col("survival") <= 1 - quantile)["lifetime"][0]
        drawn = np.quantile(spans, quantile)
        # what waits for its turn lives a little longer
        assert estimated * 0.9 - 1 <= drawn <= estimated * 1.15 + 40


# ---------------------------------------------------------------------------------------- the twin
def wheel_twin(found, events, seed, cpus):
    random, out = Random(seed), []
    quantiles, groups = found._quantiles(), found._groups()
    kinds = np.repeat(np.arange(found.requests.height), found.requests["count"].to_numpy())
    rows = found.requests.select("pages", "order", "window", "guard").rows()
    shares = found.cpus["share"].cum_sum().to_list()
    middles = (np.arange(4096) + 0.5) / 4096
    places = [sum(share < one for share in shares[:-1]) for one in middles]
    if cpus != len(shares):
        places = list(range(cpus))
    forever = binomial_bound(events, (quantiles[groups] == 0).mean())
    longest = int(quantiles.max())
    unused = list(range(min(longest + 1 + forever, events)))[::-1]
    due, waiting, owner = {}, [], {}
    for now in range(events):
        waiting += due.pop(now, [])[::-1]
        bits = random.draw()
        if waiting:
            slot = waiting.pop(0)
            cpu = owner[slot]
            if random.chance(bits, found.remote):
                cpu = (cpu + 1 + random.high(bits, cpus - 1)) % cpus
            unused.append(slot)
            out.append((ev.FREE, 0, 0, 0, cpu, slot, 0))
            continue
        draw = random.high(bits, len(kinds))
        time = int(quantiles[groups[draw], random.low(bits, 4096)])
        slot = unused.pop()
        owner[slot] = cpu = places[random.high(random.draw(), len(places))]
        if time == 0 and forever:
            forever -= 1
        else:
            due.setdefault(now + (time or longest), []).append(slot)
        pages, order, window, guard = rows[kinds[draw]]
        out.append((ev.ALLOC, int(guard), window, order, cpu, slot, pages))
    return np.array(out, ev.EVENT)


@pytest.mark.parametrize(("run", "cpus"), [("smp2", 2), ("smp4-sync", 3), ("smp1", 1)])
def test_a_synthetic_run_is_what_its_slow_twin_says(run, cpus):
    found = fit(run)
    seen = found.stream(30_000, seed=11, cpus=cpus).all()
    np.testing.assert_array_equal(seen, wheel_twin(found, 30_000, 11, cpus))


# -------------------------------------------------------------------------------------- workload
def test_the_workload_is_the_stream_of_the_fit():
    stream = make("fitted", page_size=4096, cpus=4, events=2000, seed=3, run="smp4-sync")
    np.testing.assert_array_equal(stream.all(), fit("smp4-sync").stream(2000, 3).all())
    assert stream.parameters["run"] == "smp4-sync"


def test_another_number_of_cpus_has_equal_shares():
    everything = checked(fit("smp2").stream(40_000, 1, cpus=5))
    taken = everything[everything["op"] == ev.ALLOC]
    assert abs(chi_squared(np.bincount(taken["cpu"]), np.ones(5))) < 4


def test_a_run_of_other_pages_is_refused():
    with pytest.raises(
        InputError, match=r"^\$\.page_size: not that of the run smp2: 16384"
    ) as raised:
        make("fitted", page_size=16384, cpus=4, events=10, seed=3)
    assert raised.value.allowed == "4,096"


def test_an_unknown_run_is_refused():
    with pytest.raises(InputError, match=r"^\$\.run: no such recorded run"):
        fit("smp3")
    assert find_run("smp2").id == "smp2"


def test_lifetimes_helper_counts_time_of_all_events():
    """The checks' own helper, which statistics here rest on."""
    events = np.zeros(4, ev.EVENT)
    events["op"] = [ev.ALLOC, ev.ALLOC, ev.FREE, ev.FREE]
    events["slot"] = [0, 1, 1, 0]
    assert lifetimes(events).tolist() == [1, 3]
    assert lifetimes(events, events["slot"] == 0).tolist() == [3]
