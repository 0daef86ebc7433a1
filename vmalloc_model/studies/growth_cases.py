"""Chapter *Growth*: every stream through every policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vmalloc_model.allocator.machine import Machine, machine_of
from vmalloc_model.events import ALLOC, FREE, MAP_RAM, PCPU, Stream
from vmalloc_model.platforms import find_platform
from vmalloc_model.replay.streams import recorded_stream
from vmalloc_model.runs import find_run
from vmalloc_model.simulate import Simulation, simulate
from vmalloc_model.workloads import make

__all__ = ["Case", "play"]

SAMPLES: Final = 64


@dataclass(frozen=True, eq=False)
class Case:
    """A stream under a policy.

    Attributes
    ----------
    stream : str
        Name of the workload or of the recorded run.
    recorded : bool
        Whether the requests were recorded.
    page_size, region_size : int
        Bytes; of what one page-table page maps.
    elsewhere : int
        Pages that live at the end outside the part of the standard window that fills from below.
    simulation : Simulation
        What came of it.
    """

    stream: str
    recorded: bool
    page_size: int
    region_size: int
    elsewhere: int
    simulation: Simulation

    @property
    def policy(self) -> str:
        """Name of the policy."""
        return self.simulation.policy.name


def play(
    run: str,
    workloads: Sequence[str],
    policies: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
    samples: int = SAMPLES,
) -> list[Case]:
    """Run the requests of a recorded run and of workloads through policies.

    Parameters
    ----------
    run : str
        A recorded run. It keeps the CPUs, pages and windows of its machine.
    workloads, policies : sequence of str
        Names.
    platform : str
        Id of the platform that the workloads run on.
    cpus : int
        CPUs of their machine.
    chunk_size : int
        Bytes.
    events, seed : int
        Of the workloads' streams.
    samples : int
        Rows of each series.

    Returns
    -------
    list of Case
        All policies of the recorded run, then those of each workload.

    Raises
    ------
    InputError
        If the chunk size is none of the platform's or of the run's machine.
    """
    recorded = find_run(run)
    own = machine_of(
        find_platform(recorded.platform or platform), recorded.cpus, chunk_size=chunk_size
    )
    machine = machine_of(find_platform(platform), cpus, chunk_size=chunk_size)
    todo: list[tuple[Stream, Machine, bool]] = [(recorded_stream(run), own, True)]
    todo += [
        (
            make(name, page_size=machine.page_size, cpus=cpus, events=events, seed=seed),
            machine,
            False,
        )
        for name in workloads
    ]
    cases = []
    for stream, used, real in todo:
        whole = _kept(stream)
        elsewhere = _elsewhere(whole)
        for policy in policies:
            # a recording says itself when the kernel purged
            done = simulate(whole, used, policy, samples=samples, auto_purge=not real)
            size = used.page_size
            region = size * (size // (8 if used.block_max_pages == 64 else 4))
            cases.append(Case(stream.name, real, size, region, elsewhere, done))
    return cases


def _kept(stream: Stream) -> Stream:
    """Keep a stream's blocks, so that it is made once for all policies."""
    blocks = list(stream.blocks())
    return Stream(
        name=stream.name,
        page_size=stream.page_size,
        cpus=stream.cpus,
        slots=stream.slots,
        blocks=lambda: iter(blocks),
        events=sum(map(len, blocks)),
        windows=stream.windows,
        parameters=stream.parameters,
    )


def _elsewhere(stream: Stream) -> int:
    """Pages left at the end in other windows, and of per-CPU areas at the top of the window."""
    pages = np.zeros(stream.slots, np.int64)
    for block in stream.blocks():
        known = block[np.isin(block["op"], (ALLOC, FREE, MAP_RAM, PCPU))]
        away = ((known["op"] == ALLOC) & (known["window"] > 0)) | (known["op"] == PCPU)
        # where a slot is there several times, the last one counts
        pages[known["slot"]] = np.where(away, known["pages"], 0)
    return int(pages.sum())
