"""The directive ``{how-to-cite}``: what ``CITATION.cff`` says, as a list and as BibTeX."""

from __future__ import annotations

from docutils import nodes
from docutils.nodes import Node
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from report_pages.elsewhere import root_of
from vmalloc_model.report.citation import author_names, bibtex, read_citation

__all__ = ["HowToCite"]


class HowToCite(SphinxDirective):
    """Show title, authors, version, date and licences, then the BibTeX entry."""

    def run(self) -> list[Node]:
        """Make both from the file."""
        path = root_of(self.env.app) / "CITATION.cff"
        self.env.note_dependency(str(path))
        citation = read_citation(path)
        licences = citation["license"]
        rows = {
            "Title": citation["title"],
            "Authors": ", ".join(author_names(citation)),
            "Version": citation["version"],
            "Released": str(citation["date-released"]),
            "Licences": licences if isinstance(licences, str) else ", ".join(licences),
        }
        items = [
            nodes.definition_list_item(
                "", nodes.term("", name), nodes.definition("", nodes.paragraph("", text))
            )
            for name, text in rows.items()
        ]
        entry = bibtex(citation)
        shown = [
            nodes.definition_list("", *items),
            nodes.literal_block(entry, entry, language="bibtex"),
        ]
        for node in shown:
            self.set_source_info(node)
        return shown


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("how-to-cite", HowToCite)
