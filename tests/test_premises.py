"""The presets: what the two say, where it comes from, and files that are not usable."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from vmalloc_model.datafiles import data_path
from vmalloc_model.errors import FileError
from vmalloc_model.platforms import find_platform
from vmalloc_model.premises import Premises, load_premises

GIB, PIB = 1 << 30, 1 << 50
FIELDS = [f.name for f in dataclasses.fields(Premises) if f.name not in ("id", "title", "premises")]


def test_both_presets_in_order():
    presets = load_premises()
    assert [(key, preset.id, preset.title) for key, preset in presets.items()] == [
        ("as-stated", "as-stated", "as stated"),
        ("as-checked", "as-checked", "as checked"),
    ]


def test_as_stated_is_the_mail():
    stated = load_premises()["as-stated"]
    assert {name: getattr(stated, name) for name in FIELDS} == {
        "x86_64_range": 128 * GIB,
        "arm64_52_range": 256 * PIB,
        "guard_pages": 0,
        "largest_request": 32 << 20,
        "modules_in_window": True,
        "bpf_jit_largest": 4 << 20,
        "small_mean": 4096,
        "large_mean": 1 << 20,
        "cpus": 32,
        "page_size": 4096,
        "pointer_size": 8,
        "chunk_size": 64 << 20,
        "doubled_chunk_size": 128 << 20,
    }


def test_as_checked_takes_its_ranges_from_the_platforms():
    checked = load_premises()["as-checked"]
    assert checked.x86_64_range == find_platform("x86_64-4level").size
    assert checked.arm64_52_range == find_platform("arm64-52bit-64k").size
    assert checked.premises["x86_64_range"].platform == "x86_64-4level"


def test_as_checked_derives_what_has_no_fixed_value():
    checked = load_premises()["as-checked"]
    assert checked.largest_request is None
    assert checked.bpf_jit_largest is None
    assert checked.premises["largest_request"].derived
    assert (checked.guard_pages, checked.modules_in_window) == (1, False)


def test_every_value_has_its_place():
    for preset in load_premises().values():
        assert list(preset.premises) == FIELDS
        for name, premise in preset.premises.items():
            assert premise.name == name
            assert premise.value == getattr(preset, name)
            assert premise.place.strip()
            assert len(premise.says.split()) <= 8


def test_as_stated_quotes_the_mail():
    mail = " ".join(data_path("patch/patch-10-of-12.txt").read_text(encoding="utf-8").split())
    for premise in load_premises()["as-stated"].premises.values():
        assert premise.says in mail, premise


def test_presets_cannot_be_changed():
    stated = load_premises()["as-stated"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        stated.cpus = 64
    with pytest.raises(TypeError):
        stated.premises["cpus"] = None


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Load a copy of the data in which one text of premises.toml is replaced."""

    def load(old: str, new: str) -> dict[str, Premises]:
        for name in ("premises.toml", "platforms.csv"):
            shutil.copy(data_path(name), tmp_path / name)
        target = tmp_path / "premises.toml"
        text = target.read_text(encoding="utf-8")
        assert old in text
        target.write_text(text.replace(old, new, 1), encoding="utf-8")
        monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
        return load_premises()

    return load


def test_a_changed_value_arrives(edited):
    assert edited('value = "128G"', 'value = "32T"')["as-stated"].x86_64_range == 32 << 40


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            "[as-stated.cpus]",
            "[as-stated.cpu]",
            "$.as-stated: unknown key: 'cpu'; allowed: title, ",
        ),
        (
            "[as-checked.cpus]\nvalue = 32\n",
            "[as-checked.cpus]\n",
            "$.as-checked.cpus: needs exactly",
        ),
        ('title = "as stated"\n', "", "$.as-stated: missing key: 'title'"),
        ('title = "as stated"', "title = 3", "$.as-stated.title: not a text: 3"),
        ("[as-stated]", "[as-said]", "$: unknown key: 'as-said'; allowed: as-stated, as-checked"),
        ('value = "128G"', 'value = "128X"', "$.as-stated.x86_64_range.value: not a size: '128X'"),
        (
            'value = "128G"',
            "value = 0",
            "$.as-stated.x86_64_range.value: not usable: 0; allowed: a s",
        ),
        ('value = "128G"', "value = true", "$.as-stated.x86_64_range.value: not a size: True"),
        ("value = 32\n", "value = 0\n", "$.as-stated.cpus.value: not usable: 0; allowed: a whole"),
        ("value = 32\n", 'value = "32"\n', "$.as-stated.cpus.value: not usable: '32'"),
        ("value = 32\n", "value = true\n", "$.as-stated.cpus.value: not usable: True"),
        (
            "value = true",
            "value = 1",
            "$.as-stated.modules_in_window.value: not usable: 1; allowed",
        ),
        ('says = "avg = 4 KB"', "", "$.as-stated.small_mean: missing key: 'says'"),
        ('says = "avg = 4 KB"', 'says = ""', "$.as-stated.small_mean.says: not a text"),
        ("says =", "say =", "$.as-stated.x86_64_range: unknown key: 'say'"),
        (
            'value = "32M"',
            'derived = "x"\nvalue = "32M"',
            "exactly one way to its value: 'value, de",
        ),
        ('value = "4K"', 'platform = "i386"', "$.as-stated.small_mean: needs exactly one way"),
        ("x86_64-4level", "x86_64-6level", "$.as-checked.x86_64_range.platform: "),
        ("[as-stated]", "[as-stated", "not valid TOML"),
    ],
)
def test_unusable_files_name_the_place(edited, old, new, text):
    with pytest.raises(FileError) as caught:
        edited(old, new)
    assert "premises.toml: " in str(caught.value)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("as-stated = 1\nas-checked = 2\n", "$.as-stated: not a table: 1; allowed: a table with "),
        ("", "$: missing key: 'as-stated'; allowed: as-stated, as-checked"),
    ],
)
def test_a_file_of_another_shape(tmp_path, monkeypatch, text, problem):
    (tmp_path / "premises.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))
    with pytest.raises(FileError) as caught:
        load_premises()
    assert problem in str(caught.value)
