"""The role ``{num}``: no number of the prose is typed by hand."""

from __future__ import annotations

from typing import Final

from docutils import nodes
from docutils.nodes import Node, system_message
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from report_pages.results import MissingResult, find_number

SHORT: Final = 16
"""Texts up to this length are not broken over two lines."""


class NumberRole(SphinxRole):
    """``{num}`id``` or ``{num}`notebook/id```; an unknown id is an error of the build."""

    def run(self) -> tuple[list[Node], list[system_message]]:
        """Put the number's text where the role stands."""
        try:
            text = find_number(self.env, self.text)
        except MissingResult as missing:
            message = self.inliner.reporter.error(str(missing), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        classes = ["report-number"] if len(text) <= SHORT else []
        # sentences may emphasise, like captions
        parsed, messages = self.inliner.parse(text, self.lineno, None, self.inliner.parent)
        return [nodes.inline(self.rawtext, "", *parsed, classes=classes)], messages


def setup(app: Sphinx) -> None:
    """Register the role."""
    app.add_role("num", NumberRole())
