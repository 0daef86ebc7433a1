"""What the checks look at: the mail, the sourced facts, the two sets of premises, recorded runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import polars as pl

from vmalloc_model.callers import load_callers, load_modules, module_sections
from vmalloc_model.claims.patch import Patch, read_patch
from vmalloc_model.claims.recorded import (
    Mainline,
    Overlay,
    Stream,
    read_mainline,
    read_overlay,
    read_stream,
)
from vmalloc_model.datafiles import data_path, read_toml
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.experiments.play import inputs, play
from vmalloc_model.platforms import Platform, load_platforms
from vmalloc_model.premises import Premises, load_premises
from vmalloc_model.sweep import Result, sweep
from vmalloc_model.units import parse_size

__all__ = ["CHUNK", "Evidence"]

CHUNK: Final = "VMAP_BUMP_CHUNK_SIZE"
"""The constant under review."""


@dataclass(frozen=True)
class Evidence:
    """The evidence for one evaluation of all claims; each part is read when a check asks for it.

    Attributes
    ----------
    page_size : int
        Bytes; where a claim does not fix it itself.
    guard_pages : int
        Pages behind each area.
    platform : str
        The platform that stands for "x86_64" where the mail says so.
    run : str
        Recorded run of an unmodified kernel.
    overlay_run, mainline_run : str
        Operation logs of one workload, with the overlay of 10/12 and without.
    barely : float
        Visits to the global allocator per 1,000 allocations below which a saving is small.
    policy : str
        Version of the overlay whose behaviour over time is looked at.
    cpus, events, seed : int
        Of the synthetic streams that it is looked at with.
    bound : int
        Most states of a search for orders of steps.
    """

    page_size: int = 4096
    guard_pages: int = 1
    platform: str = "x86_64-4level"
    run: str = "smp1"
    overlay_run: str = "oplog-rfc10"
    mainline_run: str = "oplog-stock"
    barely: float = 1.0
    policy: str = "rfc12"
    cpus: int = 4
    events: int = 200_000
    seed: int = 1
    bound: int = 1_000_000

    @cached_property
    def patch(self) -> Patch:
        """The reviewed mail."""
        return read_patch()

    @cached_property
    def chunk_size(self) -> int:
        """Bytes of a chunk, as the diff defines them."""
        return self.patch.size_of(CHUNK)

    @cached_property
    def platforms(self) -> dict[str, Platform]:
        """All platforms by id."""
        return load_platforms()

    @cached_property
    def machine(self) -> Platform:
        """The platform that the mail's examples are checked on."""
        if self.platform not in self.platforms:
            raise InputError("$.platform", "unknown platform", value=self.platform)
        return self.platforms[self.platform]

    @cached_property
    def premises(self) -> dict[str, Premises]:
        """``as-stated`` and ``as-checked``."""
        return load_premises()

    @cached_property
    def callers(self) -> pl.DataFrame:
        """Who asks vmalloc for what."""
        return load_callers()

    @cached_property
    def modules(self) -> pl.DataFrame:
        """Sizes of a distribution's modules."""
        return load_modules()

    @cached_property
    def sections(self) -> pl.DataFrame:
        """Requests for the sections of these modules."""
        return module_sections(self.modules)

    @cached_property
    def stream(self) -> Stream:
        """Requests that an unmodified kernel made."""
        return read_stream(self.run)

    @cached_property
    def overlay(self) -> Overlay:
        """What the overlay did in a real kernel."""
        return read_overlay(self.overlay_run)

    @cached_property
    def mainline(self) -> Mainline:
        """What the same kernel did without it."""
        return read_mainline(self.mainline_run)

    def played(self, stream: str, policy: str = "", **changes: Any) -> Result:
        """Run a synthetic stream under `policy`, or under this evidence's.

        Returns
        -------
        dict
            What `vmalloc_model.experiments.play.play` tells.
        """
        point = {
            "stream": stream,
            "policy": policy or self.policy,
            "platform": self.platform,
            "chunk_size": self.chunk_size,
            "cpus": self.cpus,
            "events": self.events,
            "seed": self.seed,
        }
        return sweep(play, [point | changes], inputs=inputs)[0]

    def times(self) -> tuple[float, float] | None:
        """Nanoseconds of an allocation from the chunk and of an ordinary one, if measured."""
        table = self._facts.get("timing", {})
        if not {"bump_ns", "ordinary_ns", "source"} <= table.keys():
            return None
        return float(table["bump_ns"]), float(table["ordinary_ns"])

    def fact(self, table: str, key: str) -> Any:
        """Value of ``data/kernel-facts.toml``: read at the place that the table names.

        Raises
        ------
        FileError
            If there is no such fact, or its table names no source.
        """
        facts = self._facts.get(table, {})
        if key not in facts or not facts.get("source"):
            raise FileError(data_path(_FACTS), "no such fact with a source", value=f"{table}.{key}")
        return facts[key]

    def fact_size(self, table: str, key: str) -> int:
        """Return such a value in bytes."""
        return parse_size(self.fact(table, key), f"$.{table}.{key}")

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return read_toml(_FACTS)


_FACTS: Final = "kernel-facts.toml"
