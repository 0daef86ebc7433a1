"""A small book with the real configuration, extension, scripts and styles, and made-up results."""

import shutil
import subprocess
import sys
from pathlib import Path

import altair as alt
import nbformat
import polars as pl
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from vmalloc_model.charts import theme
from vmalloc_model.report import figure, number, table

ROOT = Path(__file__).resolve().parents[2]

TOC = """\
format: jb-book
root: notebooks/first
parts:
  - caption: Chapters
    numbered: true
    chapters:
      - file: notebooks/second
      - file: prose
"""
PROSE = """\
# Prose

The first figure is {numref}`fig-line`, the table {numref}`tab-sizes`; {num}`second/chunks` chunks,
read in {cite}`paper`.

$$ n = \\frac{C}{s} $$ (eq-n)

See {eq}`eq-n` and [a heading](#a-heading).

## A heading

```{bibliography}
```
"""
BIB = """\
@misc{paper, author = {A. Author}, title = {A mail}, year = {2026}, url = {https://example.org/m}}
"""
POINTS = pl.DataFrame(
    {
        "size": [1, 2, 4, 8] * 2,
        "share": [0.1, 0.2, 0.4, 0.8, 0.05, 0.1, 0.2, 0.4],
        "kind": ["as stated"] * 4 + ["as checked"] * 4,
    }
)
SIZES = pl.DataFrame(
    {
        "caller": ["module *loader*", "`vmap` <block>", None],
        "size": [33_558_528, 8192, None],
        "share": [0.125, 1.5, None],
        "printed": ["1.56 %", "64 MiB", None],
        "a_long_text": ["words " * 40, "{num}`chunks` chunks", None],
    }
)


def line_chart():
    return (
        alt.Chart(POINTS)
        .mark_line(point=True)
        .encode(x="size:Q", y="share:Q", color="kind:N", strokeDash="kind:N")
    )


def slider_chart():
    cpus = alt.param("cpus", value=32, bind=alt.binding_range(min=1, max=64, step=1, name="CPUs"))
    bars = alt.Chart(alt.sequence(1, 5, as_="n")).transform_calculate(used="datum.n * cpus")
    bar = bars.mark_bar().encode(x="n:O", y=alt.Y("used:Q", scale=alt.Scale(domain=[0, 300])))
    text = bars.mark_text(dy=-8).encode(x="n:O", y="used:Q", text="used:Q")
    return (bar + text).add_params(cpus)


def wide_chart():
    plot = alt.Chart(POINTS).mark_point().encode(x="size:Q", y="share:Q", shape="kind:N")
    return plot.properties(width=400) | plot.properties(width=400)


def results(root, notebook, fill):
    """Run `fill` as the runner would run a notebook; return what its cells show."""
    out = root / "_build" / "notebooks" / notebook
    out.mkdir(parents=True, exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VMALLOC_REPORT_OUT", str(out))
        patch.setenv("VMALLOC_REPORT_NOTEBOOK", notebook)
        patch.setenv("VMALLOC_REPORT_PARAMETERS", '{"chunk_size": "64M", "cpu_counts": [8, 32]}')
        command = f"python -m vmalloc_model.report run {notebook} -p chunk_size 64M"
        patch.setenv("VMALLOC_REPORT_COMMAND", command)
        return fill()


def first():
    number("share", 1 / 3, "33.3 %")
    return [
        figure(
            "fig-line",
            line_chart(),
            POINTS,
            caption="The share doubles with the size; at most {num}`share`, $2^n$.",
            description='Two rising "lines", {num}`share` & <more>.',
        )
    ]


def second():
    number("chunks", 8192)
    theme.register()
    text = {"caption": "A finding.", "description": "Shapes."}
    return [
        table("tab-sizes", SIZES, caption="Sizes, in `bytes`.", headers={"size": "size (bytes)"}),
        figure("fig-slider", slider_chart(), POINTS, **text, label="MEASURED"),
        figure("fig-wide", wide_chart(), POINTS, **text),
    ]


def page(title, prose, shown):
    """The executed notebook of a page."""
    cells = [new_markdown_cell(f"# {title}\n\n{prose}")]
    for display in shown:
        bundle = display._repr_mimebundle_()
        output = new_output("execute_result", data=bundle, execution_count=1)
        cell = new_code_cell("show()", outputs=[output], execution_count=1)
        cell.metadata["tags"] = ["remove-input"]
        cells.append(cell)
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def write_page(root, name, prose, shown):
    target = root / "book" / "notebooks" / f"{name}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(page(name.title(), prose, shown), target)


def make(root):
    """Lay out the book's sources below `root`."""
    shutil.copy(ROOT / "_config.yml", root)
    for part in ("_ext", "_static"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "book" / part, root / "book" / part, ignore=ignore)
    for name, text in {"_toc.yml": TOC, "prose.md": PROSE, "references.bib": BIB}.items():
        (root / "book" / name).write_text(text)
    prose = "A share of {num}`share`; see {numref}`fig-slider` and {numref}`tab-sizes`."
    write_page(root, "first", prose, results(root, "first", first))
    write_page(root, "second", "Makes {num}`chunks`.", results(root, "second", second))


def build(root, *options):
    """Build it as the project does; warnings are errors."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", "book", "-W", "-n", "--keep-going", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
