"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vmalloc_model.cli.completing import Offer
from vmalloc_model.cli.values import ASSIGNMENT

__all__ = ["parameters", "vmallocinfo"]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def parameters(words: str, offer: Offer) -> _Decorator:
    """Give a command ``-p NAME=VALUE`` as ``given``; `words` say of what, `offer` completes."""
    return click.option(
        "given",
        "-p",
        multiple=True,
        type=ASSIGNMENT,
        shell_complete=offer,
        metavar="NAME=VALUE",
        help=f"{words} May be repeated.",
    )


def vmallocinfo(words: str = "") -> _Decorator:
    """Give a command ``--vmallocinfo FILE`` as ``copies``; `words` say what for."""
    return click.option(
        "copies",
        "--vmallocinfo",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Copy of /proc/vmallocinfo from the same run{words}. May be repeated.",
    )
