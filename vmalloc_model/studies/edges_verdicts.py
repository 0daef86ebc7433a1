"""Chapter *Edges*: its findings, a sentence each, for the summary."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.studies.edges_words import cases_text, span_text
from vmalloc_model.units import share_text, size_text

__all__ = ["full_verdict", "seen_verdict", "small_verdict", "stopped_verdict"]

_ONE_EACH: Final = 1000


def small_verdict(churn: pl.DataFrame, policy: str = "rfc12") -> str:
    """Tell what the overlay does to small ranges, from `edges_small.churn_table`."""
    rows = churn.filter(policy=policy, mappings=0)
    if not rows.height:
        return f"{policy} was not run on small ranges."
    rates = rows["searches_per_1000"].to_list()
    text = (
        f"On small ranges {policy} makes {min(rates):.3g} to {max(rates):,.0f} searches of the "
        "global free space per 1,000 requests, where mainline makes one a request"
    )
    text += (
        ": it gains while chunks can be had, and loses when not."
        if min(rates) < _ONE_EACH < max(rates)
        else "."
    )
    failed = churn.filter((pl.col("policy") == policy) & (pl.col("failures") > 0))
    if not failed.height:
        return text
    worst = max(row["failures"] / row["requests"] for row in failed.iter_rows(named=True))
    key = ("platform", "cpus", "policy")
    plain = failed.filter(mappings=0).unique(key, maintain_order=True)
    mapped = failed.filter(pl.col("mappings") > 0).unique(key, maintain_order=True)
    mapped = mapped.join(plain, on=key, how="anti", maintain_order="left")
    words = [cases_text(plain.to_dicts())] if plain.height else []
    if mapped.height:
        words.append(f"with device mappings in the range {cases_text(mapped.to_dicts())}")
    return f"{text} Allocations fail, up to {share_text(worst)}: {'; '.join(words)}."


def stopped_verdict(stopped: pl.DataFrame, policy: str = "rfc12") -> str:
    """Tell what CPUs that stopped keep, from `edges_stopped.stopped_table`."""
    last = stopped.filter(policy=policy)
    if not last.height:
        return f"{policy} was not run with CPUs that stop."
    row = last.row(-1, named=True)
    return (
        f"Nothing gives back the current chunk of a CPU that stops, no purge, no shrinker and no "
        f"failed allocation: under {policy} {row['stopped']} of them keep {size_text(row['kept'])}."
    )


def full_verdict(full: pl.DataFrame, policy: str = "rfc12", baseline: str = "mainline") -> str:
    """Tell how full ranges get, from `edges_full.full_table`."""
    words = [
        f"{span_text(full.filter(policy=name)['live_share'].to_list())} under {name}"
        for name in (baseline, policy)
        if full.filter(policy=name).height
    ]
    return f"When the first allocation fails, ranges are live to {', '.join(words)}."


def seen_verdict(seen: pl.DataFrame, policy: str = "rfc12") -> str:
    """Tell what is out of sight and what can be foretold, from `edges_seen.seen_table`."""
    rows = seen.filter(policy=policy)
    if not rows.height:
        return f"{policy} was not run for what others see."
    hidden = [hidden / max(live, 1) for hidden, live in rows.select("hidden", "live").iter_rows()]
    return (
        f"Under {policy} {span_text(hidden)} of the live areas are in no busy tree, and "
        f"{span_text(rows['following'].to_list())} of the allocations lie directly behind the one "
        "before on their CPU."
    )
