"""``modules``: modules of a distribution are loaded and unloaded.

Loading takes, on one CPU: a buffer for the file; an area for each section, in the modules' window;
purges, because the sections' protection changes; frees the buffer; one more purge, two where there
is read-only data after initialisation; and frees the sections that only initialisation needs, with
a purge for each. Unloading frees the other sections, again with a purge for each. First `live`
modules are loaded; then one of them at random is unloaded and any of all modules loaded, in turn.
Every load and unload is finished, and of the several that may run at once only one is modelled.

Source: Linux 6.12 kernel/module/main.c ``load_module``, ``free_mod_mem``; fs/kernel_read_file.c;
mm/execmem.c (``VM_FLUSH_RESET_PERMS``); order and number of the purges as in the recorded run
``smp1`` after its mark ``a_start``. Sizes: data/modules-debian-6.12.117-amd64.csv.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from vmalloc_model.callers import SECTIONS, load_modules
from vmalloc_model.datafiles import data_path
from vmalloc_model.events import ALLOC, EVENT, FREE, GUARD, PURGE, Stream
from vmalloc_model.units import pages_for
from vmalloc_model.workloads.base import Parameter, Setup, Steps, Workload, area_chain
from vmalloc_model.workloads.objects import Kinds, churn_stream, kinds_of

__all__ = ["ORDER", "WORKLOADS", "module_steps"]

ORDER: Final = 40
_SIZES: Final = "modules-debian-6.12.117-amd64.csv"
_WINDOW: Final = 1
_FREED_AFTER_INIT: Final = tuple(name.startswith("init_") for name in SECTIONS)
_LATE: Final = SECTIONS.index("ro_after_init")

Row = tuple[int, ...]
_PURGE: Final[Row] = (PURGE, 0, 0, 0, 0, 0, 0)


def _alloc(slot: int, pages: int, window: int = 0) -> Row:
    return ALLOC, GUARD, window, 0, 0, slot, pages


def _free(slot: int) -> Row:
    return FREE, 0, 0, 0, 0, slot, 0


def module_steps(
    file_bytes: int, sections: npt.NDArray[np.int64], page_size: int, protect: bool
) -> tuple[Steps, Steps]:
    """Take the steps of loading a module and of unloading it.

    Parameters
    ----------
    file_bytes : int
        Size of its file.
    sections : ndarray
        Pages of each of `vmalloc_model.callers.SECTIONS`, without guard; 0 where there is none.
    page_size : int
        Bytes.
    protect : bool
        Whether changes of protection purge.
    """
    present = [number for number, pages in enumerate(sections.tolist()) if pages]
    # The buffer and the arrays of its pages come after the slots of all possible sections.
    chain = area_chain(int(pages_for(file_bytes, page_size)), page_size)
    buffer = range(len(SECTIONS), len(SECTIONS) + len(chain))
    load = [_alloc(slot, pages) for slot, pages in zip(buffer, chain, strict=True)]
    load += [_alloc(one, int(sections[one]) + 1, _WINDOW) for one in present]
    load += [_PURGE] * (len(present) + 1) * protect
    load += [_free(slot) for slot in buffer]
    load += [_PURGE] * (2 if _LATE in present else 1) * protect
    unload: list[Row] = []
    for one in present:
        (load if _FREED_AFTER_INIT[one] else unload).extend([_free(one), _PURGE])
    return np.array(load, EVENT), np.array(unload, EVENT)


@cache
def _kinds(path: Path, page_size: int, protect: bool) -> Kinds:
    """Make one kind of object of each module in a table of their sizes."""
    modules = load_modules(path)
    columns = [f"{section}_bytes" for section in SECTIONS]
    sections = pages_for(modules.select(columns).to_numpy(), page_size)
    steps = [
        module_steps(size, pages, page_size, protect)
        for size, pages in zip(modules["file_bytes"].to_list(), sections, strict=True)
    ]
    return kinds_of([load for load, _ in steps], [unload for _, unload in steps])


def _make(setup: Setup) -> Stream:
    kinds = _kinds(data_path(_SIZES), setup.page_size, setup.text("protect") == "yes")
    draws = np.arange(len(kinds.bounds), dtype=np.int32)
    return churn_stream("modules", setup, kinds, draws, setup.whole("live"), setup.number("remote"))


WORKLOADS: Final = (
    Workload(
        name="modules",
        title="Modules of Debian are loaded and unloaded: file buffers and sections",
        parameters={
            "live": Parameter(
                default=100, meaning="modules that are loaded", least=1, most=100_000
            ),
            "remote": Parameter(
                default=0.5, meaning="probability of unloading on another CPU", least=0, most=1
            ),
            "protect": Parameter(
                default="yes",
                meaning="whether changes of protection purge, as on x86 and arm64",
                choices=("yes", "no"),
            ),
        },
        make=_make,
    ),
)
