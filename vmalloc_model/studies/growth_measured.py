"""Chapter *Growth*: an experiment on a real kernel, and the model given the same requests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import polars as pl

from vmalloc_model.allocator.machine import machine_of
from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError
from vmalloc_model.platforms import find_platform
from vmalloc_model.simulate import Simulation, simulate
from vmalloc_model.units import KIB, count_text, parse_size, size_text
from vmalloc_model.workloads import make

__all__ = ["Measured", "fitting", "load_measured", "measured_table", "repeated", "say_measured"]

_FILE: Final = "measured-growth.toml"
_GUARD: Final = 1
_KINDS: Final = {
    "source": str,
    "policy": str,
    "cpus": int,
    "platform": str,
    "chunk_size": str,
    "payload_text": str,
    "pairs_per_step": int,
    "pairs": int,
    "refills_per_step": int,
    "refills": int,
    "free_first_kib": int,
    "free_last_kib": int,
    "stock": str,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One buffer allocated and freed over and over on a real kernel.

    Attributes
    ----------
    source, policy, platform : str
        What ran, and the model's names for it.
    cpus, chunk_size : int
        Of the machine; bytes.
    payload_text, stock : str
        The buffer's size, and what mainline did, as noted.
    pairs_per_step, pairs : int
        Allocations, each followed by its free.
    refills_per_step, refills : int
        Of the overlay.
    free_first_kib, free_last_kib : int
        Free memory before and after, KiB.
    """

    source: str
    policy: str
    cpus: int
    platform: str
    chunk_size: int
    payload_text: str
    pairs_per_step: int
    pairs: int
    refills_per_step: int
    refills: int
    free_first_kib: int
    free_last_kib: int
    stock: str

    @property
    def memory(self) -> int:
        """Bytes of memory that were no longer free at the end."""
        return (self.free_first_kib - self.free_last_kib) * KIB


def load_measured() -> Measured:
    """Read the experiment from ``data/measured-growth.toml``.

    Raises
    ------
    FileError
        If the file lacks a key, has an unknown one, or a value of the wrong type.
    """
    entry = read_toml(_FILE)
    if entry.keys() != _KINDS.keys():
        allowed = ", ".join(_KINDS)
        raise FileError(data_path(_FILE), "wrong keys", value=[*entry], allowed=allowed)
    for key, kind in _KINDS.items():
        if type(entry[key]) is not kind:
            problem = f"wrong {key}"
            raise FileError(data_path(_FILE), problem, value=entry[key], allowed=kind.__name__)
    return Measured(**{**entry, "chunk_size": parse_size(entry["chunk_size"], _FILE)})


def fitting(measured: Measured) -> range:
    """Payloads in pages with which pairs of this number take exactly the measured refills.

    A chunk holds ``C // size`` areas, and each pair uses one up.
    """
    chunk = measured.chunk_size // find_platform(measured.platform).page_size
    sizes = [
        pages
        for pages in range(1, chunk // 2 + 1)
        if _refills(measured.pairs, chunk, pages) == measured.refills
    ]
    if not sizes:
        problem = "no size of the buffer gives so many refills"
        raise FileError(data_path(_FILE), problem, value=measured.refills)
    return range(sizes[0] - _GUARD, sizes[-1] - _GUARD + 1)


def _refills(pairs: int, chunk: int, pages: int) -> int:
    """Chunks that pairs use up; sizes in pages."""
    return -(-pairs // (chunk // pages))


@cache
def repeated(measured: Measured, policy: str) -> Simulation:
    """Give the model the experiment's requests; one row of the series for each step.

    The payload is the middle one of `fitting`.
    """
    platform = find_platform(measured.platform)
    payloads = fitting(measured)
    stream = make(
        "fix_size",
        page_size=platform.page_size,
        cpus=measured.cpus,
        events=2 * measured.pairs,
        seed=0,
        loops=measured.pairs,
        nr_pages=payloads[len(payloads) // 2],
    )
    machine = machine_of(platform, measured.cpus, chunk_size=measured.chunk_size)
    steps = measured.pairs // measured.pairs_per_step
    return simulate(stream, machine, policy, samples=steps)


def measured_table(measured: Measured) -> pl.DataFrame:
    """Compare the experiment with the model (``tab-growth-measured``).

    Returns
    -------
    polars.DataFrame
        ``quantity``; ``measured``; ``model``, with the measured policy; ``mainline``, the model
        without overlay. All text.
    """
    page = find_platform(measured.platform).page_size
    payloads = fitting(measured)
    model = repeated(measured, measured.policy)
    plain = repeated(measured, "mainline")
    reserved = measured.refills * measured.chunk_size
    pages = _span(payloads[0], payloads[-1])
    rows = [
        ("allocations, each freed at once", *[count_text(measured.pairs)] * 3),
        ("payload", measured.payload_text, f"{pages} pages fit", "the same"),
        (
            f"refills per {count_text(measured.pairs_per_step)} allocations",
            count_text(measured.refills_per_step),
            *(_per_step(one) for one in (model, plain)),
        ),
        (
            "refills",
            count_text(measured.refills),
            *(count_text(one.counters["refills"]) for one in (model, plain)),
        ),
        (
            "address space",
            size_text(reserved),
            *(size_text(one.measures["high_water"] * page) for one in (model, plain)),
        ),
        (
            "memory that is gone; in the model, page tables",
            size_text(measured.memory),
            *(size_text(one.measures["page_tables"] * page) for one in (model, plain)),
        ),
        (
            "the same per refill",
            size_text(measured.memory / measured.refills),
            size_text(model.measures["page_tables"] * page / max(model.counters["refills"], 1)),
            "-",
        ),
    ]
    names = ["quantity", "measured", "model", "mainline"]
    return pl.DataFrame(rows, schema=names, orient="row")


def say_measured(measured: Measured) -> str:
    """Word the caption: agreement, what the unknown size may be, what memory is left over."""
    page = find_platform(measured.platform).page_size
    model = repeated(measured, measured.policy)
    refills, tables = model.counters["refills"], model.measures["page_tables"] * page
    payloads = fitting(measured)
    exact = "as many as the kernel" if refills == measured.refills else "not what the kernel did"
    text = (
        f"Measured on a kernel with 10/12's overlay on {measured.cpus} CPU, and the model with "
        f"the same requests: {count_text(refills)} refills after {count_text(measured.pairs)} "
        f"allocations, {exact}. The exact size of the buffer was not noted, only "
        f'"{measured.payload_text}". Payloads of '
        f"{_span(payloads[0], payloads[-1])} pages "
        f"({_span(payloads[0] * page, payloads[-1] * page)} bytes) give exactly "
        "the measured number, so the size is fitted, and with it the exact agreement; "
        f"{_others(measured)}. "
    )
    per, measured_per = tables / max(refills, 1), measured.memory / measured.refills
    return text + (
        f"Page-table pages explain {size_text(per)} of the {size_text(measured_per)} of memory "
        "that each refill took, and nothing is fitted there. Without the overlay the kernel "
        f"{measured.stock}."
    )


def _others(measured: Measured) -> str:
    """Tell what the two plain readings of the noted size would give."""
    page = find_platform(measured.platform).page_size
    number = float(measured.payload_text.split()[0])
    words = []
    for unit, name in ((10**6, "decimal"), (1 << 20, "binary")):
        pages = -(-round(number * unit) // page) + _GUARD
        refills = _refills(measured.pairs, measured.chunk_size // page, pages)
        words.append(f"{count_text(refills)} if the megabytes are {name}")
    return "exactly that size would give " + " and ".join(words)


def _per_step(simulation: Simulation) -> str:
    """Refills of each step: the least and the most."""
    after = simulation.series["refills"].to_list()
    steps = [late - early for early, late in zip([0, *after[:-1]], after, strict=True)]
    return _span(min(steps), max(steps))


def _span(low: float, high: float) -> str:
    words = [count_text(low), count_text(high)]
    return words[0] if words[0] == words[1] else f"{words[0]} to {words[1]}"
