import csv
import io
import json
import re

import pytest

from vmalloc_model.citing.snippet import MESSAGE_ID
from vmalloc_model.claims.claim import BEYOND, VERDICTS, load_claims
from vmalloc_model.report import kept
from vmalloc_model.report.project import Project

ID = "allocations-at-4kb"


@pytest.fixture
def run(command_line):
    return command_line


def test_a_claim_is_cited(run):
    status, output, errors = run("cite", ID)
    assert (status, errors) == (0, "")
    assert output.splitlines()[0] == f"MODEL, no kernel was run [{ID}]"
    assert "CONTRADICTED" in output
    assert MESSAGE_ID in output


def test_a_figure_is_cited_with_the_parameters_that_were_given(run, monkeypatch):
    project, asked = Project.at(), []

    def results(_project, wanted, _say):
        asked.append(wanted)
        return {name: project.runs / name for name in wanted}

    monkeypatch.setattr(kept, "results", results)
    assert run("cite", "tab-guard", "-p", "chunk_size=32M", "-p", "guard_pages=1")[0] == 0
    assert asked == [{"coverage": {"chunk_size": "32M"}}]
    assert run("cite", "tab-guard")[0] == 0
    assert asked[1] == {"coverage": {}}


def test_forms_and_base(run, monkeypatch):
    told = json.loads(run("cite", ID, "--format", "json", "--base", "https://x.org")[1])
    assert told["page"] == "https://x.org/notebooks/summary.html#tab-claims"
    assert told["text"] == run("cite", ID, "--base", "https://x.org")[1]
    monkeypatch.setenv("VMALLOC_REPORT_URL", "https://y.org/")
    assert "page:    https://y.org/notebooks/" in run("cite", ID)[1]
    assert run("cite", ID, "--format", "bibtex")[1].startswith(f"@misc{{vmalloc-chunk-{ID},\n")
    assert run("cite", ID, "--format", "markdown")[1].startswith("**MODEL, ")


def test_what_was_written_verifies_and_a_changed_digit_does_not(run, tmp_path):
    out = tmp_path / "snippet.txt"
    assert run("cite", ID, "-p", "guard_pages=0", "-o", str(out)) == (0, "", "")
    status, output, errors = run("cite", "--verify", str(out))
    assert (status, output, errors) == (0, f"line 1, {ID}: holds\n", "")
    out.write_text(out.read_text().replace("16,384", "16,385", 1))
    status, output, _ = run("cite", "--verify", str(out))
    assert status == 1
    assert f"line 1, {ID}: changed\n" in output
    assert "16,385 is now 16,384" in output


def test_verify_reads_standard_input(run, monkeypatch):
    text = run("cite", ID)[1]
    mail = "".join(f"> > {line}\n" for line in text.splitlines())
    stream = io.TextIOWrapper(io.BytesIO(mail.encode() + b"\xff\xfe"))
    monkeypatch.setattr("sys.stdin", stream)
    assert run("cite", "--verify", "-") == (0, f"line 1, {ID}: holds\n", "")


def test_quotation_is_checked(run):
    assert run("cite", ID, "--quote", "2") == run("cite", ID)
    status, output, errors = run("cite", ID, "--quote", "9")
    assert (status, output) == (1, "")
    assert re.fullmatch(r"error: quoted 9 times it takes \d+ columns, not 80\n", errors)


REFUSED = {
    f"cite {ID}s": f"id: no such claim, figure or table: '{ID}s'; allowed: {ID}, ",
    "cite fig-refils": "id: no such claim, figure or table: 'fig-refils'; allowed: fig-refills, ",
    "cite": "cite: wants one of; allowed: ID, --all, --list, --verify FILE",
    f"cite {ID} --all": "cite: wants one of; allowed: ID, --all, --list, --verify FILE",
    "cite --all -p seed=1": "-p: wants one result; allowed: together with ID",
    f"cite {ID} -p guard": "-p: not an assignment: 'guard'; allowed: NAME=VALUE",
    f"cite {ID} -p gard_pages=1": "the claims: unknown parameter: 'gard_pages'; allowed: guard_",
    f"cite {ID} -p policy=rfc11": f"claim {ID}: does not depend on: 'policy'; allowed: page_size",
    "cite tab-guard -p cpus=3": "notebook coverage: unknown parameter: 'cpus'; allowed: ",
    "cite tab-guard -p chunk_size=x": "$.chunk_size: not a size",
    f"cite {ID} --base http://{'x' * 80}": "--base: too long",
    f"cite {ID} --format pdf": "Invalid value for '--format': 'pdf' is not one of 'text', ",
    f"cite {ID} -o {{0}}/no/out": "{0}/no/out: its folder does not exist",
    f"cite {ID} -o {{0}}": "{0}: is a folder; allowed: the name of a file",
    "cite --verify {0}/none": "{0}/none: cannot be read (No such file or directory)",
    "cite --verify {0}": "{0}: cannot be read (Is a directory)",
    "claims allocation": "claim: no such claim: 'allocation'; allowed: allocations-at-",
    "claims --verdict wrong": "--verdict: no such verdict: 'wrong'; allowed: ",
    "claims --topic costs": "--topic: no such topic: 'costs'; allowed: cost, ",
    f"claims {ID} --topic cost": "claims: wants a claim, or a choice of them; allowed: one of the",
}


@pytest.mark.parametrize("words", REFUSED)
def test_wrong_input_is_one_line_and_nothing_is_written(run, tmp_path, words):
    status, output, errors = run(*words.format(tmp_path).split())
    assert (status, output) == (2, "")
    assert errors.startswith("error: " + REFUSED[words].format(tmp_path))
    assert errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_mail_without_a_snippet(run, tmp_path):
    mail = tmp_path / "mail"
    mail.write_text("Hello, MODEL\n")
    status, output, errors = run("cite", "--verify", str(mail))
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: {mail}: holds no snippet; allowed: ")


def test_claims_are_listed(run):
    status, output, errors = run("claims")
    assert (status, errors) == (0, "")
    claims = load_claims()
    lines = output.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [claim.id for claim in claims]
    others = [claim.id for claim in claims if claim.part == BEYOND]
    assert [line.split()[0] for line in lines if "(not in the mail) " in line] == others
    assert lines[-1] == f"{len(claims)} claims, {len(others)} not in the mail"
    chosen = run("claims", "--verdict", "contradicted", "--topic", "cost")[1].splitlines()
    assert 1 < len(chosen) < len(lines)
    assert all("  contradicted  " in line for line in chosen[:-1])


def test_a_claim_in_full(run):
    output = run("claims", ID)[1]
    names = [line.split("  ")[0] for line in output.splitlines() if line[0] != " "]
    assert names == [
        *["claim", "place", "quote", "stated", "verdict", "reason", "numbers", "evidence"],
        *["shown by", "cite"],
    ]
    assert output.isascii()
    assert max(map(len, output.splitlines())) <= 72


def test_claims_as_json_and_csv_agree(run):
    told = json.loads(run("claims", "--topic", "cost", "--format", "json")[1])
    rows = list(csv.DictReader(io.StringIO(run("claims", "--topic", "cost", "--format", "csv")[1])))
    assert [one["id"] for one in told] == [row["id"] for row in rows]
    assert all(one["verdict"] in VERDICTS for one in told)
    assert all(one["because"] == row["because"] for one, row in zip(told, rows, strict=True))
    assert json.loads(run("claims", ID, "--format", "json")[1])["stated"]["allocations"] == 16000
