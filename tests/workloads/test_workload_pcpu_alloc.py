"""``pcpu_alloc``: sizes of chunks as the kernel has them, and the slow twin of its generator."""

import numpy as np
import polars as pl
import pytest
from workload_checks import Random, made, told

from vmalloc_model import events as ev
from vmalloc_model.datafiles import data_path
from vmalloc_model.traces.oplog import read_oplog
from vmalloc_model.workloads.pcpu_alloc import chunk_steps, unit_size

KIB, MIB = 1 << 10, 1 << 20
LEAST = 248 * KIB


@pytest.mark.parametrize(
    ("cpus", "unit", "area"),
    [
        (1, 2 * MIB, 2 * MIB),
        (2, MIB, 2 * MIB),
        (3, 512 * KIB, 2 * MIB),  # one of four units is for nobody
        (4, 512 * KIB, 2 * MIB),
        (5, MIB, 6 * MIB),  # three of eight units would be too many, three of four are left over
        (6, 256 * KIB, 2 * MIB),
        (8, 256 * KIB, 2 * MIB),
        (64, 256 * KIB, 16 * MIB),
        (512, 256 * KIB, 128 * MIB),
    ],
)
def test_units_on_x86(cpus, unit, area):
    """1, 2, 4 and 8 CPUs as ``percpu: Embedded ... u<unit>`` says in boot logs."""
    assert unit_size(cpus, 2 * MIB, LEAST, 4096) == (unit, area)


def test_units_elsewhere():
    assert unit_size(6, 4096, LEAST, 4096) == (LEAST, 6 * LEAST)
    assert unit_size(6, 65536, LEAST, 65536) == (256 * KIB, 6 * 256 * KIB)
    assert unit_size(2, 4096, 1, 4096) == (32 * KIB, 64 * KIB)


def test_a_chunk_is_made_as_in_the_recorded_run():
    """Two CPUs: three areas of metadata, then the chunk's."""
    log = read_oplog(data_path("runs/linux-6.12.117-smp2-stock.oplog.csv.gz"))
    rows = log.filter((pl.col("op") == "pcpu_area") | (pl.col("caller") == "pcpu_mem_zalloc"))
    recorded = rows.select("size", "align").head(4).rows()
    unit, area = unit_size(2, 2 * MIB, LEAST, 4096)
    steps, _ = chunk_steps(unit, area, 2 * MIB, 4096, 8)
    assert [int(one) * 4096 for one in steps["pages"]] == [size for size, _ in recorded]
    assert [4096 << one if one else 1 for one in steps["order"].tolist()] == [
        align for _, align in recorded
    ]
    assert steps["op"].tolist() == [ev.ALLOC] * 3 + [ev.PCPU]


def test_a_chunk_goes_as_it_came():
    made_steps, freed = chunk_steps(MIB, 2 * MIB, 2 * MIB, 4096, 8)
    assert told(made_steps) == "A1:8+ A2:9+ A3:2+ C0:512@9"
    assert told(freed) == "F0 F3 F2 F1"
    # 65,536 grains are two pages of bits, one more bit is a third; the blocks fit a page
    made_steps, freed = chunk_steps(256 * KIB, 2 * MIB, 2 * MIB, 4096, 8)
    assert told(made_steps) == "A1:2+ A2:3+ C0:512@9"
    assert told(freed) == "F0 F2 F1"
    made_steps, freed = chunk_steps(32 * KIB, 32 * KIB, 4096, 4096, 8)
    assert told(made_steps) == "C0:8"
    assert told(freed) == "F0"


def twin(events, seed, cpus, threads, objects, unit, steps, migrate=0.0):
    random, out = Random(seed), []
    made_steps, freed = steps
    array = objects * 8 // 4096 + (objects * 8 % 4096 > 0)
    workers = [{"action": 0, "cpu": one % cpus, "objects": {}} for one in range(threads)]
    room, used = {}, {}

    def add(some, cpu, slot):
        for op, flags, window, order, _, local, pages in some.tolist():
            out.append((op, flags, window, order, cpu, slot + local, pages))

    while len(out) < events:
        bits = random.draw()
        one = random.high(bits, threads)
        worker = workers[one]
        action = worker["action"]
        if migrate and action <= objects:
            bits = random.draw()
            if random.chance(bits, migrate):
                worker["cpu"] = (worker["cpu"] + 1 + random.high(bits, cpus - 1)) % cpus
            bits = random.draw()
        worker["action"] = (action + 1) % (2 * objects + 2)
        cpu = worker["cpu"]
        if action == 0:
            out.append((ev.ALLOC, ev.GUARD, 0, 0, cpu, one, array + 1))
        elif action == 2 * objects + 1:
            out.append((ev.FREE, 0, 0, 0, cpu, one, 0))
        elif action <= objects:
            size = -(-(1 + random.low(bits, 1024)) // 4) * 4
            box = min((box for box in room if room[box] >= size), default=None)
            if box is None:
                box = min(set(range(len(room) + 1)) - set(room))
                room[box], used[box] = unit, 0
                add(made_steps, cpu, threads + box * len(made_steps))
            room[box] -= size
            used[box] += 1
            worker["objects"][action] = (box, size)
        else:
            box, size = worker["objects"].pop(action - objects)
            room[box] += size
            used[box] -= 1
            empty = [other for other in used if not used[other]]
            if not used[box] and len(empty) > 1:
                del room[box], used[box]
                add(freed, cpu, threads + box * len(made_steps))
    return np.array(out, ev.EVENT)


@pytest.mark.parametrize(("threads", "migrate"), [(1, 0.0), (3, 0.0), (3, 0.2)])
def test_pcpu_alloc_is_what_its_slow_twin_says(threads, migrate):
    objects, least = 300, 32 * KIB
    unit, area = unit_size(2, 4096, least, 4096)
    steps = chunk_steps(unit, area, 4096, 4096, 8)
    seen = made(
        "pcpu_alloc",
        events=400,
        seed=3,
        cpus=2,
        threads=threads,
        migrate=migrate,
        objects=objects,
        atom=4096,
        min_unit=least,
    )
    expected = twin(400, 3, 2, threads, objects, unit, steps, migrate)
    np.testing.assert_array_equal(seen, expected)
    assert {ev.ALLOC, ev.FREE, ev.PCPU} == set(seen["op"].tolist())


def test_the_whole_test_of_one_worker():
    """35,000 objects of 512 bytes on average are nine chunks of 2 MiB; all but one go again."""
    everything = made("pcpu_alloc", events=9 * 4 + 1 + 8 * 4 + 1, cpus=1)
    words = told(everything).split()
    assert words[0] == "A0:69+"
    assert words[1:5] == ["A2:16+", "A3:17+", "A4:4+", "C1:512@9"]
    chunks = [word for word in words if word.startswith("C")]
    assert len(chunks) == 9
    assert words.count("F0") == 1
    assert words[-1] == "F0"
    assert sum(word.startswith("F") for word in words) == 8 * 4 + 1


def test_one_object_takes_a_chunk():
    """The chunk stays when it is empty, because no other is."""
    words = told(made("pcpu_alloc", events=7, objects=1))
    assert words == "A0:1+ A2:16+ A3:17+ A4:4+ C1:512@9 F0 A0:1+"


def test_workers_share_chunks():
    """Four workers of 1,000 objects need 2 MiB together: chunks of 256 KiB, eight or nine."""
    everything = made("pcpu_alloc", events=300, cpus=8, threads=4, objects=1000)
    live = np.cumsum(
        (everything["op"] == ev.PCPU).astype(int)
        - (np.isin(everything["slot"], everything["slot"][everything["op"] == ev.PCPU]))
        * (everything["op"] == ev.FREE)
    )
    assert live.max() in (8, 9, 10)
