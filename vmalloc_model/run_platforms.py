"""Whether a recorded run can be one of a platform: its pages, what the manifest says, its range."""

from __future__ import annotations

from vmalloc_model.errors import InputError
from vmalloc_model.platforms import Platform
from vmalloc_model.runs import Run, find_run
from vmalloc_model.units import size_text

__all__ = ["check_run", "same_range"]


def check_run(name: str, platform: Platform) -> Run:
    """Find a recorded run, and make sure that it is one of this platform.

    Raises
    ------
    InputError, FileError
        If there is none, it cannot be read, or it was recorded on another platform.
    """
    run = find_run(name, "$.run")
    if run.page_size != platform.page_size:
        raise InputError(
            "$.run",
            f"has pages of {size_text(run.page_size)}, and {platform.id} has others",
            value=name,
            allowed=f"runs with pages of {size_text(platform.page_size)}",
        )
    if run.platform not in (None, platform.id):
        raise InputError(
            "$.run",
            f"was recorded on {run.platform}",
            value=name,
            allowed=f"a run of {platform.id}, or --platform {run.platform}",
        )
    if platform.bound == "exact" and not same_range(run, platform):
        raise InputError(
            "$.run",
            f"its vmalloc range is not that of {platform.id}",
            value=name,
            allowed=f"a run with a range of {size_text(platform.size)}",
        )
    return run


def same_range(run: Run, platform: Platform) -> bool:
    """Tell whether the range of a run is as large as its platform's.

    Where the end is inclusive the run prints the last byte.
    """
    return abs(run.window[1] - run.window[0] - platform.size) <= 1
