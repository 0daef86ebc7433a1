"""``fitted``: a synthetic run with the statistics of a recorded one, of any length.

Kept are the joint distribution of sizes, alignments and windows; how long areas of each kind live,
counted in events; the CPUs' shares of the allocations; and how many frees are on another CPU than
the allocation. Lost is everything else: phases, and which areas come together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from vmalloc_model.errors import InputError
from vmalloc_model.events import ALLOC, FREE, GUARD, Stream
from vmalloc_model.runs import Run, find_run, read_requests
from vmalloc_model.workloads.base import Parameter, Setup, Words, Workload, binomial_bound, step
from vmalloc_model.workloads.lifetimes import frees_of, lifetimes_of, survival, windows_of
from vmalloc_model.workloads.objects import words_of
from vmalloc_model.workloads.random import odds
from vmalloc_model.workloads.wheel import play_wheel, wheel_state

__all__ = ["ORDER", "WORKLOADS", "Fit", "fit"]

ORDER: Final = 100
_OFTEN: Final = 50
"""A kind requested at least so often has lifetimes of its own; the others share theirs."""
_QUANTILES: Final = 1 << 12
_KIND: Final = ("pages", "order", "window", "guard")


@dataclass(frozen=True)
class Fit:
    """Statistics of a recorded run.

    Attributes
    ----------
    run : Run
        The recording.
    windows : tuple of (int, int)
        Address windows ``[start, end)`` in bytes; the first is the standard one.
    requests : polars.DataFrame
        One row per kind, the most frequent first: ``pages`` (guard page included), ``order``,
        ``window`` (index into `windows`), ``guard``, ``count``, ``share``, ``group`` (of
        `lifetimes`; 0 for all rare kinds together).
    lifetimes : polars.DataFrame
        Kaplan-Meier estimate per group: ``lifetime`` (events from allocation to free), ``risk``
        (areas that lived at least so long), ``deaths`` (freed just then), ``survival`` (share that
        lives longer). Areas that live when the recording ends count until then.
    cpus : polars.DataFrame
        ``cpu``, ``count`` and ``share`` of the allocations.
    frees : int
        Frees whose allocation was recorded.
    remote : float
        Share of them that was on another CPU.
    """

    run: Run
    windows: tuple[tuple[int, int], ...]
    requests: pl.DataFrame
    lifetimes: pl.DataFrame
    cpus: pl.DataFrame
    frees: int
    remote: float

    def describe(self) -> pl.DataFrame:
        """Sum it up: ``what`` and ``value``."""
        requests, count = self.requests, int(self.requests["count"].sum())
        weights = requests["count"]
        pages = np.repeat(requests["pages"].to_numpy(), weights.to_numpy())
        forever = self._quantiles()[self._groups()] == 0
        rows = {
            "allocations": count,
            "frees of recorded allocations": self.frees,
            "kinds": requests.height,
            "kinds with lifetimes of their own": int(requests["group"].n_unique() - 1),
            "windows": len(self.windows),
            "median pages": float(np.median(pages)),
            "99th percentile of pages": float(np.quantile(pages, 0.99)),
            "largest pages": int(pages.max()),
            "share aligned to more than a page": _share(requests, pl.col("order") > 0),
            "share in the standard window": _share(requests, pl.col("window") == 0),
            "share that is not freed": float(forever.mean()),
            "share of remote frees": self.remote,
        }
        return pl.DataFrame(
            {"what": list(rows), "value": [float(value) for value in rows.values()]}
        )

    def stream(self, events: int, seed: int, cpus: int | None = None) -> Stream:
        """Draw a synthetic run.

        At each event, an area whose time has come is freed, the one that waits longest first; if
        there is none, one is allocated, and its lifetime drawn.

        Parameters
        ----------
        events : int
            Exact length.
        seed : int
            The same arguments give the same stream.
        cpus : int, optional
            As recorded by default; for another number each CPU has the same share.
        """
        cpus = self.run.cpus if cpus is None else cpus
        values = {"run": self.run.key}
        return self._stream(Setup(self.run.page_size, cpus, events, seed, values))

    def _stream(self, setup: Setup) -> Stream:
        quantiles, groups = self._quantiles(), self._groups()
        kinds = np.repeat(np.arange(self.requests.height), self.requests["count"].to_numpy())
        births = words_of(
            np.concatenate(
                [
                    step(ALLOC, 0, pages, order=order, window=window, flags=GUARD * guard)
                    for pages, order, window, guard in self.requests.select(_KIND).iter_rows()
                ]
            )
        )
        shares = self.cpus["share"].cum_sum().to_numpy()
        if setup.cpus == self.cpus.height:
            places = np.searchsorted(shares, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
        else:
            places = np.arange(setup.cpus)
        places = np.minimum(places, setup.cpus - 1).astype(np.int32)
        longest = max(int(quantiles.max()), 1)
        forever = binomial_bound(setup.events, float((quantiles[groups] == 0).mean()))
        slots = min(longest + 1 + forever, setup.events)
        death = words_of(step(FREE))

        def start() -> Callable[[Words], int]:
            random = setup.random()
            state = wheel_state(slots, longest)
            away = odds(self.remote)

            def fill(out: Words) -> int:
                tables: list[Any] = [births, death, kinds, groups, quantiles, places]
                limits = [longest, forever, setup.cpus, away, setup.events]
                count: int = play_wheel(out, *[*tables, *state, random, *limits])
                return count

            return fill

        return setup.stream("fitted", slots, start, setup.events, windows=self.windows)

    def _groups(self) -> npt.NDArray[np.int64]:
        """Group of lifetimes of every recorded allocation, in the order of `requests`."""
        return np.repeat(self.requests["group"].to_numpy(), self.requests["count"].to_numpy())

    def _quantiles(self) -> npt.NDArray[np.int64]:
        """Lifetimes of each group, all equally frequent; 0: for ever."""
        table = np.zeros((int(self.requests["group"].to_numpy().max()) + 1, _QUANTILES), np.int64)
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        for curve in self.lifetimes.sort("lifetime").partition_by("group"):
            times = np.append(curve["lifetime"].to_numpy(), 0)
            dead = 1 - curve["survival"].to_numpy()
            table[curve["group"].to_numpy()[0]] = times[np.searchsorted(dead, middles)]
        return table


def _share(requests: pl.DataFrame, which: pl.Expr) -> float:
    return float(requests.filter(which)["share"].sum())


def fit(run: str | Path) -> Fit:
    """Take the statistics of a recorded run.

    Parameters
    ----------
    run : str or Path
        As for `vmalloc_model.runs.find_run`.

    Raises
    ------
    InputError, FileError
        If there is no such run, or it cannot be read.

    Notes
    -----
    That a request has a guard page is recorded in operation logs only (all that are not of
    ``vm_map_ram``); in ftrace text, those have none whose size is their alignment, as a block of
    ``vm_map_ram`` has. An area of one page never has one.
    """
    recording = find_run(run, "$.run")
    page = recording.page_size
    requests = read_requests(run)
    order = pl.col("align").clip(page) // page
    requests = requests.with_columns(
        pages=pl.col("size") // page,
        order=order.log(2).round().cast(pl.Int64),
        guard=(pl.col("size") > page)
        & pl.coalesce(
            ~pl.col("vm_map_ram"), (pl.col("size") != pl.col("align")) | (pl.col("align") <= page)
        ),
    )
    windows = windows_of(requests, recording)
    requests = requests.join(windows, on=["vstart", "vend"], maintain_order="left")
    areas = lifetimes_of(requests, frees_of(recording))
    kinds = (
        areas.group_by(_KIND)
        .agg(count=pl.len())
        .sort("count", *_KIND, descending=[True, False, False, False, False])
        .with_columns(share=pl.col("count") / areas.height)
        .with_row_index("row")
        .with_columns(group=pl.when(pl.col("count") >= _OFTEN).then(pl.col("row") + 1).otherwise(0))
        .with_columns(pl.col("group").cast(pl.Int64))
        .drop("row")
    )
    grouped = areas.join(kinds.select(*_KIND, "group"), on=_KIND, maintain_order="left")
    freed = areas.filter("freed")
    return Fit(
        run=recording,
        windows=tuple(
            (start, end // page * page) for start, end in windows.select("vstart", "vend").rows()
        ),
        requests=kinds,
        lifetimes=survival(grouped),
        cpus=pl.DataFrame({"cpu": np.arange(recording.cpus)})
        .join(
            areas.group_by("cpu").agg(count=pl.len()), on="cpu", how="left", maintain_order="left"
        )
        .with_columns(pl.col("count").fill_null(0).cast(pl.Int64))
        .with_columns(share=pl.col("count") / areas.height),
        frees=freed.height,
        remote=float((freed["cpu"] != freed["freed_on"]).mean() or 0),  # type: ignore[arg-type]
    )


def _make(setup: Setup) -> Stream:
    found = fit(setup.text("run"))
    if setup.page_size != found.run.page_size:
        raise InputError(
            "$.page_size",
            f"not that of the run {found.run.id}",
            value=setup.page_size,
            allowed=f"{found.run.page_size:,}",
        )
    return found._stream(setup)


WORKLOADS: Final = (
    Workload(
        name="fitted",
        title="Sizes, alignments, lifetimes and CPUs drawn as in a recorded run",
        parameters={
            "run": Parameter(default="smp2", meaning="id of a recorded run, or a trace's path")
        },
        make=_make,
    ),
)
