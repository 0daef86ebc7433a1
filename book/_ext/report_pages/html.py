"""How charts and the notes below them look on a page.

The static image is in the page from the start; ``charts.js`` puts the live chart in its place. So
a page is complete without JavaScript, in print, and when a chart fails to start.
"""

from __future__ import annotations

import json
import posixpath
import shutil
from pathlib import Path
from typing import Any, Final

from docutils import nodes
from jinja2 import Environment, FileSystemLoader
from sphinx.writers.html5 import HTML5Translator

from report_pages.results import Result
from vmalloc_model.citing.cite import result_snippet

MEANING: Final = {
    "MODEL": "computed by the model; no kernel was run",
    "MEASURED": "read off the record of a real kernel",
    "SOURCE": "taken from the sources that are named",
    "MODEL on MEASURED requests": "the model, fed with the requests a real kernel recorded",
    "MODEL and MEASURED": "some rows computed, some read off a real kernel; each says which",
}
"""What the label of a figure or table says about its evidence."""

LINES: Final = 80
"""Lines of plain text a page shows; the file has them all."""

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)


def visit_chart(writer: HTML5Translator, node: nodes.Element) -> None:
    """Write the static image and, beside it, what the live chart is drawn from."""
    result: Result = node["result"]
    # Inside a script element only "</" could end it early.
    spec = json.dumps(result.spec(), separators=(",", ":")).replace("</", "<\\/")
    _write(writer, "chart.html", alt=node["alt"], spec=spec, links=_published(writer, result))
    raise nodes.SkipNode


def visit_notes(writer: HTML5Translator, node: nodes.Element) -> None:
    """Write downloads, plain text, provenance, and the snippet for a mail."""
    result: Result = node["result"]
    lines = result.text.splitlines()
    _write(
        writer,
        "notes.html",
        meta=result.meta,
        meaning=MEANING.get(result.meta["label"], ""),
        description=node["description"],
        parameters={name: json.dumps(value) for name, value in result.meta["parameters"].items()},
        text="\n".join(lines[:LINES]),
        omitted=max(len(lines) - LINES, 0),
        links=_published(writer, result),
        snippet=result_snippet(result.folder),
    )
    raise nodes.SkipNode


def _write(writer: HTML5Translator, template: str, **values: Any) -> None:
    writer.body.append(_templates.get_template(template).render(values))


def _published(writer: HTML5Translator, result: Result) -> dict[str, str]:
    """Copy the downloads under names that say what they are; return ending -> link."""
    builder = writer.builder
    links = {}
    for ending, source in result.downloads.items():
        name = posixpath.join(result.meta["notebook"], f"{result.id}.{ending}")
        target = Path(builder.outdir) / "_downloads" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        links[ending] = posixpath.join(builder.dlpath, name)
    return links
