"""Small machines, and a reference allocator that is driven in words."""

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.events import ALLOC, FREE, MAP_RAM, PCPU, PURGE, SHRINK


def small_machine(**changes):
    """4,096 pages with pages of 1 MiB, so that a scaled chunk is small, too."""
    sizes = {
        "page_size": 1 << 20,
        "cpus": 2,
        "nodes": 2,
        "zone_pages": 16,
        "space": (1, 5000),
        "windows": ((512, 4608), (4700, 4900)),
        "lazy_max_pages": 4096,
        "block_pages": 16,
        "block_max_pages": 8,
        "chunk_pages": 64,
    }
    return Machine(**(sizes | changes))


class Run:
    """A reference allocator with fresh slots; an area is named by its slot."""

    def __init__(self, policy="mainline", freespace="tree", auto_purge=True, **changes):
        self.machine = small_machine(**changes)
        rules = find_policy(policy) if isinstance(policy, str) else policy
        self.allocator = ReferenceAllocator(self.machine, rules, freespace, auto_purge=auto_purge)
        self.slots = 0

    def _new(self, op, flags, window, order, cpu, pages):
        self.slots += 1
        self.allocator.apply((op, flags, window, order, cpu, self.slots, pages))
        return self.slots

    def alloc(self, pages, order=0, cpu=0, window=0, flags=0):
        return self._new(ALLOC, flags, window, order, cpu, pages)

    def map_ram(self, pages, cpu=0):
        return self._new(MAP_RAM, 0, 0, 0, cpu, pages)

    def pcpu(self, pages, order=0, window=0):
        return self._new(PCPU, 0, window, order, 0, pages)

    def free(self, *slots, cpu=0):
        for slot in slots:
            self.allocator.apply((FREE, 0, 0, 0, cpu, slot, 0))

    def purge(self, cpu=0):
        self.allocator.apply((PURGE, 0, 0, 0, cpu, 0, 0))

    def shrink(self):
        self.allocator.apply((SHRINK, 0, 0, 0, 0, 0, 0))

    def at(self, *slots):
        """Return the start of each slot's area, relative to the standard window."""
        live = self.allocator.state()["live"]
        starts = [live[slot][0] - self.machine.windows[0][0] for slot in slots]
        return starts[0] if len(slots) == 1 else starts

    def pool(self, node, pages):
        first = self.machine.windows[0][0]
        return [start - first for start in self.state["pools"].get((node, pages), [])]

    @property
    def chunks(self):
        """Return (base, pointer, count, released) of every chunk, bases relative to the window."""
        first = self.machine.windows[0][0]
        return [
            (base - first, bump, count, released)
            for base, bump, count, _, released in self.state["chunks"]
        ]

    @property
    def state(self):
        return self.allocator.state()

    def __getattr__(self, name):
        """Return the counter of that name."""
        return self.allocator.counters()[name]

    def given_back(self):
        """Record what goes to the global free space from here on, as (start, pages)."""
        back = []
        state = self.allocator._state
        release, release_over = state.space.release, state.space.release_over

        def note(start, pages):
            back.append((start - self.machine.windows[0][0], pages))

        class Noting:
            def __getattr__(self, name):
                return getattr(space, name)

            def release(self, start, pages):
                note(start, pages)
                release(start, pages)

            def release_over(self, start, pages):
                note(start, pages)
                return release_over(start, pages)

        space, state.space = state.space, Noting()
        return back
