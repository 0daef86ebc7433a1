"""What pages of a small book say about chapters that are not in it.

A small book shows some chapters, with the results of one run. It sets ``report_root``, the
checkout, and ``report_results``, where the results of its notebooks lie. References to other
chapters become words, and their numbers are those that the whole report has committed, marked as
such.
"""

from __future__ import annotations

import csv
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import docname_join

__all__ = ["MARK", "committed_number", "root_of", "setup"]

MARK = " (report)"
"""Stands behind a number that is not of this run."""


def root_of(app: Sphinx) -> Path:
    """Return the checkout whose pages these are."""
    return Path(app.config.report_root or Path(app.srcdir).parent)


def committed_number(env: BuildEnvironment, notebook: str, id: str) -> str | None:
    """Return the committed text of a number; None where this book has its chapter, or none has."""
    path = root_of(env.app) / "data" / "results" / notebook / "numbers.csv"
    if not env.config.report_root or notebook in env.config.report_results or not path.is_file():
        return None
    env.note_dependency(str(path))
    with path.open(encoding="utf-8", newline="") as lines:
        return next((row["text"] for row in csv.DictReader(lines) if row["id"] == id), None)


def _missing(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Element
) -> nodes.Element | None:
    """Put words where a link leads to a chapter that only the whole report has."""
    if not app.config.report_root:
        return None
    text = None
    if node["reftype"] == "doc":
        text = _title(app, docname_join(node["refdoc"], node["reftarget"]))
    elif node["reftype"] == "numref":
        text = _place(app, node["reftarget"])
    if text is None:
        return None
    if node["refexplicit"] and node["reftype"] == "doc":
        text = shown.astext()
    return nodes.inline("", text, classes=["report-elsewhere"])


def _title(app: Sphinx, docname: str) -> str | None:
    root = root_of(app)
    source = root / f"{docname}.md" if docname.startswith("notebooks/") else None
    source = source or root / "book" / f"{docname}.md"
    if not source.is_file():
        return None
    lines = source.read_text(encoding="utf-8").splitlines()
    return next((line.removeprefix("# ") for line in lines if line.startswith("# ")), None)


def _place(app: Sphinx, id: str) -> str | None:
    """Name a figure or table by its id and the chapter that has it."""
    found = sorted((root_of(app) / "data" / "results").glob(f"*/{id}.csv"))
    title = _title(app, f"notebooks/{found[0].parent.name}") if found else None
    return f"{id} ({title}, in the whole report)" if title else None


def setup(app: Sphinx) -> None:
    """Register the two settings, and the words for missing links."""
    app.add_config_value("report_root", "", "env", [str])
    app.add_config_value("report_results", {}, "env", [dict])
    app.connect("missing-reference", _missing)
