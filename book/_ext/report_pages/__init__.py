"""Sphinx extension of the book: figures, tables and numbers from what the notebooks left behind.

======================  ==========================================================================
`report_pages.results`  reads the folders that a run of a notebook leaves
`report_pages.numbers`  the role ``{num}`` for the numbers of the prose
`report_pages.figures`  the directives ``{report-figure}`` and ``{report-table}``
`report_pages.html`     how these look on a page
`report_pages.assets`   the scripts the book serves itself: Vega and MathJax
======================  ==========================================================================
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from report_pages import assets, figures, numbers


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    assets.setup(app)
    numbers.setup(app)
    figures.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
