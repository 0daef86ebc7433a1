"""Argument 3 as stated and as checked, and where the mail's two ranges may come from."""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from vmalloc_model.constraints import (
    backpointer_bytes,
    backpointer_share,
    cpus_at_share,
    reserved,
    reserved_share,
)
from vmalloc_model.datafiles import read_toml
from vmalloc_model.platforms import Platform, load_platforms
from vmalloc_model.premises import Premises, load_premises
from vmalloc_model.studies.address_measured import MeasuredChunks
from vmalloc_model.studies.platform_rows import chosen, listed, range_text
from vmalloc_model.units import cpus_text, parse_size, share_text, size_text

__all__ = [
    "StatedShare",
    "cost_as_stated",
    "ranges",
    "say_cost_as_stated",
    "say_origins",
    "say_ranges",
    "stated_share",
]


class _Elsewhere(NamedTuple):
    """A size that looks like one of the mail's ranges but is not a vmalloc range."""

    label: str
    words: str
    size: int
    source: str


_NEGLIGIBLE: Final = 0.001
"""Shares below a tenth of a percent are called negligible, as the mail does without a number."""

_OTHER_SIZES: Final = (
    _Elsewhere(
        "riscv Sv39 direct map",
        "the direct map of riscv with Sv39",
        1 << 37,
        "Documentation/arch/riscv/vm-layout.rst",
    ),
    _Elsewhere(
        "arm64 half, 48 bit",
        "either half of arm64's address space with 48 bits",
        1 << 48,
        "Documentation/arch/arm64/memory.rst",
    ),
    _Elsewhere(
        "arm64 half, 52 bit",
        "either half of arm64's address space with 52 bits",
        1 << 52,
        "Documentation/arch/arm64/memory.rst",
    ),
)


class StatedShare(NamedTuple):
    """The mail's share on x86_64, and how many CPUs it takes to reach it on the real range.

    Attributes
    ----------
    cpus, chunk_size : int
        Of the mail's example; bytes.
    stated : float
        Share of the range that the mail names.
    checked_range : int
        The sourced range in bytes.
    cpus_for_stated : int
        CPUs whose chunks take that share of it.
    """

    cpus: int
    chunk_size: int
    stated: float
    checked_range: int
    cpus_for_stated: int


def stated_share() -> StatedShare:
    """Set the mail's share against the sourced range of x86_64."""
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    share = _share(mail, mail.x86_64_range)
    cpus = int(cpus_at_share(share, real.chunk_size, real.x86_64_range))
    return StatedShare(mail.cpus, mail.chunk_size, share, real.x86_64_range, cpus)


def ranges() -> pl.DataFrame:
    """Every known vmalloc range beside the mail's two and other sizes they may have come from.

    Returns
    -------
    polars.DataFrame
        label, kind ("vmalloc range", "in the mail" or "something else"), size (bytes), size_text,
        source; smallest first within each kind.
    """
    stated = load_premises()["as-stated"]
    rows = [
        (one.id, "vmalloc range", one.size, range_text(one), one.source) for one in chosen(None)
    ]
    for label, field in (
        ("x86_64, in the mail", "x86_64_range"),
        ("arm64, in the mail", "arm64_52_range"),
    ):
        premise, size = stated.premises[field], getattr(stated, field)
        rows.append((label, "in the mail", size, size_text(size), premise.place))
    rows += [
        (one.label, "something else", one.size, size_text(one.size), one.source)
        for one in sorted(_other_sizes(), key=lambda one: one.size)
    ]
    return pl.DataFrame(rows, schema=["label", "kind", "size", "size_text", "source"], orient="row")


def say_ranges(table: pl.DataFrame) -> str:
    """Word how the mail's two ranges compare with the real ones."""
    real = table.filter(pl.col("kind") == "vmalloc range")
    mail = table.filter(pl.col("kind") == "in the mail")
    small, large = mail["size"].min(), mail["size"].max()
    assert isinstance(small, int)
    assert isinstance(large, int)
    parts = [_nearest(real, small), _nearest(real, large)]
    x86 = real.filter(pl.col("label").str.starts_with("x86_64"))
    times = [f"{size / small:,.6g}" for size in x86["size"]]
    if times:
        parts.append(f"The ranges of x86_64 are {listed(times)} times {size_text(small)}.")
    return " ".join(parts)


def _nearest(real: pl.DataFrame, size: int) -> str:
    """Where one size stands among the ranges; within 1 % counts as equal."""
    same = real.filter((pl.col("size") / size - 1).abs() <= 0.01)["label"].to_list()
    if same:
        return f"{size_text(size)} is the range of {listed(same)}."
    below, above = real.filter(pl.col("size") < size), real.filter(pl.col("size") > size)
    text = f"No platform has a range of {size_text(size)}"
    if below.is_empty() or above.is_empty():
        end, word = (
            (above.row(0, named=True), "smallest")
            if below.is_empty()
            else (below.row(-1, named=True), "largest")
        )
        return f"{text}: the {word} of all is {end['size_text']} ({end['label']})."
    low, high = below.row(-1, named=True), above.row(0, named=True)
    return (
        f"{text}: the nearest are {low['size_text']} ({low['label']}) and {high['size_text']} "
        f"({high['label']})."
    )


def _other_sizes() -> list[_Elsewhere]:
    guess = read_toml("kernel-facts.toml")["vmalloc_space"]
    size = parse_size(guess["guess_64bit"])
    return [_Elsewhere("VMALLOC_SPACE", "VMALLOC_SPACE", size, guess["source"]), *_OTHER_SIZES]


def say_origins() -> str:
    """Name the other sizes that equal a range of the mail, or that differ in the prefix only."""
    stated = load_premises()["as-stated"]
    parts = []
    for size in (stated.x86_64_range, stated.arm64_52_range):
        same = [one.words for one in _other_sizes() if one.size == size]
        slip = [one.words for one in _other_sizes() if one.size * 1024 == size]
        if same:
            parts.append(f"{size_text(size)} is also the size of {listed(same)}")
        elif slip:
            parts.append(
                f"{size_text(size)} is 1,024 times {size_text(size // 1024)}, the size of "
                f"{listed(slip)}"
            )
        else:
            parts.append(f"we know nothing else of {size_text(size)}")
    return "; ".join(parts) + "."


def cost_as_stated(measured: MeasuredChunks) -> pl.DataFrame:
    """Each number of argument 3 and of the metadata paragraph, three times.

    Parameters
    ----------
    measured : MeasuredChunks
        Shown in the last two rows, which alone are measured.

    Returns
    -------
    polars.DataFrame
        quantity; mail (as quoted); stated (computed from the mail's own premises); checked
        (computed from sourced ones); moved_by (the premise that makes the difference); source.
    """
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    arm64 = sorted(one.size for one in _arm64_52())
    range_moved = f"range: {size_text(mail.x86_64_range)} or {size_text(real.x86_64_range)}"
    once, twice = _share(mail, mail.x86_64_range), _share(mail, mail.x86_64_range, doubled=True)
    twice_rounded = 2 * round(100 * once, 1)
    doubled = _rounded(twice)
    if f"{twice_rounded:.1f}" != f"{100 * twice:.1f}":
        doubled += f" (twice the rounded share is {twice_rounded:.1f} %)"
    known = load_platforms().values()
    wide = sorted({one.page_size for one in known if one.pointer_size == 8})
    narrow = sorted({one.page_size for one in known if one.pointer_size == 4})
    arrays = [
        [size_text(int(backpointer_bytes(real.chunk_size, page, pointer))) for page in pages]
        for pointer, pages in ((8, wide), (4, narrow))
    ]
    parts = [
        [share_text(float(backpointer_share(page, pointer))) for page in pages]
        for pointer, pages in ((8, wide), (4, narrow))
    ]
    pages = f"with pages of {listed([size_text(page) for page in wide])}"
    one_each = measured.cpus * mail.chunk_size
    rows = [
        (
            f"reserved by {cpus_text(mail.cpus)}",
            "2 GB",
            size_text(int(reserved(mail.chunk_size, mail.cpus))),
            size_text(int(reserved(real.chunk_size, real.cpus))),
            "none",
            mail.premises["cpus"].place,
        ),
        (
            "share of the x86_64 range",
            "1.6 %",
            _rounded(once),
            share_text(_share(real, real.x86_64_range)),
            range_moved,
            _source(real, "x86_64_range"),
        ),
        (
            f"the same with {size_text(mail.doubled_chunk_size)} chunks",
            "3.2 %",
            doubled,
            share_text(_share(real, real.x86_64_range, doubled=True)),
            range_moved,
            _source(real, "x86_64_range"),
        ),
        (
            "share of the arm64 range, 52 bit",
            "negligible",
            f"1 in {round(1 / _share(mail, mail.arm64_52_range)):,}",
            " to ".join(share_text(_share(real, size)) for size in (arm64[-1], arm64[0])),
            f"range: {size_text(mail.arm64_52_range)} or {size_text(arm64[0])} to "
            f"{size_text(arm64[-1])}, by page size",
            _source(real, "arm64_52_range"),
        ),
        (
            "metadata per chunk",
            "128 KB",
            size_text(int(backpointer_bytes(mail.chunk_size, mail.page_size, mail.pointer_size))),
            f"{listed(arrays[0])} {pages}; on 32-bit {listed(arrays[1])}",
            "page size, pointer size",
            mail.premises["page_size"].place,
        ),
        (
            "metadata as a share of the chunk",
            "0.2 %",
            _rounded(float(backpointer_share(mail.page_size, mail.pointer_size))),
            f"{listed(parts[0])} {pages}; on 32-bit {listed(parts[1])}",
            "page size, pointer size",
            mail.premises["pointer_size"].place,
        ),
        (
            f"chunks that {cpus_text(measured.cpus)} reserve in all (MEASURED)",
            "Each CPU pins a chunk-sized reservation",
            f"{measured.cpus:,} ({size_text(one_each)})",
            f"{measured.chunks:,} ({size_text(measured.reserved)})",
            _moved(
                measured.chunks - measured.cpus,
                more="used-up chunks are replaced",
                less="CPUs without a chunk",
            ),
            f"recorded run {measured.run}",
        ),
        (
            "taken of these chunks at the end (MEASURED)",
            "Each CPU pins a chunk-sized reservation",
            size_text(one_each),
            size_text(measured.taken),
            _moved(
                measured.taken - one_each,
                more="what is left in used-up chunks",
                less="areas given back",
            ),
            f"recorded run {measured.run}",
        ),
    ]
    names = ["quantity", "mail", "stated", "checked", "moved_by", "source"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _moved(difference: int, more: str, less: str) -> str:
    return more if difference > 0 else less if difference else "none"


def _share(premises: Premises, size: int, doubled: bool = False) -> float:
    chunk = premises.doubled_chunk_size if doubled else premises.chunk_size
    return float(reserved_share(chunk, premises.cpus, size))


def _rounded(share: float) -> str:
    return f"{100 * share:.5g} %, rounded {100 * share:.1f} %"


def _source(premises: Premises, name: str) -> str:
    """Place of a premise, short where it is a row of the table of platforms."""
    premise = premises.premises[name]
    return f"data/platforms.csv: {premise.platform}" if premise.platform else premise.place


def _arm64_52() -> list[Platform]:
    return [one for one in load_platforms().values() if one.arch == "arm64" and one.va_bits == 52]


def say_cost_as_stated(measured: MeasuredChunks) -> str:
    """Word what the range changes on x86_64 and arm64, and what a recorded run reserved."""
    one_each = measured.cpus * load_premises()["as-stated"].chunk_size
    return (
        f"{_say_ranges_cost()} The last two rows are MEASURED: in {measured.run}, "
        f"{cpus_text(measured.cpus)} reserved {measured.chunks:,} "
        f"chunk{'' if measured.chunks == 1 else 's'}, {size_text(measured.reserved)}; "
        f"{size_text(measured.taken)} of it were still taken at the end. The argument counts "
        f"{size_text(one_each)}."
    )


def _say_ranges_cost() -> str:
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    stated, checked = _share(mail, mail.x86_64_range), _share(real, real.x86_64_range)
    if checked == stated:
        verdict = "The share on x86_64 is the one the mail gives."
    else:
        word, times = ("less", stated / checked) if checked < stated else ("more", checked / stated)
        verdict = (
            f"From the mail's premises the share is {100 * stated:.1f} %. On the range that x86_64 "
            f"has it is {share_text(checked)}, {times:,.6g} times {word}."
        )
    widest = max(_share(real, one.size) for one in _arm64_52())
    if widest >= _NEGLIGIBLE:
        return f"{verdict} On arm64 with 52-bit addresses it is up to {share_text(widest)}."
    exists = any(one.size == mail.arm64_52_range for one in _arm64_52())
    return (
        f"{verdict} On arm64 with 52-bit addresses the cost is negligible, as the mail says: at "
        f"most {share_text(widest)}"
        + ("." if exists else ", though no range there has the size that it names.")
    )
