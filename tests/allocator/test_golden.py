"""What one small run of each policy counts, kept in ``tests/corpus/golden/counters.json``.

The engine and its twin could go wrong together, or the workloads change under both. After a change
that is meant, write the file anew and read the difference (a few seconds)::

    .venv/bin/python tests/allocator/test_golden.py
"""

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from vmalloc_model import workloads
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.platforms import find_platform
from vmalloc_model.units import MIB

GOLDEN = Path(__file__).resolve().parents[1] / "corpus" / "golden" / "counters.json"
STREAMS = ("mixed", "vm_map_ram", "modules")


def counted(policy):
    """Run 20,000 events of each stream on 4 CPUs, chunks of 1 MiB, at most 4,096 lazy pages."""
    machine = machine_of(find_platform("x86_64-4level"), 4, chunk_size=1 * MIB)
    found = {}
    for name in STREAMS:
        stream = workloads.make(name, page_size=4096, cpus=4, events=20_000, seed=1)
        allocator = Allocator(replace(machine, lazy_max_pages=4096), policy)
        crc = 0
        for block in stream.blocks():
            crc = zlib.crc32(allocator.run(block).tobytes(), crc)
        counters = {key: value for key, value in allocator.counters().items() if value}
        found[name] = {"addresses": crc, "counters": counters, "measures": allocator.measures()}
    return found


@pytest.mark.parametrize("policy", load_policies())
def test_the_counters_of_a_small_run(policy):
    assert counted(policy) == json.loads(GOLDEN.read_text())[policy]


def test_the_runs_tell_policies_apart():
    golden = json.loads(GOLDEN.read_text())
    assert list(golden) == list(load_policies())
    assert golden["pools-only"] == golden["mainline"]  # the same, as a patch against the series
    assert len({json.dumps(runs) for runs in golden.values()}) == len(golden) - 1


if __name__ == "__main__":
    found = {policy: counted(policy) for policy in load_policies()}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
