"""Chapter *Leaks and exhaustion*: which repair takes which loss away, and what is left."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.experiments.leaks_sequences import KEEPING
from vmalloc_model.studies.leaks_time import steady_table
from vmalloc_model.units import count_text, size_text

__all__ = ["repairs_table", "say_repairs", "say_summary", "shown_repairs"]

BASELINE: Final = "mainline"
REFERENCE: Final = "rfc12"
_KINDS: Final = {"drained": "drained chunks", "tail": "tails", "padding": "padding"}


def repairs_table(
    losses: pl.DataFrame, sequences: pl.DataFrame, installed: pl.DataFrame
) -> pl.DataFrame:
    """Put what each policy loses, and what it costs, into one row (``tab-leaks-repairs``).

    Parameters
    ----------
    losses : polars.DataFrame
        `vmalloc_model.studies.leaks.losses_table`.
    sequences, installed : polars.DataFrame
        `vmalloc_model.studies.leaks_exhaustion.sequences_table` and ``installed_table``.

    Returns
    -------
    polars.DataFrame
        ``policy``; ``loses`` (kinds of loss on the streams, joined by commas); the largest loss per
        million allocations, ``lost`` in bytes, and its ``stream``; ``given_back`` (share of the
        chunks of the random sequence that were released; null without chunks); ``rises`` (stream on
        which the mark rises steadily and fastest); ``emptied`` (sequences that empty the range
        although they free everything), ``kept`` (those that keep something and do); ``visits``
        (global lock visits per 1,000 requests, over all streams) and ``more`` (against 12/12, as a
        factor; null without it); ``verdict``.
    """
    steady = dict(steady_table(losses).select("policy", "stream").rows())
    visits = {policy: _visits(losses.filter(pl.col("policy") == policy)) for policy in steady}
    rows = []
    for policy in steady:
        found = losses.filter(pl.col("policy") == policy)
        worst = found.sort("lost", descending=True, maintain_order=True).row(0, named=True)
        random = installed.filter((pl.col("policy") == policy) & (pl.col("sequence") == "random"))
        chunks, back = random.select("refills", "released").row(0)
        ends = sequences.filter(
            (pl.col("policy") == policy) & pl.col("refill_failed").is_not_null()
        )["sequence"].to_list()
        row = {
            "policy": policy,
            "loses": ", ".join(
                words for name, words in _KINDS.items() if max(found[name].to_list()) > 0
            ),
            "lost": worst["lost"],
            "stream": worst["stream"] if worst["lost"] > 0 else "",
            "given_back": back / chunks if chunks else None,
            "rises": steady[policy],
            "emptied": ", ".join(name for name in ends if name not in KEEPING),
            "kept": ", ".join(name for name in ends if name in KEEPING),
            "visits": visits[policy],
            "more": visits[policy] / visits[REFERENCE] if visits.get(REFERENCE) else None,
        }
        rows.append({**row, "verdict": _verdict(row)})
    kinds = {"given_back": pl.Float64, "more": pl.Float64}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _visits(found: pl.DataFrame) -> float:
    requests = found["requests"].to_list()
    total = sum(rate * count for rate, count in zip(found["visits"], requests, strict=True))
    return float(total / sum(requests) / 1000)


def _verdict(row: dict[str, Any]) -> str:
    """Say what is left of the problem."""
    if not load_policies()[row["policy"]].overlay:
        return "no chunks, nothing to lose"
    if row["loses"] and row["emptied"]:
        return "loses, and is emptied"
    if row["loses"] or row["emptied"]:
        return "loses less; not closed"
    if row["kept"]:
        return "nothing is lost; a page that stays still holds its chunk"
    return "nothing is lost here"


def shown_repairs(table: pl.DataFrame) -> pl.DataFrame:
    """Print `repairs_table`."""
    rows = [
        (
            row["policy"],
            row["loses"] or "nothing",
            f"{size_text(row['lost'])}, {row['stream']}" if row["stream"] else "0",
            "-" if row["given_back"] is None else f"{100 * row['given_back']:.0f} %",
            row["rises"] or "level",
            row["emptied"] or "none",
            row["kept"] or "none",
            _rate(row["visits"]),
            row["verdict"],
        )
        for row in table.iter_rows(named=True)
    ]
    names = ["policy", "loses", "lost", "back", "rises", "emptied", "kept", "visits", "verdict"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _rate(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else count_text(value)


def say_repairs(table: pl.DataFrame) -> str:
    """Word the caption of ``tab-leaks-repairs``: which policies close the losses, at what cost."""
    text = [
        "What each policy loses for good on the streams, per million allocations at worst; chunks "
        "given back of those installed on sizes at random; the stream on which its mark keeps "
        "rising; the sequences that empty a range; visits to the global lock per 1,000 requests, "
        "all streams together."
    ]
    closed = _closed(table)
    if closed.height:
        words = []
        for row in closed.iter_rows(named=True):
            cost = f" at {row['more']:.2f} times the visits of 12/12" if row["more"] else ""
            words.append(f"{row['policy']}{cost}")
        text.append(
            f"Lose nothing and are not emptied by areas that are all freed: {'; '.join(words)}."
        )
    else:
        text.append("No overlay here loses nothing.")
    kept = table.filter(pl.col("kept") != "")["policy"].to_list()
    if kept:
        text.append(f"Areas that stay hold chunks, and can empty the range, under {_all(kept)}.")
    return " ".join(text)


def _closed(table: pl.DataFrame) -> pl.DataFrame:
    """Policies with chunks that lose nothing and that no sequence empties that frees all."""
    return table.filter(
        (pl.col("loses") == "") & (pl.col("emptied") == "") & pl.col("given_back").is_not_null()
    )


def _all(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def say_summary(table: pl.DataFrame) -> str:
    """Word the chapter's answer: what the last version loses, what closes it, what is left."""
    text = []
    last = table.filter(pl.col("policy") == REFERENCE)
    if last.height:
        row = last.row(0, named=True)
        text.append(
            f"After 12/12 up to {size_text(row['lost'])} of addresses are lost per million "
            f"allocations ({row['stream']})"
            if row["stream"]
            else "After 12/12 nothing is lost on these streams"
        )
        emptied = row["emptied"]
        text[-1] += (
            f", and sequences that free everything empty a range ({emptied})." if emptied else "."
        )
    closed = _closed(table)["policy"].to_list()
    text.append(
        f"Nothing is lost under {_all(closed)}." if closed else "No repair here closes all losses."
    )
    kept = table.filter((pl.col("kept") != "") & pl.col("policy").is_in(closed))
    if kept.height:
        text.append("What stays allocated still holds whole chunks there.")
    return " ".join(text)
