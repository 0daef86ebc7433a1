import dataclasses

import pytest

from vmalloc_model.claims.claim import CHECKS, load_claims
from vmalloc_model.claims.evaluation import run_checks
from vmalloc_model.claims.evidence import Evidence
from vmalloc_model.datafiles import ROOT


@pytest.fixture(scope="session")
def recorded():
    """The recordings, read once."""
    evidence = Evidence()
    return {name: getattr(evidence, name) for name in ("overlay", "mainline", "stream")}


@pytest.fixture(scope="session")
def findings():
    return {claim.id: finding for claim, finding in run_checks()}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The data folder in links; ``data(name, old, new)`` gives it another copy of one file."""
    folder = tmp_path / "data"
    folder.mkdir()
    for entry in (ROOT / "data").iterdir():
        (folder / entry.name).symlink_to(entry)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(folder))

    def replace(name, *pairs):
        path = folder / name
        if path.parent != folder and path.parent.is_symlink():
            source = path.parent.resolve()
            path.parent.unlink()
            path.parent.mkdir()
            for entry in source.iterdir():
                (path.parent / entry.name).symlink_to(entry)
        text = path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text, f"{name} does not hold {old!r}"
            text = text.replace(old, new)
        path.unlink()
        path.write_text(text, encoding="utf-8")

    return replace


@pytest.fixture
def found(recorded):
    """``found(id, ...)``: the finding on one claim, with fields of the recording replaced."""

    def one(id, overlay=None, mainline=None, stream=None, stated=None, **parameters):
        evidence = Evidence(**parameters)
        changes = {"overlay": overlay, "mainline": mainline, "stream": stream}
        for name, fields in changes.items():
            evidence.__dict__[name] = dataclasses.replace(recorded[name], **(fields or {}))
        claim = next(claim for claim in load_claims() if claim.id == id)
        if stated:
            claim = dataclasses.replace(claim, stated={**claim.stated, **stated})
        return CHECKS[claim.check](claim, evidence)

    return one
