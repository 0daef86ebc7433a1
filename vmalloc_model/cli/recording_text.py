"""What a recording is, as lines of text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from vmalloc_model.units import size_text

if TYPE_CHECKING:
    from vmalloc_model.traces.about import About

__all__ = ["bytes_bar", "recording_lines"]

_SHOWN = 12


def bytes_bar(title: str, file: Path) -> tqdm[Any]:
    """Make a progress bar for the bytes of a file; silent if standard error is no terminal."""
    size = file.stat().st_size if file.is_file() else None
    quiet = not sys.stderr.isatty()
    return tqdm(
        desc=title, total=size, unit="B", unit_scale=True, unit_divisor=1024, disable=quiet,
        leave=False,
    )  # fmt: skip


def recording_lines(about: About) -> Iterator[str]:
    """Say what a recording is, what its checks found, and what it can be used for."""
    from vmalloc_model.traces.uses import checks_of, uses_of

    yield f"{about.source}: {about.form}, {about.lines:,} lines, SHA-256 {about.sha256[:16]}..."
    what = "areas" if about.kind == "vmallocinfo" else "events"
    yield f"{what}: {_counts(about.events)}"
    if about.others:
        yield f"not used: {_counts(about.others)}"
    if about.kind == "vmallocinfo":
        yield "These areas lived at one time. They are no requests: no chapter takes them alone."
        yield "Give the copy with the trace of the same run: --vmallocinfo."
        return
    first, end = about.window
    yield (
        f"CPUs {about.cpus}, page size {size_text(about.page_size)}, "
        f"window {first:#x} to {end:#x}, kernel {about.kernel or 'not known'}"
    )
    if about.kind == "ftrace":
        names = list(about.phases[1 : _SHOWN + 1]) + ["..."] * (len(about.phases) > _SHOWN + 1)
        yield f"{about.seconds:,.1f} seconds; phases: {', '.join(names) or 'none'}"
        if about.failed:
            yield f"{about.failed:,} attempts found nothing"
    yield ""
    for check in checks_of(about):
        yield check.line()
    yield ""
    for use, failed in uses_of(about).items():
        yield f"{'no ' if failed else 'yes'}  {use}" + (f": {', '.join(failed)}" if failed else "")


def _counts(counts: Any) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
