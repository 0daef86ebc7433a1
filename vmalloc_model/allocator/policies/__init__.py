"""The policies, one file each; a file's ``RULES`` is all there is to one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from vmalloc_model.allocator.rules import Rules
from vmalloc_model.errors import InputError, nearest

__all__ = ["find_policy", "load_policies"]


@cache
def load_policies() -> dict[str, Rules]:
    """Load all policies, by name: mainline first, then the versions, then the repairs."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}")
        for found in pkgutil.iter_modules(__path__)
    ]
    rules: list[Rules] = [module.RULES for module in sorted(modules, key=lambda one: one.ORDER)]
    return {one.name: one for one in rules}


def find_policy(name: str, where: str = "$.policy") -> Rules:
    """Find a policy by its name.

    Raises
    ------
    InputError
        If there is none; all names are listed, the nearest first.
    """
    known = load_policies()
    if name not in known:
        raise InputError(
            where, "no such policy", value=name, allowed=", ".join(nearest(name, known))
        )
    return known[name]
