"""The directive ``{report-pair}``: a figure of two runs, side by side."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Final

from docutils import nodes
from docutils.nodes import Node
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_SIDES: Final = {"was": "before", "now": "now"}


class ReportPair(SphinxDirective):
    """Show two pictures, from files anywhere; narrow pages set one below the other."""

    option_spec: ClassVar = {
        "was": directives.unchanged_required,
        "now": directives.unchanged_required,
        "alt": directives.unchanged_required,
    }

    def run(self) -> list[Node]:
        """Make both; Sphinx copies the files to the pages."""
        pair = nodes.container(classes=["report-pair"])
        folder = Path(self.env.doc2path(self.env.docname)).parent
        for side, word in _SIDES.items():
            file = os.path.relpath(self.options[side], folder)
            alt = f"{self.options['alt']}, {word}"
            image = nodes.image(uri=file, alt=alt, classes=["report-static"])
            pair += nodes.container("", nodes.paragraph("", word), image)
        return [pair]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("report-pair", ReportPair)
