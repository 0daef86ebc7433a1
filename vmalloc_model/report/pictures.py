"""Charts as pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["png_of"]

_SCALE: Final = 2
"""Pixels per CSS pixel of the chart."""


def png_of(svg: Path) -> bytes:
    """Draw an SVG file as PNG."""
    import vl_convert

    return bytes(vl_convert.svg_to_png(svg.read_text(encoding="utf-8"), scale=_SCALE))
