"""The pages about using the report: transcripts, the reference of the commands, how to cite."""

import json
import re
import subprocess
import sys
import tomllib
from html import unescape

import click
import pytest
from minibook import ROOT

from vmalloc_model import __version__
from vmalloc_model.cli import COMMANDS, cli
from vmalloc_model.report.citation import read_citation
from vmalloc_model.report.project import Project
from vmalloc_model.report.transcripts import bring_up_to_date

CONF = """\
import sys
sys.path.insert(0, {ext!r})
extensions = ["myst_parser", "report_pages.elsewhere", "report_pages.transcript",
              "report_pages.commands", "report_pages.citation"]
nitpicky = True
myst_enable_extensions = ["colon_fence"]
"""
INDEX = """\
# Pages

```{transcript}
# a comment
seq 5
printf '%s-' two \\
  words
```

## Cut

:::{transcript}
:lines: 2

seq 5
true
:::

## An error

```{transcript}
:status: 3
echo progress >&2; echo shown; echo "error: <why> in $PWD" >&2; exit 3
```

```{command-reference}
```

```{how-to-cite}
```

See {ref}`cmd-simulate` and {ref}`the first command <cmd-run>`.
"""


def build(root):
    """Build the pages as the project does; warnings are errors."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "-b", "html"]
    words = [str(root / "book"), str(root / "html")]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    (root / "book").mkdir()
    (root / "data").mkdir()
    (root / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    (root / "book" / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext")))
    (root / "book" / "index.md").write_text(INDEX)
    assert bring_up_to_date(Project(root, root / "data"), lambda line: None) == []
    assert build(root) == (0, "")
    return root


@pytest.fixture(scope="module")
def text(made):
    return (made / "html" / "index.html").read_text()


def boxes(text):
    """Text of each listing of a page."""
    found = re.findall(r'<div class="[^"]*\bhighlight-\w+[^"]*">.*?<pre>(.*?)</pre>', text, re.S)
    return [unescape(re.sub(r"<[^>]*>", "", one)).strip() for one in found]


def test_a_transcript_shows_commands_and_what_they_printed(text):
    assert boxes(text)[:8] == [
        "# a comment\nseq 5",
        "1\n2\n3\n4\n5",
        "printf '%s-' two \\\n  words",
        "two-words-",
        "seq 5",
        "1\n2\n[... 3 more lines]",
        "true",
        'echo progress >&2; echo shown; echo "error: <why> in $PWD" >&2; exit 3',
    ]
    assert boxes(text)[8] == "shown\nerror: <why> in ~/report"


def test_commands_that_were_not_run_stop_the_build(made, tmp_path):
    (tmp_path / "book").mkdir()
    for name in ("conf.py", "index.md"):
        page = (made / "book" / name).read_text().replace("seq 5", "seq 6")
        page = page.replace("```{command-reference}\n```", "")
        (tmp_path / "book" / name).write_text(page)
    (tmp_path / "CITATION.cff").write_bytes((ROOT / "CITATION.cff").read_bytes())
    (tmp_path / "_build").symlink_to(made / "_build")
    status, errors = build(tmp_path)
    assert status != 0
    assert "the commands were not run" in errors


def test_every_command_has_its_section_with_all_that_its_help_says(text):
    parent = click.Context(cli, info_name="vmalloc-model", **cli.context_settings)
    plain = " ".join(unescape(re.sub(r"<[^>]*>", "", text)).split())
    for name in COMMANDS:
        assert f'id="cmd-{name}"' in text
        command = cli.get_command(parent, name)
        context = click.Context(command, info_name=name, parent=parent)
        for names, meaning in filter(
            None, (p.get_help_record(context) for p in command.get_params(context))
        ):
            assert names in plain
            assert " ".join(meaning.replace("`", "").split()) in plain
        for part in command.help.replace("`", "").replace("\b", "").split("\n\n"):
            assert " ".join(part.split()) in plain


def test_how_to_cite_is_what_the_citation_file_says(text):
    citation = read_citation(ROOT / "CITATION.cff")
    assert f"<p>{citation['version']}</p>" in text
    entry = next(box for box in boxes(text) if box.startswith("@misc{"))
    assert f"{{Version {citation['version']}}}" in entry
    assert "VMAP\\_BUMP\\_CHUNK\\_SIZE = 64 MB" in entry


def test_the_citation_file_is_of_this_version():
    citation = read_citation(ROOT / "CITATION.cff")
    released = f"## {__version__} - {citation['date-released']}"
    assert citation["version"] == __version__
    assert released in (ROOT / "CHANGELOG.md").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["authors"] == citation["authors"]


def test_the_real_pages_have_their_output():
    shown = sum(
        len(block["commands"])
        for page in ("rerun", "cite")
        for block in json.loads((ROOT / "_build/transcripts" / f"{page}.json").read_text())[
            "blocks"
        ]
    )
    html = (ROOT / "_build" / "html" / "rerun.html").read_text()
    html += (ROOT / "_build" / "html" / "cite.html").read_text()
    assert shown == html.count('<div class="typed ')
