import json
import re
import shlex

import pytest

from vmalloc_model import __version__
from vmalloc_model.citing.assumptions import load_assumptions
from vmalloc_model.citing.cite import result_snippet
from vmalloc_model.citing.claims import PARAMETERS, SHOWN, Evaluation, find_claim, read_overrides
from vmalloc_model.citing.forms import FORMS, together
from vmalloc_model.citing.results import Table, known_results
from vmalloc_model.citing.rows import ends
from vmalloc_model.citing.snippet import MESSAGE_ID, Snippet, quoted_width
from vmalloc_model.claims.claim import TOPICS, load_claims
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.datafiles import ROOT, data_path
from vmalloc_model.errors import FileError, InputError
from vmalloc_model.report.project import Project

LABELS = ("MODEL", "MEASURED", "SOURCE")


def ids():
    return [claim.id for claim in load_claims()] + list(known_results(Project.at()))


@pytest.mark.parametrize("id", ids())
def test_every_snippet_is_fit_for_a_mail(citer, id):
    snippet = citer.snippet(id)
    text = snippet.text()
    lines = text.splitlines()
    assert text.isascii()
    assert "\t" not in text
    assert all(line == line.rstrip() and len(line) <= 72 for line in lines)
    assert quoted_width(text, 2) <= 80
    assert lines[0].startswith(LABELS)
    assert lines[0].endswith(f"[{id}]")
    assert f"result:  {snippet.digest}" in text
    assert MESSAGE_ID in text
    assert f"vmalloc-model {__version__}" in text
    assert f"again:   vmalloc-model cite {id}" in text
    assert any(line.startswith("seed:") for line in lines)
    assert lines[-1] == f"page:    {snippet.page}"
    assert 1 <= sum(line.startswith("assumes: ") for line in lines) <= 3
    assert "{" not in " ".join(snippet.assumptions)
    assert len(lines) <= 50
    assert len(snippet.finding) > 20


@pytest.mark.parametrize("id", known_results(Project.at()))
def test_what_a_snippet_leaves_out_is_said(citer, id):
    """A table that claims to show both ends of each column holds them."""
    snippet = citer.snippet(id)
    text = snippet.text()
    said = re.search(r"\((\d+) of (\d+) rows", text)
    total = len(snippet.table.rows)
    assert (said is None) or int(said[2]) == total
    words = " ".join(text.split())
    if said is None:
        for row in snippet.table.rows:
            assert all(cell.split()[0] in words for cell in row[:1] if cell)
    else:
        assert "all: _downloads/" in words
        assert int(said[1]) < total
        complete = "the extremes of each column among them" in words
        columns = len(ends(snippet.table.rows))
        assert complete or columns > int(said[1]) or len(snippet.table.headers) > 4


def test_the_pages_and_anchors_are_those_of_the_book(citer):
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.md")}
    results = known_results(Project.at())
    for id in citer.ids:
        page, anchor = citer.snippet(id).page.split("#")
        assert page.removeprefix("notebooks/").removesuffix(".html") in notebooks
        assert results[anchor] == citer.snippet(id).notebook


def test_assumptions_are_of_what_there_is():
    tables, results = load_assumptions(), known_results(Project.at())
    assert set(tables) <= {"claim", "result", "topic", "notebook"}
    assert set(tables["topic"]) == set(TOPICS) == set(SHOWN)
    assert set(tables["notebook"]) == set(results.values())
    assert set(tables["result"]) <= set(results)
    assert set(tables.get("claim", {})) <= {claim.id for claim in load_claims()}
    assert {id for shown in SHOWN.values() for id in shown} <= set(results)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[figures]\na = ['b']", "unknown table: 'figures'"),
        ("[result]\na = []", "result.a: no assumptions"),
        ("[result]\na = ['b', 3]", "result.a: no assumptions; allowed: a list of texts"),
        ("[topic]\na = 'b'", "topic.a: no assumptions"),
    ],
)
def test_a_bad_file_of_assumptions_is_refused(tmp_path, monkeypatch, text, error):
    (tmp_path / "assumptions.toml").write_text(text)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    with pytest.raises(FileError, match=re.escape(error)):
        load_assumptions()


def test_a_placeholder_without_parameter_is_an_error(tmp_path, monkeypatch, citer):
    text = data_path("assumptions.toml").read_text().replace("{guard_pages}", "{gard_pages}")
    (tmp_path / "assumptions.toml").write_text(text)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    with pytest.raises(FileError, match="no such parameter: 'gard_pages'"):
        result_snippet(citer.project.runs / "coverage" / "tab-rules")


def test_findings_are_those_of_the_report(citer):
    """Watching what a check looks at does not change what it finds."""
    evaluation = Evaluation()
    for claim, finding in run_checks():
        found = evaluation.check(claim)
        assert found.finding == finding
        assert finding.verdict.upper() in citer.snippet(claim.id).finding


def test_labels_follow_from_what_a_check_looked_at():
    evaluation = Evaluation()
    label = {id: evaluation.check(find_claim(id)).label for id in LABEL}
    assert label == LABEL


LABEL = {
    "lines-107": "SOURCE",
    "lookup-lock-free": "SOURCE",
    "fewer-visits": "MEASURED",
    "refill-and-drain-only": "MEASURED",
    "allocations-at-4kb": "MODEL",
    "flush-before-reuse": "MODEL",
    "chunks-come-back": "MODEL",
    "little-skipped": "MODEL",
    "share-32-cpus": "MODEL",
    "sentinel": "MODEL and MEASURED",
    "all-on-fast-path": "MODEL on MEASURED requests",
}


def test_parameters_of_claims_reach_the_check_and_the_command():
    overrides = read_overrides([("guard_pages", "0"), ("page_size", "4K")])
    assert overrides == {"guard_pages": 0}
    snippet = Evaluation(overrides).snippet(find_claim("allocations-at-4kb"))
    text = snippet.text()
    assert "again:   vmalloc-model cite allocations-at-4kb -p guard_pages=0" in text
    assert "guard_pages=0" in text.split("model:")[1].split("seed:")[0]
    assert snippet.digest != Evaluation().snippet(find_claim("allocations-at-4kb")).digest
    with pytest.raises(InputError, match="claim lines-107: does not depend on: 'guard_pages'"):
        Evaluation(overrides).snippet(find_claim("lines-107"))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ([("gard_pages", "1")], "unknown parameter: 'gard_pages'; allowed: guard_pages, "),
        ([("seed", "1"), ("seed", "2")], "given twice"),
        ([("guard_pages", "x")], "not a whole number"),
        ([("policy", "rfc13")], "rfc13"),
    ],
)
def test_wrong_parameters_of_claims(given, error):
    with pytest.raises(InputError, match=re.escape(error)):
        read_overrides(given)


def test_the_parameters_of_claims_are_the_vocabularys():
    assert set(PARAMETERS) >= {"page_size", "guard_pages", "platform", "run", "policy", "seed"}


def a_snippet(**changes):
    given = {
        "id": "fig-x",
        "label": "MODEL",
        "notebook": "growth",
        "digest": "0" * 12,
        "finding": "One. Two costs 3.5 %. " + "Long " * 80 + "end.",
        "table": Table(("a", "b"), (("1", "2"),)),
        "assumptions": ("All is well.",),
        "parameters": {"cpus": 4, "seed": 7, "workloads": ["one", "two"] * 30},
    }
    return Snippet(**(given | changes))


def test_long_findings_lose_whole_sentences_and_say_so():
    assert a_snippet().shortened() == "One. Two costs 3.5 %. [1 more sentence]"
    assert a_snippet(finding="One. Two.").shortened() == "One. Two."


def test_only_parameters_of_interest_are_printed():
    assert a_snippet().values() == ["cpus=4"]
    assert "seed:    7\n" in a_snippet().text()
    assert "1 more as in `vmalloc-model params growth`" in " ".join(a_snippet().text().split())
    changed = a_snippet(overrides={"workloads": ["one", "two"] * 30})
    assert len(changed.values()) == 2


@pytest.mark.parametrize("value", [["x86_64-4level"] * 30, "data/my trace.gz", "y" * 200])
def test_a_shell_reads_the_broken_command_as_it_was(value):
    snippet = a_snippet(overrides={"cpus": 4, "runs": value, "seed": 7})
    text = snippet.text()
    assert max(map(len, text.splitlines())) <= 72
    printed = text.split("again:")[1].split("result:")[0].replace("\\\n", "")
    assert shlex.split(printed) == snippet.words()


def test_links():
    page = "notebooks/growth.html#fig-x"
    assert f"page:    {page}\n" in a_snippet().text()
    assert f"page:    https://x.org/{page}\n" in a_snippet().text("https://x.org/")
    far = "https://a.very.long.example.org/with/a/folder"
    assert f"page:    {page}\n         {far}/\n" in a_snippet().text(far)
    with pytest.raises(InputError, match="--base: too long"):
        a_snippet().text("https://" + "x" * 70)


def test_forms_are_well_formed(citer):
    snippets = [citer.snippet(id) for id in citer.ids]
    objects = json.loads(together(snippets, "json"))
    assert [one["id"] for one in objects] == citer.ids
    assert all(one["text"] == citer.snippet(one["id"]).text() for one in objects)
    entries = together(snippets, "bibtex")
    keys = re.findall(r"^@misc\{(\S+),$", entries, re.MULTILINE)
    assert keys == [f"vmalloc-chunk-{id}" for id in citer.ids]
    for entry in re.split(r"\n(?=@)", entries):
        assert entry.count("{") == entry.count("}")
        assert not re.search(r"(?<!\\)[%#&$]", entry)
    for id in ("tab-guard", "allocations-at-4kb"):
        shown = FORMS["markdown"](citer.snippet(id), "https://x.org")
        rows = [line for line in shown.splitlines() if line.startswith("| ")]
        assert len(rows) == len(citer.snippet(id).table.rows) + 2
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
        assert f"(https://x.org/{citer.snippet(id).page})" in shown


def test_the_file_with_all_begins_with_its_contents(citer):
    text = together([citer.snippet(id) for id in citer.ids], "text")
    contents = text.split("-" * 72)[0].split()
    assert [word for word in contents if word in citer.ids] == citer.ids
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 72


def test_the_same_ids_give_the_same_bytes(citer):
    folder = citer.project.runs / "coverage" / "tab-guard"
    assert result_snippet(folder).text() == result_snippet(folder).text()


def test_ids_are_unique_and_unknown_ones_are_named(citer):
    assert len(set(citer.ids)) == len(citer.ids)
    with pytest.raises(InputError) as caught:
        citer.snippet("fig-refils")
    assert str(caught.value).startswith(
        "id: no such claim, figure or table: 'fig-refils'; allowed: fig-refills, "
    )
