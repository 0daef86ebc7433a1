"""The plain-text edition, for mail and terminals: Sphinx's builder ``text``, with own writing.

One file per page and ``report.txt`` with all of them, in the order of the book. Figures, tables and
sections have the numbers they have in the pages. Sphinx's own text writer is not used: it does not
number figures, and never ends on some narrow columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from docutils import nodes
from docutils.nodes import Element, document
from sphinx.application import Sphinx
from sphinx.builders.text import TextBuilder

from report_pages.plain import Page
from vmalloc_model import __version__
from vmalloc_model.report.plaintext import WIDTH, ascii_signs, wrapped

_HEAD: Final = f"""\
Version {__version__}. This is the plain-text edition: the same pages, with figures as their
tables. Running text has at most {WIDTH} columns; tables, listings and addresses are as wide as they
must be. The code of the notebooks is left out.

Figures, tables and sections have the numbers that they have in the pages. The id in square
brackets, such as [fig-modules], is the anchor there; the line below a chapter's title names the
page. Below each figure and table stand a digest of its data and the command that makes it again.
"""


class TextEdition(TextBuilder):
    """Writes the edition."""

    def write_doc(self, docname: str, doctree: document) -> None:
        """Write one page."""
        writer = Page(
            lambda section: self._section_number(docname, section),
            lambda shown: self._caption(docname, shown),
            lambda formula: self._equation(docname, formula),
        )
        title, rule, *body = writer.lines(doctree)
        place = f"[{docname}.html]"
        text = "\n".join([title, rule, place, *body]) + "\n"
        self._file(docname).write_text(text, encoding="ascii")

    def finish(self) -> None:
        """Write the file that holds everything."""
        files = [self._file(name) for name in dict.fromkeys(self._in_order(self.config.root_doc))]
        pages = [file.read_text(encoding="ascii") for file in files]
        titles = [page.partition("\n")[0] for page in pages]
        title = ascii_signs(self.config.html_title)
        head = [title, "=" * len(title), "", wrapped(_HEAD), "", "Contents", "--------", ""]
        head += [f"{one:<50}  {file.name}" for one, file in zip(titles, files, strict=True)]
        rule = "\n" + "#" * WIDTH + "\n\n"
        text = rule.join(["\n".join(head) + "\n", *pages])
        (Path(self.outdir) / "report.txt").write_text(text, encoding="ascii")

    def _in_order(self, docname: str) -> Iterator[str]:
        yield docname
        for child in self.env.toctree_includes.get(docname, ()):
            yield from self._in_order(child)

    def _file(self, docname: str) -> Path:
        return Path(self.outdir) / (docname.rpartition("/")[2] + self.out_suffix)

    def _section_number(self, docname: str, section: Element) -> str:
        numbers = self.env.toc_secnumbers.get(docname, {})
        outermost = isinstance(section.parent, nodes.document)
        own = numbers.get("" if outermost else f"#{section['ids'][0]}")
        return ".".join(map(str, own)) + ". " if own else ""

    def _caption(self, docname: str, shown: Element) -> str:
        kind = "figure" if isinstance(shown, nodes.figure) else "table"
        own = self._number(docname, kind, shown)
        id = (shown["names"] or shown["ids"] or [""])[0]
        return f"{self.config.numfig_format[kind] % own} [{id}]" if own else ""

    def _equation(self, docname: str, formula: Element) -> str:
        own = self._number(docname, "displaymath", formula)
        return f"({own})" if own else ""

    def _number(self, docname: str, kind: str, node: Element) -> str:
        known = self.env.toc_fignumbers.get(docname, {}).get(kind, {})
        own = next((known[id] for id in node["ids"] if id in known), ())
        return ".".join(map(str, own))


def setup(app: Sphinx) -> None:
    """Take the place of Sphinx's own builder."""
    app.add_builder(TextEdition, override=True)
