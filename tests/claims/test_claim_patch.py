"""Taking the mail apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.claims.patch import PARTS, _diff, read_patch
from vmalloc_model.errors import FileError

LINE = st.text(
    st.characters(codec="ascii", exclude_characters="\r\n\x0b\x0c\x1c\x1d\x1e"), max_size=9
)


@given(st.lists(st.tuples(st.sampled_from("+- "), LINE), max_size=30))
def test_the_lines_of_a_diff_are_sorted_by_their_mark(lines):
    lines = [(mark, text) for mark, text in lines if (mark + text).rstrip() != "--"]
    lines = [(mark, text) for mark, text in lines if not (mark == " " and text.startswith("@@"))]
    text = ["diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1,2 +1,3 @@ f(", *map("".join, lines)]
    added, removed, context, hunks = _diff([*text, "--", "2.34.1", "+ footer"])
    assert added == [text for mark, text in lines if mark == "+"]
    assert removed == [text for mark, text in lines if mark == "-"]
    assert len(context) == sum(mark == " " for mark, _ in lines)
    assert hunks == ["f("]


def test_the_parts_of_the_mail_are_disjoint():
    patch = read_patch()
    assert patch.message.startswith("Now that")
    assert "Signed-off-by" in patch.message
    assert "diff --git" not in patch.message + patch.trailer
    assert "107 insertions(+)" in patch.trailer
    assert "Recycling" in patch.part("comment")
    assert "Recycling" not in patch.part("diff")
    assert "spin_lock(lock)" not in patch.part("comment")
    assert all(patch.part(name) for name in PARTS)


def test_code_and_comments_together_are_what_the_diff_adds():
    patch = read_patch()
    for word in {word for line in patch.added for word in line.split() if word.isidentifier()}:
        assert word in patch.code or word in patch.comment, word


def test_functions_and_structures_end_where_they_end():
    patch = read_patch()
    body = patch.function("vmap_bump_alloc")
    assert body.startswith("vmap_bump_alloc(unsigned long size")
    assert body.endswith("return addr;\n}")
    assert body.count("\n}") == 1
    assert patch.arguments("vmap_bump_alloc") == ("size", "align", "vstart", "vend")
    assert patch.function("vmap_bump_unlink") == ""
    assert patch.arguments("vmap_bump_unlink") == ()
    assert patch.struct("vmap_bump_chunk").count(";") == 3
    assert patch.struct("vmap_area") == ""


def test_names_are_whole_words_of_the_code():
    patch = read_patch()
    assert patch.names("vmap_bump_alloc")
    assert not patch.names("vmap_bump_all")
    assert not patch.names("refcount")  # only in a comment


def test_constants_are_read_as_products():
    patch = read_patch()
    assert patch.size_of("VMAP_BUMP_CHUNK_SIZE") == 64 << 20
    with pytest.raises(FileError, match="defines no such constant: 'PAGE_SIZE'"):
        patch.size_of("PAGE_SIZE")


def test_a_file_without_a_diff_is_one_clear_error(data):
    data("patch/patch-10-of-12.txt", ("diff --git", "nothing"))
    with pytest.raises(FileError, match="not a mail with a diff"):
        read_patch()
