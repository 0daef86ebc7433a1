"""Sphinx extension of the book: figures, tables and numbers from what the notebooks left behind.

=========================  =========================================================================
`report_pages.results`     reads the folders that a run of a notebook leaves
`report_pages.elsewhere`   what a small book says of chapters that it does not have
`report_pages.numbers`     the role ``{num}`` for the numbers of the prose
`report_pages.figures`     the directives ``{report-figure}`` and ``{report-table}``
`report_pages.pairs`       the directive ``{report-pair}``: a figure of two runs
`report_pages.html`        how these look on a page
`report_pages.plain`       a page as plain text
`report_pages.edition`     the plain-text edition: Sphinx's builder ``text``
`report_pages.transcript`  the directive ``{transcript}``: commands and what they printed
`report_pages.commands`    the directive ``{command-reference}``, from the commands themselves
`report_pages.citation`    the directive ``{how-to-cite}``, from ``CITATION.cff``
`report_pages.assets`      the scripts the book serves itself: Vega and MathJax
=========================  =========================================================================
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

from report_pages import (
    assets,
    citation,
    commands,
    edition,
    elsewhere,
    figures,
    numbers,
    pairs,
    transcript,
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything with Sphinx."""
    elsewhere.setup(app)
    assets.setup(app)
    numbers.setup(app)
    figures.setup(app)
    pairs.setup(app)
    edition.setup(app)
    transcript.setup(app)
    commands.setup(app)
    citation.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
