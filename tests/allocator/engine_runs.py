"""The engine and the reference allocator, doing the same events."""

import random

import numpy as np

from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD, MAP_RAM, NODE, PCPU, PURGE, SHRINK

TWIN = {"rbtree": "tree", "gaps": "padded"}
SMALL = {
    "page_size": 1 << 20,  # so that a scaled chunk is small, too
    "cpus": 2,
    "nodes": 2,
    "zone_pages": 4,
    "space": (1, 1400),
    "windows": ((512, 832), (820, 880)),
    "lazy_max_pages": 4096,
    "block_pages": 64,
    "block_max_pages": 16,
    "chunk_pages": 32,
    "possible_share": 0.25,
}


def machine_from(changes):
    """Make a small machine; lists, as JSON has them, do as well as tuples."""
    sizes = {**SMALL, **changes}
    for name in ("windows", "busy"):
        sizes[name] = tuple(tuple(span) for span in sizes.get(name, ()))
    sizes["space"] = tuple(sizes["space"])
    return Machine(**sizes)


class Both:
    """An allocator and its twin on the same machine; an event is a list of the columns."""

    def __init__(self, machine, policy, kind="rbtree", auto_purge=True):
        rules = find_policy(policy) if isinstance(policy, str) else policy
        self.machine = machine
        self.fast = Allocator(machine, rules, kind, auto_purge=auto_purge)
        self.plain = ReferenceAllocator(machine, rules, TWIN[kind], auto_purge=auto_purge)

    def take(self, events):
        """Do events in both; demand the same addresses and counters."""
        events = [tuple(event) for event in events]
        got = self.fast.run(np.array(events, EVENT)).tolist()
        wanted = [self.plain.apply(event) for event in events]
        assert got == [-1 if page is None else page for page in wanted], events
        assert self.fast.counters() == self.plain.counters(), events
        return got

    def compare(self):
        """Demand the same state, and that it is in order."""
        wanted = self.plain.state()
        del wanted["live"]
        assert self.fast.state() == wanted
        self.fast.check()
        self.plain.check()


class Slots:
    """Slots that are in use, or could be freed because their allocation failed."""

    def __init__(self):
        self.held, self.spare, self.count = [], [], 0

    def new(self):
        if not self.spare:
            self.spare.append(self.count)
            self.count += 1
        self.held.append(self.spare.pop())
        return self.held[-1]

    def gone(self, which):
        self.spare.append(self.held.pop(which % len(self.held)))
        return self.spare[-1]


def random_machine(chance):
    """Changes to the small machine."""
    cpus, nodes = chance.choice([(1, 1), (2, 2), (3, 3), (3, 2), (2, 1), (2, 3)])
    first = chance.choice([512, 515])
    end = first + chance.choice([160, 320, 700])
    return {
        "cpus": cpus,
        "nodes": nodes,
        "zone_pages": 4 if nodes > 1 else 1,
        "windows": [[first, end], chance.choice([[end - 12, end + 50], [first, end]])],
        "lazy_max_pages": chance.choice([10, 40, 150, 4096]),
        "chunk_pages": chance.choice([8, 16, 32, 64]),
        "possible_share": chance.choice([1 / 64, 0.25, 0.5]),
        "decay": chance.choice(["6.12", "6.16"]),
        "busy": chance.choice([[], [[550, 553], [600, 620]], [[511, 520]]]),
    }


def random_events(chance, machine, count):
    """Events whose mood changes between filling up and draining, with a few sizes that recur."""
    slots, events = Slots(), []
    chunk = machine.chunk_pages
    usual = [chance.randrange(1, max(2, chunk // 2)) for _ in range(3)]
    grow = 0.6
    while len(events) < count:
        if chance.random() < 0.02:
            grow = chance.choice([0.15, 0.45, 0.55, 0.8])
        cpu, what = chance.randrange(machine.cpus), chance.random()
        if what < 0.02:
            events.append([PURGE, 0, 0, 0, cpu, 0, 0])
        elif what < 0.025:
            events.append([SHRINK, 0, 0, 0, cpu, 0, 0])
        elif chance.random() > grow:
            if slots.held:
                where = chance.choice([0, -1, chance.randrange(len(slots.held))])
                events.append([FREE, 0, 0, 0, cpu, slots.gone(where), 0])
        elif what < 0.15:
            pages = chance.choice([1, 2, 4, chance.randrange(1, 20)])
            events.append([MAP_RAM, 0, 0, 0, cpu, slots.new(), pages])
        elif what < 0.18:
            order = chance.randrange(3)  # the kernel wants whole multiples of the alignment
            events.append([PCPU, 0, 0, order, cpu, slots.new(), chance.randrange(1, 4) << order])
        else:
            pages = chance.choice([*usual, *usual, 1, chance.randrange(1, chunk + 2)])
            order = chance.choice([0, 0, 0, 0, 1, 2, 3, 4, chance.randrange(9)])
            window = int(chance.random() < 0.06)
            flags = chance.choice([0, GUARD, GUARD, GUARD | NODE])
            events.append([ALLOC, flags, window, order, cpu, slots.new(), pages])
    return events


def random_run(seed, policy, kind, count):
    """Make a random machine and random events for it."""
    name = policy if isinstance(policy, str) else policy.name
    chance = random.Random(f"{seed} {name} {kind}")
    machine = machine_from(random_machine(chance))
    auto_purge = chance.random() < 0.7
    return Both(machine, policy, kind, auto_purge), random_events(chance, machine, count)
