import dataclasses

import polars as pl
import pytest

from vmalloc_model.claims.patch import read_patch
from vmalloc_model.errors import FileError
from vmalloc_model.studies import patch


def test_the_diff_has_as_many_lines_as_its_diffstat_says():
    mail = read_patch()
    added, removed = patch.size_of_the_diff(mail)
    assert f"{added} insertions(+)" in mail.part("trailer")
    assert removed == 0
    assert "deletion" not in mail.part("trailer")


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("message", "preempt_disable()", "local_lock()"),
        ("added", "spin_lock(lock)", "preempt_disable()"),
        ("added", "With 16 MB chunks", "With 64 MB chunks"),
        ("added", "align > VMAP_BUMP_CHUNK_SIZE / 2", "align > PAGE_SIZE"),
    ],
)
def test_a_disagreement_that_the_mail_does_not_show_is_refused(field, old, new):
    mail = read_patch()
    before = getattr(mail, field)
    after = (
        before.replace(old, new)
        if field == "message"
        else tuple(line.replace(old, new) for line in before)
    )
    assert after != before
    with pytest.raises(FileError, match="says otherwise"):
        patch.disagreements(dataclasses.replace(mail, **{field: after}))


def test_every_disagreement_is_between_at_least_two_parts():
    for row in patch.disagreements().iter_rows(named=True):
        parts = [row[name] for name in ("message", "comment", "diff") if row[name] != "-"]
        assert len(set(parts)) >= 2, row["topic"]
        assert row["evidence"] >= 2


def test_the_caption_counts_what_the_table_holds():
    table = patch.disagreements()
    said = patch.say_disagreements(table)
    assert said.startswith(f"{table.height} points")
    assert f"on {table.filter(pl.col('comment') != '-').height} of them" in said


@pytest.mark.parametrize(
    ("name", "kinds"), [("path", patch.PATH_KINDS), ("states", patch.STATE_KINDS)]
)
def test_every_box_is_reached_and_no_two_share_a_place(name, kinds):
    table = patch.diagram(name)
    boxes = table.filter(pl.col("element") == "box")
    arrows = table.filter(pl.col("element") == "arrow")
    start = boxes.filter(pl.col("kind") == "start")["id"].to_list()
    reached = set(start)
    for _ in range(boxes.height):
        reached |= set(arrows.filter(pl.col("id").is_in(list(reached)))["to"])
    assert reached == set(boxes["id"])
    assert boxes.select("x", "y").n_unique() == boxes.height
    assert set(boxes["kind"]) <= set(kinds)


def test_every_variant_says_something_on_every_aspect():
    table = patch.variants()
    assert table.columns == ["aspect", "variant", "rule"]
    assert table["variant"].unique(maintain_order=True).to_list() == [
        "rfc10",
        "rfc11",
        "rfc12",
        "described",
    ]
    assert table.height == 4 * table["aspect"].n_unique()
    assert table["rule"].str.len_chars().min() > 0
