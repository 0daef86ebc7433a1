"""Replay an operation log: every step that a kernel took, predicted from the steps before it.

The log is written inside the critical sections, so its order is the order of the locks. From a row
only the request is taken (size, alignment, window, CPU; which area is freed; that a purge or a
decay begins); what the kernel did with it is predicted. The rules are those of the plain twin
(`vmalloc_model.allocator.reference` and its parts), the free space is the compiled ``rbtree``. The
steps of two CPUs interleave, so the parts are driven one by one rather than by whole events.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import polars as pl

from vmalloc_model.allocator.machine import Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.allocator.reference_pools import touching_runs
from vmalloc_model.allocator.reference_state import Area, Chunk
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.freespace.fast import FastFreeSpace
from vmalloc_model.replay.result import Difference, Replay
from vmalloc_model.replay.streams import order_of
from vmalloc_model.runs import Run
from vmalloc_model.traces.oplog import POOL, SERVED_BY, read_oplog

__all__ = ["REPLAYABLE", "replay_oplog"]

REPLAYABLE: Final = ("mainline", "pools-only", "rfc10")
"""Policies whose steps an operation log has."""

_KINDS: Final = (
    "addresses",
    "global addresses",
    "pool hits",
    "pool rotations",
    "pool misses",
    "chunk bases",
    "refills",
    "bump addresses",
    "bump misses",
    "eligibility",
    "lazy nodes",
    "pool lengths",
    "decay victims",
    "purge order",
    "pool adds",
    "ranges given back",
    "purge counts",
    "per-CPU areas",
)

Row = dict[str, Any]


@dataclass(slots=True)
class _Task:
    """What a task is in the middle of."""

    got: int | None = None
    """First page that its last step found."""
    owner: int | None = None
    asked: bool = False
    """Whether it asked a pool since its last allocation ended."""
    chunk: int | None = None
    """Base that it reserved for a chunk."""
    to_pool: Area | None = None
    """Area that must go into a pool next."""
    victims: list[Area] = field(default_factory=list)
    local: list[Area] = field(default_factory=list)
    back: list[tuple[int, int]] = field(default_factory=list)
    """Ranges that it gives back next, in order."""


def replay_oplog(run: Run, policy: str | None = None, decay: str = "6.12") -> Replay:
    """Replay an operation log.

    Parameters
    ----------
    run : Run
        A run of kind ``oplog``.
    policy : str, optional
        One of `REPLAYABLE`; by default ``rfc10`` where the log has the overlay on, else
        ``mainline``.
    decay : {"6.12", "6.16"}
        Rule of the pools' decay.

    Raises
    ------
    FileError
        If the log cannot be read, or tells something that cannot be: a free of an address that
        was not allocated, areas that overlap, an order of steps that no task can take.
    InputError
        If the policy is none of `REPLAYABLE`.
    """
    log = read_oplog(run.path)
    config = log.row(0, named=True)
    name = policy or ("rfc10" if config["flag"] == 1 else "mainline")
    if name not in REPLAYABLE:
        raise InputError(
            "$.policy",
            "an operation log has no steps of this policy",
            value=name,
            allowed=", ".join(REPLAYABLE),
        )
    follower = _Follower(run, log, name, decay)
    for line, row in enumerate(log.iter_rows(named=True), 2):
        follower.step(line, row)
    return follower.replay.finish()


class _Follower:
    def __init__(self, run: Run, log: pl.DataFrame, policy: str, decay: str) -> None:
        self.page = run.page_size
        self.path = run.path
        config = log.row(0, named=True)
        size = self.page
        reserved = log.filter(op="chunk_reserve")["size"]
        nodes = int(config["node"])
        if not 1 <= nodes <= 1024:
            self._line = 2
            self.refuse("no number of nodes", config["node"], "1 to 128")
        cpus = max(run.cpus, nodes)
        standard = (int(config["vstart"]) // size, int(config["vend"]) // size)
        machine = Machine(
            page_size=size,
            cpus=cpus,
            nodes=nodes,
            zone_pages=max(int(config["value"]) // size, 1),
            space=(1, 2),
            windows=(standard,),
            lazy_max_pages=1 << 62,
            block_pages=int(config["size"]),
            block_max_pages=64 if standard[1] >> 40 else 32,
            chunk_pages=int(reserved[0]) // size if len(reserved) else 0,
            decay=decay,  # type: ignore[arg-type]
        )
        self.allocator = ReferenceAllocator(machine, find_policy(policy), "tree", auto_purge=False)
        self.state = self.allocator.parts.state
        self.pools, self.chunks = self.allocator.parts.pools, self.allocator.parts.chunks
        self.purger = self.allocator.parts.purger
        free = log.filter(op="init_free")
        self.state.space = FastFreeSpace(
            "rbtree",
            [
                (-(-start // size), (start + length) // size)
                for start, length in zip(free["addr"], free["size"], strict=True)
            ],
        )
        self.nodes = nodes
        self.standard = standard
        self.areas: dict[int, Area] = {}
        self.starts: list[int] = []
        self.tasks: dict[tuple[int, int], _Task] = {}
        self.detached: dict[int, list[Area]] = {}
        self.detaching: dict[tuple[int, int], tuple[list[Area], list[Area], int]] = {}
        self.purged: int | None = None
        self._line = 1
        self.replay = Replay(run.path, "oplog", policy, run.cpus, nodes, log.height)
        for kind in _KINDS:
            self.replay.tally(kind)

    # --- bookkeeping -------------------------------------------------------------------------

    def refuse(self, problem: str, value: object = None, allowed: str | None = None) -> NoReturn:
        """Raise the error of a row that cannot be."""
        raise FileError(self.path, problem, line=self._line, value=value, allowed=allowed)

    def address(self, page: int) -> str:
        """Print an address as the log does."""
        return f"{page * self.page:#x}"

    def expect(self, kind: str, said: object, came: object, cause: str = "") -> bool:
        """Compare a prediction with the record."""
        if self.replay.tally(kind).add(said == came):
            return True
        shown = [
            self.address(one) if isinstance(one, int) and one >= 1 << 16 else str(one)
            for one in (said, came)
        ]
        why = cause or "the model's state differs from the kernel's"
        self.replay.note(Difference(self._line, kind, shown[0], shown[1], why))
        return False

    def step(self, line: int, row: Row) -> None:
        """Follow one row."""
        self._line = line
        node = row["node"]
        wrong = node is not None and not 0 <= node < self.nodes
        if wrong and row["op"] != "config":
            self.refuse("no such node", node, f"0..{self.nodes - 1}")
        handler: Callable[[Row, _Task], None] | None = getattr(self, f"on_{row['op']}", None)
        if handler is not None:
            task = self.tasks.setdefault((row["task"], 0), _Task())
            if task.to_pool is not None and row["op"] != "pool_add":
                self.expect("pool adds", task.to_pool.start, None)
                task.to_pool = None
            handler(row, task)

    def pages(self, row: Row) -> int:
        """Size of a row in pages."""
        pages, rest = divmod(int(row["size"]), self.page)
        if rest or not pages:
            self.refuse("column size: no whole pages", row["size"])
        return pages

    def request(self, row: Row) -> tuple[int, int]:
        """Size in pages and order of a row."""
        return self.pages(row), order_of(int(row["align"] or 1), self.page)

    def take_range(self, start: int, pages: int) -> None:
        """Make the free space agree with a recorded address that was predicted otherwise."""
        self.replay.resynchronised += 1
        try:
            self.state.space.carve(start, pages)
        except ValueError:
            for pool in self.state.pools.values():
                pool[:] = [area for area in pool if area.start != start]

    # --- the configuration -------------------------------------------------------------------

    def on_config(self, row: Row, task: _Task) -> None:
        if self._line != 2:
            self.refuse("a second configuration")

    def on_init_busy(self, row: Row, task: _Task) -> None:
        start, pages = int(row["addr"]) // self.page, max(int(row["size"]) // self.page, 1)
        self._live(Area(start, pages, row["cpu"]))

    # --- allocation --------------------------------------------------------------------------

    def _search(self, row: Row, kind: str) -> int | None:
        pages, order = self.request(row)
        window = int(row["vstart"]) // self.page, int(row["vend"]) // self.page
        if window[1] <= window[0]:
            self.refuse("the window is empty", f"{row['vstart']:#x}..{row['vend']:#x}")
        said = self.state.space.reserve(pages, order, *window)
        came = None if row["addr"] is None else int(row["addr"]) // self.page
        if not self.expect(kind, said, came):
            if said is not None:
                self.state.space.release(said, pages)
            if came is not None:
                self.take_range(came, pages)
        return came

    def on_tree_alloc(self, row: Row, task: _Task) -> None:
        task.got = self._search(row, "global addresses")

    def _ask_pool(self, row: Row, task: _Task) -> Area | None:
        pages, order = self.request(row)
        task.asked, task.owner = True, int(row["node"])
        return self.pools.take(int(row["node"]), int(row["cpu"]), pages, order)

    def on_pool_hit(self, row: Row, task: _Task) -> None:
        area = self._ask_pool(row, task)
        came = int(row["addr"]) // self.page
        if not self.expect("pool hits", area.start if area else None, came):
            if area:
                self.pools.add(int(row["node"]), area)
            self.take_range(came, self.pages(row))
        task.got = came

    def on_pool_rotate(self, row: Row, task: _Task) -> None:
        key = int(row["node"]), self.pages(row)
        area = self._ask_pool(row, task)
        pool = self.state.pools.get(key, [])
        said = None if area or not pool else pool[-1].start
        self.expect("pool rotations", said, int(row["addr"]) // self.page)

    def on_pool_miss(self, row: Row, task: _Task) -> None:
        before = self.state.counts["pool_misses"]
        area = self._ask_pool(row, task)
        said = (
            "a hit"
            if area
            else "no pool"
            if self.state.counts["pool_misses"] == before
            else "empty"
        )
        self.expect("pool misses", said, "no pool" if row["flag"] == 1 else "empty")
        if area:
            self.pools.add(int(row["node"]), area)

    def on_bump_hit(self, row: Row, task: _Task) -> None:
        pages, order = self.request(row)
        self.expect("eligibility", self.chunks.is_eligible(pages, order, 0, 0), True)
        area = self.chunks.bump(int(row["cpu"]), pages, order, None)
        current = self.state.current[int(row["cpu"])]
        came = int(row["addr"]) // self.page
        base = int(row["value"]) // self.page
        said = (area.start, current.base) if area and current else None
        if not self.expect("bump addresses", said, (came, base)) and current is not None:
            current.bump = max(current.bump, came + pages)
            self.replay.resynchronised += 1
        task.got = came

    def on_bump_miss(self, row: Row, task: _Task) -> None:
        pages, order = self.request(row)
        self.expect("eligibility", self.chunks.is_eligible(pages, order, 0, 0), True)
        area = self.chunks.bump(int(row["cpu"]), pages, order, None)
        self.expect("bump misses", area.start if area else None, None)

    def on_bump_ineligible(self, row: Row, task: _Task) -> None:
        pages, order = self.request(row)
        window = int(row["vstart"]) // self.page, int(row["vend"]) // self.page
        number = 0 if window == self.standard else 1
        said = (
            not self.chunks.is_eligible(pages, order, number, 0),
            number,
        )
        self.expect("eligibility", said, (True, int(row["flag"] == 1)))

    def on_chunk_reserve(self, row: Row, task: _Task) -> None:
        task.chunk = self._search(row, "chunk bases")

    def on_refill(self, row: Row, task: _Task) -> None:
        if task.chunk is None:
            self.refuse("a refill without the chunk_reserve before it")
        old = self.state.current[int(row["cpu"])]
        said = (task.chunk, old.base if old else 0, old.bump - old.base if old else 0)
        came = tuple(int(row[name]) // self.page for name in ("addr", "value", "size"))
        self.expect("refills", said, came)
        pages = self.state.machine.chunk_pages
        chunk = Chunk(came[0], pages, int(row["cpu"]), bump=came[0])
        self.state.chunks.append(chunk)
        self.state.current[int(row["cpu"])] = chunk
        task.chunk = None

    def on_refill_fail(self, row: Row, task: _Task) -> None:
        self.expect("refills", task.chunk, None)
        task.chunk = None

    def on_pcpu_area(self, row: Row, task: _Task) -> None:
        pages, order = self.request(row)
        came = int(row["addr"]) // self.page
        said = self.state.space.top_down([0], [pages], order, *self.standard)  # type: ignore[attr-defined]
        if not self.expect("per-CPU areas", said, came):
            if said is not None:
                self.state.space.release(said, pages)
            self.take_range(came, pages)
        self._live(Area(came, pages, int(row["cpu"])))

    def on_alloc_done(self, row: Row, task: _Task) -> None:
        if task.got is None:
            self.refuse(
                "an allocation ends that nothing has served",
                self.address(int(row["addr"]) // self.page),
            )
        came, flag = int(row["addr"]) // self.page, int(row["flag"])
        self.expect("addresses", task.got, came)
        # A pool that another CPU emptied between a look without its lock and the lock leaves no
        # row; then the owner is only in the flag.
        owner = (flag >> 8) - 1 if flag >> 8 else None
        if task.asked:
            owner = task.owner
        elif owner is not None and flag & SERVED_BY == POOL:
            self.refuse("served by a pool that was not asked", flag)
        self._live(Area(came, self.pages(row), int(row["cpu"]), owner))
        task.got, task.asked, task.owner = None, False, None

    def on_alloc_fail(self, row: Row, task: _Task) -> None:
        self.expect("addresses", task.got, None)
        task.got, task.asked, task.owner = None, False, None

    def _live(self, area: Area) -> None:
        at = bisect_left(self.starts, area.start)
        for near in self.starts[max(at - 1, 0) : at + 1]:
            other = self.areas[near]
            if other.start < area.end and area.start < other.end:
                self.refuse(
                    f"an area overlaps the one at {self.address(other.start)}, which is in use",
                    self.address(area.start),
                )
        self.starts.insert(at, area.start)
        self.areas[area.start] = area

    # --- free and purge ----------------------------------------------------------------------

    def on_lazy_add(self, row: Row, task: _Task) -> None:
        start = int(row["addr"]) // self.page
        area = self.areas.pop(start, None)
        if area is None:
            self.refuse("free of an address that is not allocated", self.address(start))
        self.starts.pop(bisect_left(self.starts, start))
        if self.pages(row) != area.pages:
            self.refuse(
                f"free of another size than was allocated, {area.pages * self.page}", row["size"]
            )
        self.expect("lazy nodes", self.state.node_of(area), row["node"])
        self.purger.make_lazy(area)

    def on_purge_begin(self, row: Row, task: _Task) -> None:
        if self.purged is not None:
            self.refuse("a purge begins inside another")
        self.purged = 0

    def on_purge_end(self, row: Row, task: _Task) -> None:
        if self.purged is None:
            self.refuse("a purge ends that has not begun")
        left = sum(len(areas) for areas in self.detached.values())
        if left:
            self.expect("purge order", left, 0, "areas were detached but not purged")
        self.expect("purge counts", self.purged, int(row["value"]))
        self.detached.clear()
        self.purged = None

    def on_lazy_detach(self, row: Row, task: _Task) -> None:
        node = int(row["node"])
        if self.purged is None:
            self.refuse("a lazy list is detached outside a purge")
        if self.detached.get(node):
            self.refuse("a lazy list is detached twice in a purge", node)
        self.detached[node] = sorted(self.state.lazy[node], key=lambda area: area.start)
        self.purged += len(self.detached[node])
        self.state.lazy[node] = []

    def on_purge_area(self, row: Row, task: _Task) -> None:
        node, came = int(row["node"]), int(row["addr"]) // self.page
        waiting = self.detached.get(node)
        if waiting is None:
            self.refuse("an area is purged whose list was not detached", self.address(came))
        said = waiting[0] if waiting else None
        if not self.expect("purge order", said.start if said else None, came):
            said = next((area for area in waiting if area.start == came), None)
            if said is None:
                self.refuse("an area is purged that is not lazy", self.address(came))
        assert said is not None
        waiting.remove(said)
        self.state.lazy_pages -= said.pages
        if row["flag"] != 1 and self.purger.has_pool(said):
            task.to_pool = said
        else:
            task.local.append(said)

    def on_pool_add(self, row: Row, task: _Task) -> None:
        came = int(row["addr"]) // self.page
        area, task.to_pool = task.to_pool, None
        if area is None and task.local and task.local[-1].start == came:
            area = task.local.pop()
            self.expect("pool adds", None, came)
        elif area is None:
            self.refuse("an area enters a pool that was not purged", self.address(came))
        else:
            self.expect("pool adds", area.start, came)
        self.pools.add(int(row["node"]), area)

    def on_decay_detach(self, row: Row, task: _Task) -> None:
        key = int(row["node"]), self.pages(row)
        pool = self.state.pools.get(key, [])
        self.expect("pool lengths", len(pool), int(row["value"]))
        leaving = self.pools.leave(key, full=row["flag"] == 1) if pool else []
        # Meanwhile the pool is empty for the other CPUs.
        self.detaching[row["task"], key[0]] = (leaving, self.state.pools.pop(key, []), key[1])

    def _detaching(self, row: Row) -> tuple[list[Area], list[Area], int]:
        found = self.detaching.get((row["task"], int(row["node"])))
        if found is None:
            self.refuse("a pool decays that was not detached", row["op"])
        return found

    def on_decay_area(self, row: Row, task: _Task) -> None:
        leaving, staying, _ = self._detaching(row)
        came = int(row["addr"]) // self.page
        said = leaving[0].start if leaving else None
        if self.expect("decay victims", said, came):
            area = leaving.pop(0)
        else:
            both = leaving if any(one.start == came for one in leaving) else staying
            area = next((one for one in both if one.start == came), None)  # type: ignore[assignment]
            if area is None:
                self.refuse("an area leaves a pool that it is not in", self.address(came))
            both.remove(area)
        task.victims.append(area)

    def on_decay_attach(self, row: Row, task: _Task) -> None:
        _, staying, size = self._detaching(row)
        self.expect("pool lengths", len(staying), int(row["value"]))
        self.state.pools[int(row["node"]), size] = staying

    def on_tree_free(self, row: Row, task: _Task) -> None:
        start, pages = int(row["addr"]) // self.page, self.pages(row)
        if row["flag"] == 2:
            if not task.back and task.victims:
                task.back, task.victims = touching_runs(task.victims), []
            elif not task.back:
                # each went to the head of the local list
                task.back = [(area.start, area.pages) for area in reversed(task.local)]
                task.local = []
            said = task.back.pop(0) if task.back else None
            self.expect("ranges given back", said, (start, pages))
        try:
            self.state.space.release(start, pages)
        except ValueError:
            self.refuse("a range is given back that is free already", self.address(start))
