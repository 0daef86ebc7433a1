"""Where things are kept that can be made again: machine code and finished points of sweeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["cache_folder"]

_ROOT: Final = Path(__file__).resolve().parent.parent


def cache_folder(kind: str) -> Path:
    """Folder of one kind of cache; it may not exist yet.

    Below the folder that ``VMALLOC_MODEL_CACHE`` names; else below ``_build/cache/`` of a checkout
    that can be written; else below the user's cache folder.
    """
    chosen = os.environ.get("VMALLOC_MODEL_CACHE")
    if chosen:
        return Path(chosen) / kind
    if (_ROOT / "pyproject.toml").is_file() and os.access(_ROOT, os.W_OK):
        return _ROOT / "_build" / "cache" / kind
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "vmalloc-model" / kind
