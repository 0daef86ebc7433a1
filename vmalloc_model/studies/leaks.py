"""Chapter *Leaks and exhaustion*: what each policy loses for good, per million allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from vmalloc_model.allocator.policies import load_policies
from vmalloc_model.experiments import leaks, play
from vmalloc_model.platforms import find_platform
from vmalloc_model.studies.leaks_memory import descriptor_bytes
from vmalloc_model.studies.wide import wide
from vmalloc_model.sweep import sweep
from vmalloc_model.units import KIB, count_text, cpus_text, pages_for, size_text
from vmalloc_model.workloads import WORKLOADS

__all__ = [
    "LOSSES",
    "PAIRS",
    "accounts",
    "losses_table",
    "rate_summary",
    "say_losses",
    "say_most",
    "say_rates",
    "say_sizes",
    "say_streams",
    "shown_losses",
    "title_of",
]

BASELINE: Final = "mainline"

PAIRS: Final = "xfs-pairs"
"""Name of a stream of pairs of the smallest buffer of XFS, in the form of ``fix_size``."""

XFS_LEAST: Final = 72 * KIB
XFS_MOST: Final = 1 << 20
"""Bytes of the smallest and of the largest buffer. Source: Uladzislau Rezki,
ZGzX3vRMlGHIcYCe@pc636: 73,728 to 1,048,576."""

LOSSES: Final = {
    "drained": "whole chunks without areas that nothing will look at again",
    "tail": "behind the pointers of chunks that were replaced",
    "padding": "skipped for alignment",
}
"""Loss for good -> meaning. Tail and padding are lost for good where areas do not belong to chunks;
elsewhere they are part of a chunk, and come back or are lost with it."""

_MILLION: Final = 1_000_000


def accounts(
    streams: Sequence[str],
    policies: Sequence[str],
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
) -> pl.DataFrame:
    """Play workloads, and the pairs of `PAIRS`, under policies.

    Returns
    -------
    polars.DataFrame
        ``stream``, ``policy``, and the columns of `vmalloc_model.experiments.leaks.account`.
    """
    page = find_platform(platform).page_size
    points = [
        _point(stream, policy, platform, cpus, chunk_size, events, seed, page)
        for stream in (*streams, PAIRS)
        for policy in policies
    ]
    found = sweep(leaks.account, points, inputs=play.inputs, title="leaks")
    names = [(stream, policy) for stream in (*streams, PAIRS) for policy in policies]
    return pl.DataFrame(
        [
            {"stream": stream, "policy": policy, **row}
            for (stream, policy), row in zip(names, found, strict=True)
        ]
    )


def _point(
    stream: str,
    policy: str,
    platform: str,
    cpus: int,
    chunk_size: int,
    events: int,
    seed: int,
    page: int,
) -> dict[str, Any]:
    point = {
        "stream": stream,
        "policy": policy,
        "platform": platform,
        "cpus": cpus,
        "chunk_size": chunk_size,
        "events": events,
        "seed": seed,
    }
    if stream == PAIRS:
        point["stream"] = "fix_size"
        point["parameters"] = {"nr_pages": int(pages_for(XFS_LEAST, page))}
    return point


def title_of(stream: str) -> str:
    """One line about a stream."""
    if stream == PAIRS:
        return f"Pairs as in fix_size, of {size_text(XFS_LEAST)}, the smallest buffer of XFS"
    return WORKLOADS[stream].title


def losses_table(found: pl.DataFrame, platform: str) -> pl.DataFrame:
    """Turn accounts into losses per million allocations (``fig-leaks-rate``, ``tab-leaks``).

    Returns
    -------
    polars.DataFrame
        ``stream``, ``recorded`` (false), ``policy``, ``requests``, ``failures``; per million
        requests: ``refills``, ``released``, ``chunks_lost``, and in bytes ``drained``, ``tail``,
        ``padding`` (of `LOSSES`), ``lost`` (their sum), ``page_tables``, ``descriptors`` (of chunks
        that are lost), ``visits`` (to the global lock, a number); ``held`` (bytes at the end that
        come back when areas are freed); ``growth`` and ``before``: bytes by which the high-water
        mark rises per request in the second and in the first half; ``tables_growth``: bytes of page
        tables per request in the second half. ``rise`` (of the mark, in the second half) and
        ``peak`` (most live bytes), in bytes.
    """
    machine = find_platform(platform)
    rows = []
    for row in found.iter_rows(named=True):
        rules = load_policies()[row["policy"]]
        page, requests = row["page_size"], max(row["requests"], 1)
        drained = row["stranded_drained"] if rules.resident else 0
        pages = {
            "drained": drained,
            "tail": 0 if rules.resident else row["stranded_tail"],
            "padding": 0 if rules.resident else row["stranded_padding"],
        }
        chunk = row["chunk_size"] // page
        lost = drained // chunk if chunk else 0
        each = descriptor_bytes(row["chunk_size"], machine) if rules.resident and chunk else 0
        late = max(row["requests"] - row["half_requests"], 1)
        per = _MILLION / requests
        rows.append(
            {
                "stream": row["stream"],
                "recorded": False,
                "policy": row["policy"],
                "requests": row["requests"],
                "failures": row["failures"],
                "refills": row["refills"] * per,
                "released": row["chunks_released"] * per,
                "chunks_lost": lost * per,
                **{name: page * number * per for name, number in pages.items()},
                "lost": page * sum(pages.values()) * per,
                "page_tables": page * row["page_tables"] * per,
                "descriptors": lost * each * per,
                "visits": row["lock_global"] * per,
                "held": page * (row["stranded_pinned"] + row["stranded_idle"]),
                "growth": page * (row["high_water"] - row["half_high_water"]) / late,
                "before": page * row["half_high_water"] / max(row["half_requests"], 1),
                "rise": page * (row["high_water"] - row["half_high_water"]),
                "peak": page * row["peak_pages"],
                "tables_growth": page * (row["page_tables"] - row["half_page_tables"]) / late,
            }
        )
    return pl.DataFrame(rows)


def say_streams(streams: Sequence[str], platform: str, cpus: int, events: int) -> str:
    """Word the list of streams."""
    lines = [f"*{stream}*, {_lower(title_of(stream))}" for stream in (*streams, PAIRS)]
    return (
        f"The streams, {count_text(events)} events each on {platform} with {cpus_text(cpus)}: "
        f"{'; '.join(lines)}."
    )


def say_sizes() -> str:
    """Word the sizes of XFS's buffers."""
    return f"{count_text(XFS_LEAST)} to {count_text(XFS_MOST)} bytes"


def _lower(text: str) -> str:
    """Begin in lower case, unless the first word is a name or an acronym."""
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def rate_summary(losses: pl.DataFrame) -> pl.DataFrame:
    """Loss per million allocations, one row for each policy."""
    return wide(losses, ["policy"], "stream", "lost", _loss_text)


def _loss_text(size: float) -> str:
    return size_text(size) if size else "0"


def say_rates(losses: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``fig-leaks-rate``: who loses nothing, and who loses most, by stream."""
    text = [
        f"Address space lost for good per million allocations, chunks of {size_text(chunk_size)}: "
        + "; ".join(f"*{name}*, {meaning}" for name, meaning in LOSSES.items())
        + "."
    ]
    for stream in losses["stream"].unique(maintain_order=True).to_list():
        rows = losses.filter(pl.col("stream") == stream)
        lossy = rows.filter(pl.col("lost") > 0)
        if not lossy.height:
            text.append(f"*{stream}*: nothing under any policy.")
            continue
        most = lossy.sort("lost", descending=True, maintain_order=True).row(0, named=True)
        same = lossy.filter(pl.col("lost") == most["lost"])["policy"].to_list()
        rest = rows.height - lossy.height
        text.append(
            f"*{stream}*: most under {_names(same)}, {size_text(most['lost'])}; "
            + (f"nothing under {count_text(rest)} of {rows.height}." if rest else "under all some.")
        )
    return " ".join(text)


def _names(policies: Sequence[str]) -> str:
    if len(policies) <= 3:
        return ", ".join(policies)
    return f"{', '.join(policies[:2])} and {len(policies) - 2} more"


def say_most(losses: pl.DataFrame) -> str:
    """Word the largest loss of all, and where the policy's rule makes it, why."""
    row = losses.sort("lost", descending=True, maintain_order=True).row(0, named=True)
    if not row["lost"]:
        return "Nothing is lost here."
    text = (
        f"The largest loss is that of {row['policy']} on *{row['stream']}*: "
        + (f"{count_text(row['chunks_lost'])} chunks, " if row["chunks_lost"] else "")
        + f"{size_text(row['lost'])} per million allocations"
    )
    if load_policies()[row["policy"]].refill_on == "null":
        text += "; there every request that is not eligible replaces the current chunk too"
    return f"{text}."


def shown_losses(losses: pl.DataFrame) -> pl.DataFrame:
    """Print `losses_table` for the page, without the policies that have no chunks there."""
    rows = [
        (
            row["stream"],
            row["policy"],
            _number(row["refills"]),
            _number(row["released"]),
            _number(row["chunks_lost"]),
            _loss_text(row["tail"]),
            _loss_text(row["padding"]),
            _loss_text(row["lost"]),
            _loss_text(row["page_tables"]),
            _loss_text(row["descriptors"]),
        )
        for row in losses.iter_rows(named=True)
        if row["refills"]
    ]
    names = ["stream", "policy", "refills", "released", "chunks_lost", "tail", "padding"]
    names += ["lost", "page_tables", "descriptors"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _number(value: float) -> str:
    return f"{value:.3g}" if 0 < value < 99.5 else count_text(value)


def say_losses(losses: pl.DataFrame, chunk_size: int, platform: str) -> str:
    """Word the caption of ``tab-leaks``: the largest part, page tables and descriptors."""
    machine = find_platform(platform)
    each = descriptor_bytes(chunk_size, machine)
    text = [
        "Per million allocations. Page tables are those of the lowest level that the stream has "
        "needed by its end, never freed; a stream that levels off needs them once, so its rate "
        f"falls with its length. A lost chunk keeps its descriptor, {size_text(each)} from kmalloc "
        "in 11/12 and 12/12; 10/12 has none, and a repair is counted as 12/12."
    ]
    chunks = losses.filter(pl.col("chunks_lost") > 0)
    if chunks.height:
        memory = (chunks["page_tables"] + chunks["descriptors"]).to_list()
        place = memory.index(max(memory))
        row = chunks.row(place, named=True)
        text.append(
            f"Most memory goes under {row['policy']} on *{row['stream']}*: "
            f"{size_text(row['page_tables'])} of page tables and {size_text(row['descriptors'])} "
            "of descriptors."
        )
    failed = losses.filter(pl.col("failures") > 0)
    if failed.height:
        text.append(
            "The range ran out, so rates are too low, under: "
            + "; ".join(
                f"{row['policy']} on *{row['stream']}*" for row in failed.iter_rows(named=True)
            )
            + "."
        )
    return " ".join(text)
