"""The extension in real builds of a small book."""

import json
import re
import shutil

import minibook
import pytest

pytestmark = pytest.mark.notebooks


def read(root, page):
    return (root / "_build" / "html" / f"{page}.html").read_text()


@pytest.fixture
def copy(mini, tmp_path):
    """A copy of the small book's sources and results, to change."""
    root = tmp_path / "copy"
    shutil.copytree(mini, root, ignore=shutil.ignore_patterns("html", ".doctrees"))
    return root


def test_figures_and_tables_are_numbered_and_keep_their_anchors(mini):
    first, second = read(mini, "notebooks/first"), read(mini, "notebooks/second")
    assert re.search(r'<figure class="[^"]*report-figure[^"]*" id="fig-line"', first)
    assert '<span class="caption-number">Fig. 1 </span>' in first
    assert re.search(r'<table class="[^"]*report-table[^"]*" id="tab-sizes"', second)
    assert '<span class="caption-number">Table 1.1 </span>' in second
    assert '<span class="caption-number">Fig. 1.2 </span>' in second


@pytest.mark.parametrize(
    ("page", "target", "text"),
    [
        ("prose", "notebooks/first.html#fig-line", "Fig. 1"),
        ("prose", "notebooks/second.html#tab-sizes", "Table 1.1"),
        ("notebooks/first", "second.html#fig-slider", "Fig. 1.1"),
    ],
)
def test_other_pages_refer_to_them_by_number(mini, page, target, text):
    pattern = rf'<a class="reference internal" href="{target}">.*?{re.escape(text)}</span></a>'
    assert re.search(pattern, read(mini, page))


def test_numbers_of_the_own_and_of_other_notebooks(mini):
    assert 'A share of <span class="report-number">33.3 %</span>' in read(mini, "notebooks/first")
    assert '<span class="report-number">8,192</span> chunks' in read(mini, "prose")


def test_a_figure_carries_image_description_chart_and_notes(mini):
    page = read(mini, "notebooks/first")
    assert 'alt="Two rising &#34;lines&#34;, 33.3 % &amp; &lt;more&gt;."' in page
    spec = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    assert spec["encoding"]["x"]["field"] == "size"
    results = mini / "_build" / "notebooks" / "first" / "fig-line"
    for ending, name in {"csv": "data.csv", "svg": "chart.svg", "txt": "text.txt"}.items():
        link = f"_downloads/first/fig-line.{ending}"
        assert f'href="../{link}"' in page
        assert (mini / "_build" / "html" / link).read_bytes() == (results / name).read_bytes()
    meta = json.loads((results / "meta.json").read_text())
    for text in ("chunk_size = &#34;64M&#34;", meta["command"], meta["digest"], "MODEL"):
        assert text in page


def test_cells_of_a_table(mini):
    page = read(mini, "notebooks/second")
    body = re.search(r'id="tab-sizes">.*?<tbody>(.*?)</tbody>', page, re.DOTALL)[1]
    rows = [re.findall(r"<td([^>]*)><p>(.*?)</p></td>", row) for row in body.split("</tr>")[:-1]]
    texts = [[text for _, text in row] for row in rows]
    assert texts[0][:4] == ["module <em>loader</em>", "33,558,528", "0.125", "1.56 %"]
    assert texts[1][0].endswith(" &lt;block&gt;")
    assert re.sub("<[^>]*>", "", texts[1][4]) == "8,192 chunks"
    assert texts[2] == ["–"] * 5
    classes = ["" if not cell else re.search('class="(.*?)"', cell)[1] for cell, _ in rows[0]]
    assert classes == ["", "right", "right", "right", "longest"]
    assert "<p>size (bytes)</p>" in page
    assert "<p>a long text</p>" in page


def test_what_is_unknown_fails_the_build_and_is_named(copy):
    prose = copy / "book" / "prose.md"
    prose.write_text(
        prose.read_text()
        + "{num}`second/chunk` {num}`third/x` {num}`chunks`\n\n```{report-figure} fig-line\n```\n"
    )
    wrong = ["{report-figure} fig-lin", "{report-table} fig-line"]
    more = "{num}`shore`\n\n" + "\n\n".join(f"```{name}\n```" for name in wrong)
    minibook.write_page(copy, "first", more, [])
    built = minibook.build(copy)
    assert built.returncode != 0
    for place, message in [
        (r"prose\.md:\d+", "no number 'chunk' in the results of second; nearest: chunks"),
        (r"prose\.md:\d+", "no number 'x' in the results of third"),
        (r"prose\.md:\d+", "number 'chunks': a prose page writes notebook/id"),
        (r"prose\.md:\d+", "figure 'fig-line': only the page of a notebook can show one"),
        (r"first\.ipynb:\d+", "no number 'shore' in the results of first; nearest: share"),
        (r"first\.ipynb:\d+", "no figure 'fig-lin' in the results of first; nearest: fig-line"),
        (r"first\.ipynb:\d+", "'fig-line' of first is a figure, not a table"),
    ]:
        assert re.search(f"{place}: ERROR: .*{re.escape(message)}", built.stderr), built.stderr


def test_pages_follow_their_results(copy):
    assert minibook.build(copy).returncode == 0
    assert "updating environment: 0 added, 0 changed" in plain(minibook.build(copy).stdout)
    numbers = copy / "_build" / "notebooks" / "second" / "numbers.json"
    numbers.write_text(numbers.read_text().replace("8,192", "4,096"))
    built = plain(minibook.build(copy).stdout)
    assert "updating environment: 0 added, 2 changed, 0 removed" in built
    assert "4,096</span> chunks" in read(copy, "prose")
    assert "4,096" in read(copy, "notebooks/second")
    svg = copy / "_build" / "notebooks" / "first" / "fig-line" / "chart.svg"
    svg.write_text(svg.read_text() + "<!-- new -->\n")
    assert "0 added, 1 changed" in plain(minibook.build(copy).stdout)
    assert "new" in (copy / "_build" / "html" / "_downloads" / "first" / "fig-line.svg").read_text()


@pytest.mark.parametrize(
    ("builder", "page", "command"),
    [
        ("singlehtml", "notebooks/first.html", "python -m vmalloc_model.report run first"),
        ("latex", "report.tex", "vmalloc\\PYGZus{}model.report run first"),
    ],
)
def test_other_builders_show_at_least_the_plain_text(copy, builder, page, command):
    built = minibook.build(copy, "--builder", builder)
    assert built.returncode == 0, built.stderr
    text = (copy / "_build" / builder / page).read_text()
    assert "     8      0.4  as checked" in text
    assert command in text


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
