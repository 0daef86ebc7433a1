"""Chapter *Eligibility coverage*: the mail's numbers, the guard page, chunks for caller sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from vmalloc_model.callers import load_callers
from vmalloc_model.constraints import largest_eligible, smallest_power_of_two_chunk
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import find_platform
from vmalloc_model.premises import Premises, load_premises
from vmalloc_model.requests import allocator_size
from vmalloc_model.studies.eligibility import module_window
from vmalloc_model.studies.modules import counted, module_sizes, modules_above
from vmalloc_model.studies.recorded import recorded
from vmalloc_model.studies.windows import where
from vmalloc_model.units import KIB, MIB, count_text, power_of_two_at_least, size_text

__all__ = [
    "guard_table",
    "say_guard",
    "say_smallest",
    "say_stated",
    "shown_guard",
    "shown_smallest",
    "smallest_table",
    "stated_table",
]


def guard_table(chunk_size: int, page_size: int, guard_pages: int) -> pl.DataFrame:
    """Eligibility of payloads around half a chunk, by guard page (``tab-guard``).

    Parameters
    ----------
    chunk_size, page_size : int
        Bytes.
    guard_pages : int
        Pages behind each area; none is computed as well.

    Returns
    -------
    polars.DataFrame
        One row per payload (a page less than half a chunk, half of it, a page more) and number of
        guard pages: ``payload``, ``guard_pages``, ``request``, ``eligible`` and ``smallest`` (power
        of two of which the request is at most half). Sizes in bytes.
    """
    half = chunk_size // 2
    rows = []
    for payload in (half - page_size, half, half + page_size):
        if payload < 1:
            continue
        for guard in sorted({0, guard_pages}):
            request = int(allocator_size(payload, page_size, guard))
            smallest = int(smallest_power_of_two_chunk(payload, page_size, guard))
            rows.append((payload, guard, request, request <= half, smallest))
    names = ["payload", "guard_pages", "request", "eligible", "smallest"]
    return pl.DataFrame(rows, schema=names, orient="row")


def shown_guard(table: pl.DataFrame, page_size: int) -> pl.DataFrame:
    """Print `guard_table` for readers; same rows."""
    guard = pl.when(pl.col("guard_pages") == 0).then(pl.lit("none"))
    return table.select(
        payload=_pages("payload", page_size),
        guard=guard.otherwise(pl.col("guard_pages").cast(pl.String)),
        request=_pages("request", page_size),
        eligible=_yes("eligible"),
        smallest=_size("smallest"),
    )


def _size(name: str) -> pl.Expr:
    return pl.col(name).map_elements(size_text, pl.String)


def _yes(name: str) -> pl.Expr:
    return pl.when(pl.col(name)).then(pl.lit("yes")).otherwise(pl.lit("no"))


def _pages(name: str, page_size: int) -> pl.Expr:
    """Bytes as whole pages, which show a difference of one."""
    pages = pl.col(name) // page_size
    return pages.map_elements(count_text, pl.String) + " pages"


def say_guard(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-guard``: what becomes of a payload of exactly half a chunk."""
    half = table.filter(pl.col("payload") == chunk_size // 2)
    bare = half.filter(pl.col("guard_pages") == 0).row(0, named=True)
    real = half.filter(pl.col("guard_pages") == pl.col("guard_pages").max()).row(0, named=True)
    text = (
        f"A payload of exactly {size_text(bare['payload'])} is eligible for a chunk of "
        f"{size_text(chunk_size)} if no guard page is counted"
    )
    if real["eligible"]:
        return f"{text}, as here."
    return (
        f"{text}. With it the request is above half a chunk, and the smallest power of two that "
        f"admits it is {size_text(real['smallest'])}."
    )


class _Set(NamedTuple):
    """Callers of ``data/callers.csv`` that a chunk is to serve."""

    ids: tuple[str, ...]
    what: str | None = None
    """None: as the only caller of the set is described there."""


_SETS: Final = (
    _Set(("stack-arm64", "bpf-jit-pack", "bpf-jit-pack-2-nodes"), "arm64 stacks and BPF JIT packs"),
    _Set(("drm-fbdev-4k",)),
    _Set(("dentry-hash",)),
    _Set(("zram-table",)),
    _Set(("ioremap-bar-16m",)),
    _Set(("kvm-rmap",)),
    _Set(("ioremap-bar-256m",)),
    _Set(("kvmalloc",)),
    _Set(("bpf-arena",)),
)


def smallest_table(
    runs: Sequence[str], chunk_size: int, page_size: int, guard_pages: int
) -> pl.DataFrame:
    """Smallest power of two that argument 1 gives for several caller sets (``tab-smallest-chunk``).

    Parameters
    ----------
    runs : sequence of str
        Recorded runs; the requests of each in the standard window are one set.
    chunk_size, page_size : int
        Bytes.
    guard_pages : int
        Pages behind each area, for requests that have a guard page.

    Returns
    -------
    polars.DataFrame
        ``callers``, ``window`` (where they ask for the standard window), ``payload``, ``align``,
        ``request`` and ``smallest`` (power of two) of the one that needs most, in bytes, and
        ``eligible`` (in a chunk of `chunk_size`). ``payload`` is null for recorded requests, which
        are known with their guard page only.
    """
    mail, sizes = load_premises()["as-stated"], module_sizes(page_size)
    modules, bpf = _given(mail.largest_request), _given(mail.bpf_jit_largest)
    rows = [
        _need("modules, as stated", "as stated", modules, 1, page_size, mail.guard_pages),
        _need("the same with guard page", "as stated", modules, 1, page_size, guard_pages),
        _need("BPF JIT, as stated, with guard page", "as stated", bpf, 1, page_size, guard_pages),
        *_recorded_needs(runs),
    ]
    for caller, text, measure in (
        ("module-section", "largest section of Debian's modules", "largest"),
        ("module-file", _FILE, "file"),
    ):
        payload = max(sizes[measure].to_list())
        rows.append(_need(text, where((caller,)), payload, 1, page_size, guard_pages))
    known = {row["id"]: row for row in load_callers().iter_rows(named=True)}
    for ids, what in _SETS:
        found = []
        for one in ids:
            guard = guard_pages * known[one]["guard"]
            payload, align = known[one]["payload"], known[one]["align"]
            name = what or known[one]["who"]
            found.append(_need(name, where(ids), payload, align, page_size, guard))
        rows.append(max(found, key=lambda row: (row["smallest"], row["request"])))
    return pl.DataFrame(rows, schema=_SMALLEST).with_columns(
        eligible=pl.col("smallest") <= chunk_size
    )


_SMALLEST: Final = {
    "callers": pl.String,
    "window": pl.String,
    "payload": pl.Int64,
    "align": pl.Int64,
    "request": pl.Int64,
    "smallest": pl.Int64,
}


def _need(
    callers: str, window: str, payload: int, align: int, page_size: int, guard_pages: int
) -> dict[str, Any]:
    return {
        "callers": callers,
        "window": window,
        "payload": payload,
        "align": align,
        "request": int(allocator_size(payload, page_size, guard_pages)),
        "smallest": int(smallest_power_of_two_chunk(payload, page_size, guard_pages, align)),
    }


def _recorded_needs(runs: Sequence[str]) -> list[dict[str, Any]]:
    """Chunks that the most demanding request of each run needs."""
    rows = []
    for name in runs:
        run, requests = recorded(name)
        asked = requests.filter("in_window")
        need = pl.max_horizontal("size", "align")
        if most := asked.sort(need, maintain_order=True).tail(1).rows(named=True):
            least = power_of_two_at_least(2 * max(most[0]["size"], most[0]["align"]))
            rows.append(
                {
                    "callers": f"recorded in {run.id}",
                    "window": find_platform(run.platform).arch if run.platform else "as recorded",
                    "payload": None,
                    "align": most[0]["align"],
                    "request": most[0]["size"],
                    "smallest": int(least),
                }
            )
    return rows


_FILE: Final = "largest .ko file of Debian"


def _given(value: int | None) -> int:
    """Return a premise that the mail states as a number."""
    if value is None:
        raise InputError("$.as-stated", "premise without a value in premises.toml")
    return value


def shown_smallest(table: pl.DataFrame) -> pl.DataFrame:
    """Print `smallest_table` for readers; same rows."""
    request = pl.when(pl.col("align") > pl.col("request")).then("align").otherwise("request")
    return table.select(
        "callers",
        "window",
        needs=request.map_elements(_exact, pl.String),
        smallest=_size("smallest"),
        eligible=_yes("eligible"),
    )


def _exact(size: int) -> str:
    """Print a size so that a guard page behind a round number shows."""
    rest = size % MIB
    if size > MIB and 0 < rest <= 256 * KIB:
        return f"{size_text(size - rest)} + {size_text(rest)}"
    return size_text(size)


def say_smallest(table: pl.DataFrame, chunk_size: int) -> str:
    """Word the caption of ``tab-smallest-chunk``."""
    stated, guarded = (table.row(i, named=True) for i in (0, 1))
    text = f"The premises as stated give {size_text(stated['smallest'])}"
    if guarded["smallest"] != stated["smallest"]:
        text += f"; with the guard page the same request needs {size_text(guarded['smallest'])}"
    files = table.filter(pl.col("callers") == _FILE)["smallest"].to_list()
    others = table.slice(3)
    low = others.sort("smallest", maintain_order=True).row(0, named=True)
    high = others.sort("smallest", descending=True, maintain_order=True).row(0, named=True)
    same = others.filter(pl.col("smallest") == chunk_size).height
    return (
        f"{text}. The largest .ko file, which is read into one buffer, needs "
        f"{size_text(files[0])}. The measured and sourced sets need from "
        f"{size_text(low['smallest'])} ({low['callers']}) to "
        f"{size_text(high['smallest'])} ({high['callers']}); {same} of {others.height} need "
        f"exactly {size_text(chunk_size)}."
    )


def stated_table(runs: Sequence[str]) -> pl.DataFrame:
    """Each number of argument 1, as stated and as checked (``tab-coverage-stated``).

    Parameters
    ----------
    runs : sequence of str
        Recorded runs to check against.

    Returns
    -------
    polars.DataFrame
        Text: ``quantity``, ``mail`` (as quoted), ``stated`` (computed from the mail's premises),
        ``checked`` (computed from sourced premises), ``moved_by`` and ``source``.
    """
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    modules, bpf = _given(mail.largest_request), _given(mail.bpf_jit_largest)
    guard = real.premises["guard_pages"].place
    module_data = real.premises["largest_request"].place
    sizes = module_sizes(real.page_size)
    files, sections = (max(sizes[name].to_list()) for name in ("file", "largest"))
    half_chunk = mail.chunk_size // 2
    above = modules_above(real.page_size, real.guard_pages, half_chunk)
    known = {row["id"]: row for row in load_callers().iter_rows(named=True)}
    pack = known["bpf-jit-pack-2-nodes"]
    named = module_window(runs)
    inside, requests = (sum(named[column].to_list()) for column in ("inside", "requests"))
    seen = f"; recorded: {count_text(inside)} of {count_text(requests)}" if requests else ""
    rows = [
        (
            "largest module request",
            "~32 MB",
            size_text(modules),
            f"section {size_text(sections)}, file {size_text(files)}",
            "sections are separate requests; only the file is read whole",
            module_data,
        ),
        (
            "module sections in the standard window",
            "standard-range callers",
            "yes" if mail.modules_in_window else "no",
            where(("module-section",)) + seen,
            "window: modules have their own on most architectures",
            real.premises["modules_in_window"].place,
        ),
        (
            f"smallest power of two for {size_text(modules)}",
            "64 MB",
            size_text(_smallest(mail, modules)),
            size_text(_smallest(real, modules)),
            "guard page",
            guard,
        ),
        (
            "the same for the largest file",
            "not given",
            "not given",
            size_text(_smallest(real, files)),
            "measured sizes",
            module_data,
        ),
        (
            f"largest payload eligible at {size_text(mail.chunk_size)}",
            "half a chunk",
            _exact(int(largest_eligible(mail.chunk_size, mail.page_size, mail.guard_pages))),
            f"{size_text(half_chunk)} less "
            + size_text(
                real.chunk_size // 2
                - int(largest_eligible(real.chunk_size, real.page_size, real.guard_pages))
            ),
            "guard page",
            guard,
        ),
        (
            "BPF JIT: smallest power of two",
            f"capped near {size_text(bpf).replace('MiB', 'MB')}",
            size_text(_smallest(mail, bpf)),
            f"{size_text(_smallest(real, pack['payload']))} for a pack on two nodes, "
            f"{where(('bpf-jit-pack',))} only; no cap",
            "guard page; packs grow with the nodes",
            real.premises["bpf_jit_largest"].place,
        ),
        (
            f"pushed to the slow path by a chunk of {size_text(half_chunk)}",
            "module loads",
            f"a module of {size_text(modules)}"
            if _smallest(mail, modules) > half_chunk
            else "none",
            f"{counted(above['largest'], 'section')} and {counted(above['file'], 'file')} of "
            f"{count_text(sizes.height)} modules",
            "measured sizes",
            module_data,
        ),
    ]
    names = ["quantity", "mail", "stated", "checked", "moved_by", "source"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _smallest(preset: Premises, payload: int) -> int:
    return int(smallest_power_of_two_chunk(payload, preset.page_size, preset.guard_pages))


def say_stated() -> str:
    """Word how far argument 1 carries: on its own premises, and with the guard page."""
    presets = load_premises()
    mail, real = presets["as-stated"], presets["as-checked"]
    modules = _given(mail.largest_request)
    stated, checked = _smallest(mail, modules), _smallest(real, modules)
    text = (
        f"On the mail's premises {size_text(stated)} is the smallest power of two that admits "
        f"{size_text(modules)}"
    )
    return text + (
        "." if checked == stated else f"; with the guard page it is {size_text(checked)}."
    )
