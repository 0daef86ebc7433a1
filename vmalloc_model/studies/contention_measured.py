"""Chapter *Contention*: published times, what the queue makes of them, and the costs used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from vmalloc_model.contention.calibration import Fit, cycle_times, fit, rise
from vmalloc_model.contention.demand import Costs, Demand, limits, pair_time
from vmalloc_model.contention.measured import Contention
from vmalloc_model.errors import InputError
from vmalloc_model.studies.wide import wide
from vmalloc_model.units import count_text, share_text

__all__ = [
    "BEFORE",
    "SERIES",
    "Fits",
    "costs_table",
    "fit_laws",
    "fit_summary",
    "fit_table",
    "published_table",
    "say_before",
    "say_costs",
    "say_fit",
    "say_published",
]

BEFORE: Final = Demand(visits=1.0, areas=2.0, node=2.0)
"""Before pools: a pair visits the one lock once and moves two areas, carved and merged back."""

SERIES: Final = {
    "measured": "MEASURED: global locks",
    "zones": "MEASURED: a zone for each CPU",
    "constant": "MODEL: constant cost, fitted",
    "handover": "MODEL: with hand-over, fitted",
    "used": "MODEL: the costs used here",
}
"""Series of ``fig-contention-fit`` -> how it is labelled."""


@dataclass(frozen=True, slots=True)
class Fits:
    """The two laws of a lock, fitted to times of the same jobs.

    Attributes
    ----------
    jobs : tuple of int
        Whose times were fitted.
    constant, handover : Fit
        A lock with a constant holding time, and one that takes longer while others wait.
    missed : dict of str to tuple
        Law -> root mean square and largest relative (logarithmic) error at the other jobs, and the
        job of the latter; without other jobs, zeros.
    """

    jobs: tuple[int, ...]
    constant: Fit
    handover: Fit
    missed: dict[str, tuple[float, float, int]]


def fit_laws(data: Contention, jobs: Sequence[int]) -> Fits:
    """Fit both laws to the published times of some job counts, and try them on the others.

    Raises
    ------
    InputError
        If a job count was not published, or there are fewer than three.
    """
    times = dict(zip(data.pairs.jobs, data.pairs.shared, strict=True))
    for place, job in enumerate(jobs):
        if job not in times:
            allowed = f"{min(times)}..{max(times)}"
            raise InputError(f"$.fit_jobs[{place}]", "not published", value=job, allowed=allowed)
    laws = {
        name: fit(jobs, [times[job] for job in jobs], handover=name == "handover")
        for name in ("constant", "handover")
    }
    others = [job for job in times if job not in jobs]
    missed = {}
    for name, law in laws.items():
        given = cycle_times(others, law.think, law.lock)
        errors = np.log(given / np.array([times[job] for job in others])) if others else np.zeros(1)
        worst = int(np.abs(errors).argmax())
        root = float(np.sqrt(np.mean(errors**2)))
        missed[name] = (root, float(errors[worst]), others[worst] if others else 0)
    return Fits(tuple(jobs), laws["constant"], laws["handover"], missed)


def fit_table(data: Contention, fits: Fits, costs: Costs) -> pl.DataFrame:
    """Measured and modelled times of a pair (``fig-contention-fit``).

    Returns
    -------
    polars.DataFrame
        ``series`` (of `SERIES`), ``jobs``, ``pair_us`` (as one job sees it), ``pairs_per_us`` (all
        jobs together), ``fitted`` (whether the point was fitted).
    """
    jobs = data.pairs.jobs
    times = {
        "measured": data.pairs.shared,
        "zones": data.pairs.zones,
        "constant": cycle_times(jobs, fits.constant.think, fits.constant.lock),
        "handover": cycle_times(jobs, fits.handover.think, fits.handover.lock),
        "used": [pair_time(job, BEFORE, costs) for job in jobs],
    }
    rows = [
        (name, job, time / 1000, 1000 * job / time, name == "measured" and job in fits.jobs)
        for name, values in times.items()
        for job, time in zip(jobs, map(float, values), strict=True)
    ]
    names = ["series", "jobs", "pair_us", "pairs_per_us", "fitted"]
    return pl.DataFrame(rows, schema=names, orient="row")


def fit_summary(table: pl.DataFrame) -> pl.DataFrame:
    """Print times of a pair in microseconds, for powers of two and the largest count."""
    jobs = table["jobs"].to_list()
    shown = [job for job in sorted(set(jobs)) if job & (job - 1) == 0 or job == max(jobs)]
    rows = table.filter(pl.col("jobs").is_in(shown))
    return wide(rows, ["jobs"], "series", "pair_us", lambda value: f"{value:.3g}")


def say_fit(data: Contention, fits: Fits) -> str:
    """Word the caption: what the fits miss, and why no such lock can do it."""
    pairs = data.pairs
    rates = np.array(pairs.jobs) / np.array(pairs.shared)
    low = int(rates[1:].argmin()) + 1
    growth = rise(pairs.jobs, pairs.shared)
    named = ", ".join(count_text(job) for job in fits.jobs[:-1]) + f" and {fits.jobs[-1]:,}"
    text = [
        f"Time of a pair and pairs of all jobs together, {pairs.machine}, kernel {pairs.kernel}. "
        f"Both laws are fitted to {named} jobs."
    ]
    for name, title in (("constant", "a constant holding time"), ("handover", "a hand-over")):
        law = fits.constant if name == "constant" else fits.handover
        root, worst, job = fits.missed[name]
        part = f"With {title} the fitted points are missed by a factor of {_factor(law.error)}"
        if job:
            part += (
                f" and the others by {_factor(root)}, typically; "
                f"at worst {_factor(worst)} too {'high' if worst > 0 else 'low'}, at "
                f"{count_text(job)} jobs"
            )
        outside = law.think / (law.think + law.lock.hold)
        text.append(part + f". It leaves {share_text(outside)} of a pair outside the lock.")
    if growth > 1.05:
        text.append(
            f"The reason is in the data: with {count_text(pairs.jobs[low])} jobs all of them "
            f"together do {_rate(rates[low])} pairs a second, with more jobs up to {growth:.1f} "
            "times as many. No lock whose cost stays the same or grows with waiters does that."
        )
    return " ".join(text)


def _factor(error: float) -> str:
    return f"{np.exp(abs(error)):.2f}"


def _rate(per_ns: float) -> str:
    return f"{1000 * per_ns:.2f} million"


def costs_table(data: Contention, costs: Costs) -> pl.DataFrame:
    """List the costs that the chapter computes with, beside what is published of them.

    Returns
    -------
    polars.DataFrame
        ``cost``, ``used``, ``known``; all text.
    """
    pairs = data.pairs
    serial = np.array(pairs.shared) / np.array(pairs.jobs)
    fast, slow = float(serial[1:].min()), float(serial[1:].max())
    ours = 1 / limits(BEFORE, costs)[0]
    rows = [
        (
            "pair_ns: a pair on one CPU alone",
            _ns(costs.pair),
            f"measured: {_ns(pairs.shared[0])} with one job",
        ),
        (
            "area_ns: the lock held for one area",
            _ns(costs.area),
            "not published; two areas of a pair are part of the pair, so at most "
            f"{_ns(pairs.shared[0] / 2)}",
        ),
        (
            "handover_ns: more while others wait",
            _ns(costs.handover),
            f"with two areas it makes {_ns(ours)} of lock per pair; measured, jobs over rate: "
            f"{_ns(fast)} to {_ns(slow)}, for all locks together",
        ),
    ]
    return pl.DataFrame(rows, schema=["cost", "used", "known"], orient="row")


def say_costs(data: Contention, costs: Costs) -> str:
    """Word the caption of the costs: which of them is an assumption, and what they give."""
    pairs = data.pairs
    alone = pair_time(1, BEFORE, costs)
    most = pairs.jobs[-1]
    ours, theirs = pair_time(most, BEFORE, costs), pairs.shared[-1]
    return (
        f"Costs of {pairs.machine}, kernel {pairs.kernel}, as far as they are known. A pair of the "
        f"model before pools takes {_ns(alone)} on one CPU (measured {_ns(pairs.shared[0])}) and "
        f"{_ns(ours)} with {count_text(most)} (measured {_ns(theirs)}); in between the model is "
        f"{_between(data, costs)}. That kernel had three global locks, and the cost of all is put "
        "on one here, so a visit is rather too dear than too cheap."
    )


def _between(data: Contention, costs: Costs) -> str:
    pairs = data.pairs
    ratios = [
        pair_time(job, BEFORE, costs) / time
        for job, time in zip(pairs.jobs, pairs.shared, strict=True)
    ]
    low, high = int(np.argmin(ratios)), int(np.argmax(ratios))
    text = f"as low as {ratios[low]:.2f} times what was measured ({pairs.jobs[low]} jobs)"
    if ratios[high] > 1.05:
        text += f" and as high as {ratios[high]:.2f} times ({pairs.jobs[high]} jobs)"
    return text


def _ns(value: float) -> str:
    return f"{count_text(value)} ns"


def say_before(data: Contention, costs: Costs) -> str:
    """Compare the share of time that the model waits with a published profile."""
    pools = data.pools
    waiting = 1 - costs.pair / pair_time(pools.threads, BEFORE, costs)
    before, after = pools.spinning
    gain = pools.wall[0] / pools.wall[1]
    return (
        f"With these costs and one global lock, {count_text(pools.threads)} CPUs spend "
        f"{share_text(waiting)} of their time waiting; a profile of {pools.threads} threads on a "
        f"kernel without pools shows {share_text(before)} in the slow path of spin locks, and "
        f"{share_text(after)} with pools and nodes, when the test took {gain:.1f} times less."
    )


def published_table(data: Contention) -> pl.DataFrame:
    """List published measurements; ``source`` is a citation, the rest plain text."""
    rows = [
        (f"{{cite}}`{row.key}`", row.what, row.measured, row.can, row.cannot)
        for row in data.published
    ]
    return pl.DataFrame(rows, schema=["source", "what", "measured", "can", "cannot"], orient="row")


def say_published(data: Contention) -> str:
    """Word the caption of the published measurements."""
    return (
        f"Published measurements of vmalloc under contention, {len(data.published)} sources. None "
        "isolates patch 10/12, and none compares chunk sizes."
    )
