"""Chapter *Leaks and exhaustion*: two tests of the kernel, counted by hand and by the model."""

from __future__ import annotations

from typing import Final

import polars as pl

from vmalloc_model.experiments import leaks, play
from vmalloc_model.platforms import find_platform
from vmalloc_model.sweep import sweep
from vmalloc_model.units import count_text

__all__ = ["hand_table", "say_hand"]

_MILLION: Final = 1_000_000
_STANDING: Final = 15_000
_GUARD: Final = 1


def hand_table(platform: str, chunk_size: int, policy: str, loops: int = _MILLION) -> pl.DataFrame:
    """Count two tests by hand and by the model (``tab-leaks-hand``).

    Parameters
    ----------
    platform, policy : str
        Where and how the model counts.
    chunk_size : int
        Bytes.
    loops : int
        Of ``fix_size``; a tenth of it of ``long_busy_list``.

    Returns
    -------
    polars.DataFrame
        ``test``, ``loops``; ``hand_refills``, ``hand_lost``, ``refills``, ``lost``; all numbers.

    Notes
    -----
    One worker on one CPU. ``fix_size`` allocates one page and its guard page and frees them:
    chunks hold ``C / 2`` pages' worth, and all but the last are lost. ``long_busy_list`` first
    allocates the array of its pointers and 15,000 pages that stay, then 100 pages and one page in a
    loop: the chunks that hold what stays are not lost, and neither is the last. The model is
    stopped before the areas that stay are freed.
    """
    machine = find_platform(platform)
    chunk = chunk_size // machine.page_size
    bits = 8 * machine.pointer_size
    counted, points = [], []
    for test, number in (("fix_size", loops), ("long_busy_list", max(loops // 10, 1))):
        first: list[int] = []
        period = [1 + _GUARD]
        if test == "long_busy_list":
            array = -(-_STANDING * machine.pointer_size // machine.page_size)
            first = [array + _GUARD] + [1 + _GUARD] * _STANDING
            period = [100 + _GUARD, 1 + _GUARD]
        refills, held = _filled(chunk, first, period, number)
        counted.append((test, number, refills, refills - held))
        points.append(
            {
                "stream": test,
                "policy": policy,
                "platform": platform,
                "cpus": 1,
                "chunk_size": chunk_size,
                "events": len(first) + 2 * len(period) * number,
                "seed": 0,
                "parameters": {"loops": number, "bits": str(bits)},
            }
        )
    played = sweep(leaks.account, points, inputs=play.inputs, title="by hand")
    rows = [
        (*row, done["refills"], done["chunks_lost"])
        for row, done in zip(counted, played, strict=True)
    ]
    names = ["test", "loops", "hand_refills", "hand_lost", "refills", "lost"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _filled(chunk: int, first: list[int], period: list[int], loops: int) -> tuple[int, int]:
    """Fill chunks in order: how many there are, and how many of them are not lost at the end."""
    chunks, room = 0, 0
    for size in first:
        if size > room:
            chunks, room = chunks + 1, chunk
        room -= size
    held = chunks
    for _ in range(loops):
        for size in period:
            if size > room:
                chunks, room = chunks + 1, chunk
            room -= size
    return chunks, held + (chunks > held)


def say_hand(table: pl.DataFrame, policy: str) -> str:
    """Word the caption of ``tab-leaks-hand``: whether the two ways of counting agree."""
    equal = table.filter(
        (pl.col("hand_refills") == pl.col("refills")) & (pl.col("hand_lost") == pl.col("lost"))
    ).height
    agree = "agree in every row" if equal == table.height else "do not agree in every row"
    words = [
        f"{count_text(row['loops'])} loops of *{row['test']}* install {count_text(row['refills'])} "
        f"chunks and lose {count_text(row['lost'])}"
        for row in table.iter_rows(named=True)
    ]
    return (
        f"Two tests of the kernel's test module under {policy}, one worker on one CPU, filled into "
        f"chunks by a few lines of arithmetic and played by the model: they {agree}. "
        f"{'; '.join(words)}."
    )
