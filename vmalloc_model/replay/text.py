"""Replay ftrace text: the address of every allocation, predicted from the requests before it.

First the whole recording runs through the compiled model. Where the order of the text is the order
of the locks, that is all. Where it is not (purges beside allocations), the recording is followed by
the plain twin from the beginning, and at every wrong address the model takes over what the
recording says, so that one difference does not make everything behind it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from vmalloc_model import events as ev
from vmalloc_model.allocator.allocator import Allocator
from vmalloc_model.allocator.machine import MAX_NODES, ZONE_PAGES, Machine
from vmalloc_model.allocator.policies import find_policy
from vmalloc_model.allocator.reference import ReferenceAllocator
from vmalloc_model.allocator.reference_state import Area
from vmalloc_model.freespace.fast import FastFreeSpace
from vmalloc_model.replay.missing import MissingArea
from vmalloc_model.replay.result import Difference, Replay
from vmalloc_model.replay.streams import Recorded, record_of
from vmalloc_model.runs import Run
from vmalloc_model.units import MIB

__all__ = ["machine_for", "replay_text"]

_KINDS: Final = ("addresses", "lazy pages", "purge counts", "per-CPU areas")


def machine_for(recorded: Recorded, decay: str = "6.12", chunk_size: int = 64 * MIB) -> Machine:
    """Describe the machine of a recorded run.

    Parameters
    ----------
    recorded : Recorded
        The run.
    decay : {"6.12", "6.16"}
        Rule of the pools' decay.
    chunk_size : int
        Bytes; for policies with an overlay.
    """
    run = recorded.run
    wide = recorded.windows[0][1] * run.page_size >> 32 > 0
    nodes = min(run.cpus, MAX_NODES) if wide else 1
    return Machine(
        page_size=run.page_size,
        cpus=run.cpus,
        nodes=nodes,
        zone_pages=ZONE_PAGES if nodes > 1 else 1,
        space=(1, (1 << (64 if wide else 32)) // run.page_size - 1),
        windows=recorded.windows,
        lazy_max_pages=run.cpus.bit_length() * 32 * MIB // run.page_size,
        block_pages=256,  # blocks are areas here: what is in them has no events
        block_max_pages=64 if wide else 32,
        chunk_pages=chunk_size // run.page_size,
        decay=decay,  # type: ignore[arg-type]
    )


def replay_text(
    run: Run,
    vmallocinfo: Sequence[str | Path] = (),
    policy: str = "mainline",
    decay: str = "6.12",
    progress: Callable[[int], object] | None = None,
) -> Replay:
    """Replay ftrace text.

    Parameters
    ----------
    run : Run
        A run of kind ``ftrace``.
    vmallocinfo : sequence of str or Path
        Copies of ``/proc/vmallocinfo`` from the same run; those of the manifest are known.
    policy : str
        The policy that the kernel had.
    decay : {"6.12", "6.16"}
        Rule of the pools' decay.
    progress : callable, optional
        Gets the number of events done since its last call, while the twin runs.

    Raises
    ------
    FileError
        If the recording cannot be read, or cannot have happened.
    InputError
        If there is no such policy.
    """
    rules = find_policy(policy)
    recorded = record_of(run, vmallocinfo)
    machine = machine_for(recorded, decay)
    replay = Replay(run.path, "ftrace", rules.name, run.cpus, machine.nodes, len(recorded.events))
    for kind in _KINDS:
        replay.tally(kind)
    for area in recorded.missing.per_cpu:
        replay.added.append(_shown(area, run, "a per-CPU area"))
    allocator = Allocator(machine, rules, auto_purge=False)
    out = allocator.run(recorded.events)
    given = recorded.page >= 0
    if not np.array_equal(out[given], recorded.page[given]):
        return _Resynchroniser(recorded, machine, rules.name, replay, bool(vmallocinfo)).run(
            progress
        )
    _count_right(recorded, replay)
    replay.measures = allocator.measures()
    _check_counts(recorded, replay)
    return replay.finish()


def _shown(area: MissingArea, run: Run, what: str) -> str:
    size = run.page_size
    when = f"behind line {area.after_line:,}" if area.after_line else "from the beginning"
    return f"{area.page * size:#x}, {area.pages * size:,} bytes, {when}: {what} ({area.caller})"


def _count_right(recorded: Recorded, replay: Replay) -> None:
    allocs = int((recorded.events["op"] == ev.ALLOC).sum())
    per_cpu = int((recorded.events["op"] == ev.PCPU).sum())
    for kind, number in (("addresses", allocs), ("per-CPU areas", per_cpu)):
        replay.tally(kind).made = replay.tally(kind).right = number


def _check_counts(recorded: Recorded, replay: Replay) -> None:
    """Compare lazy pages after each free and areas of each purge; addresses are right already.

    Both follow from the requests alone, whatever the addresses: lazy pages are those freed since
    the last purge.
    """
    pages = np.zeros(int(recorded.events["slot"].max(initial=0)) + 1, np.int64)
    areas = lazy = 0
    for event, line, count in zip(
        recorded.events.tolist(), recorded.line.tolist(), recorded.count.tolist(), strict=True
    ):
        op, _, _, _, _, slot, size = event
        if op in (ev.ALLOC, ev.PCPU):
            pages[slot] = size
            continue
        if op == ev.FREE:
            lazy += int(pages[slot])
            areas += 1
            kind, said = "lazy pages", lazy
        else:
            kind, said = "purge counts", areas
            areas = lazy = 0
        if count >= 0 and not replay.tally(kind).add(said == count):
            cause = "another CPU freed or purged between the event and its print"
            replay.note(Difference(line, kind, str(said), str(count), cause))


class _Resynchroniser:
    """Follows a recording with the plain twin, and takes over what was predicted wrongly."""

    def __init__(
        self, recorded: Recorded, machine: Machine, policy: str, replay: Replay, given: bool
    ) -> None:
        self._recorded = recorded
        self._size = recorded.run.page_size
        self._allocator = ReferenceAllocator(machine, find_policy(policy), "tree", auto_purge=False)
        self._state = self._allocator.parts.state
        self._purger = self._allocator.parts.purger
        self._pools = self._allocator.parts.pools
        self._state.space = FastFreeSpace("rbtree", [machine.space])
        self._missing = {area.page: area for area in recorded.missing.others}
        self._informed = given or bool(recorded.run.copies)
        self._replay = replay
        self._line = 0

    def run(self, progress: Callable[[int], object] | None) -> Replay:
        """Follow the recording to its end."""
        recorded, replay = self._recorded, self._replay
        columns = (recorded.line.tolist(), recorded.page.tolist(), recorded.count.tolist())
        for number, (event, line, page, count) in enumerate(
            zip(recorded.events.tolist(), *columns, strict=True), 1
        ):
            self._line = line
            if event[0] in (ev.ALLOC, ev.PCPU):
                self._allocate(event, page)
            else:
                self._allocator.apply(event)
                if event[0] == ev.PURGE and count >= 0:
                    # what another CPU freed or purged meanwhile makes these differ
                    replay.tally("purge counts")
            if progress is not None and number % 1000 == 0:
                progress(1000)
        return replay.finish()

    def _allocate(self, event: tuple[int, ...], came: int) -> None:
        state = self._state
        hits = state.counts["pool_hits"]
        said = self._allocator.apply(event)
        # Where the model would hand out what vmallocinfo shows as taken, the area had been made
        # before, while the events were off.
        while said is not None and said != came and (taken := self._taken(said, event[6])):
            self._undo(event, said, state.counts["pool_hits"] > hits)
            self._take(taken.page, taken.pages)
            del self._missing[taken.page]
            self._replay.added.append(
                _shown(taken, self._recorded.run, "made while the events were off")
            )
            hits = state.counts["pool_hits"]
            said = self._allocator.apply(event)
        kind = "addresses" if event[0] == ev.ALLOC else "per-CPU areas"
        if self._replay.tally(kind).add(said == came):
            return
        self._replay.note(
            Difference(
                self._line,
                kind,
                "no address" if said is None else f"{said * self._size:#x}",
                f"{came * self._size:#x}",
                self._cause(came, event[6]),
            )
        )
        self._replay.resynchronised += 1
        if said is not None:
            self._undo(event, said, state.counts["pool_hits"] > hits)
        self._take(came, event[6])
        cpu = event[4]
        owner = cpu % state.machine.nodes if event[2] == 0 and state.machine.nodes > 1 else None
        self._allocator.adopt(event[5], Area(came, event[6], cpu, owner))

    def _taken(self, said: int, pages: int) -> MissingArea | None:
        for area in self._missing.values():
            if said < area.page + area.pages and area.page < said + pages:
                return area
        return None

    def _undo(self, event: tuple[int, ...], said: int, pooled: bool) -> None:
        """Take a prediction back: into its pool, or into the free space."""
        area = self._allocator.disown(event[5])
        if pooled:
            self._pools.add(event[4] % self._state.machine.nodes, area)
        else:
            self._state.space.release_over(said, event[6])

    def _take(self, page: int, pages: int) -> None:
        """Make a range taken, wherever the model has it."""
        for attempt in range(3):
            try:
                self._state.space.carve(page, pages)
                return
            except ValueError:
                pass
            for pool in self._state.pools.values():
                for area in pool:
                    if (area.start, area.pages) == (page, pages):
                        pool.remove(area)
                        return
            if attempt == 0:
                self._purger.purge(full=False)  # it had happened before its event was printed
            elif attempt == 1:
                for node in range(self._state.machine.nodes):
                    self._pools.decay(node, full=True)
        # It lies partly in areas that are live in the model: take what there is.
        self._state.space.release_over(page, pages)
        self._state.space.carve(page, pages)

    def _cause(self, came: int, pages: int) -> str:
        """Say what the difference probably comes from."""
        lazy = [area for areas in self._state.lazy.values() for area in areas]
        pooled = [area for areas in self._state.pools.values() for area in areas]
        if any(area.start < came + pages and came < area.end for area in lazy):
            return "a purge had begun on another CPU; its event is printed when it is over"
        if any((area.start, area.pages) == (came, pages) for area in pooled):
            return "another order of a node pool: a purge ran beside this allocation"
        if self._recorded.run.cpus > 1:
            return (
                "a purge or an allocation of another CPU came between; the text has no lock order"
            )
        if not self._informed:
            return "an area without an event (a per-CPU area?): give --vmallocinfo"
        return "an area without an event, or the trace does not begin with the boot"
