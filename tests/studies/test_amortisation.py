import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.premises import load_premises
from vmalloc_model.studies import amortisation

KIB, MIB = 1 << 10, 1 << 20
CHUNKS = [MIB << k for k in range(11)]


def served(chunk, mean, page, guard):
    """Equal requests one chunk serves, by moving a pointer."""
    size = -(-mean // page) * page + guard * page
    if size > chunk // 2:
        return 0
    count, bump = 0, 0
    while bump + size <= chunk:
        count, bump = count + 1, bump + size
    return count


# --- as stated -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stated():
    table = amortisation.stated_table([4096, 16384, 65536])
    return {row["quantity"]: row for row in table.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("mean", "mail", "as_stated", "as_checked"),
    [
        # Mail: "64 MB amortises to ~16,000 fast-path allocations per global lock acquisition"
        ("4 KiB", "~16,000", "16,384", "8,192"),
        # Mail: "at avg = 1 MB, ~64 per lock"
        ("1 MiB", "~64", "64", "63"),
    ],
)
def test_the_quotients_of_argument_2(stated, mean, mail, as_stated, as_checked):
    row = stated[f"allocations per refill, mean {mean}"]
    assert (row["mail"], row["stated"], row["checked"]) == (mail, as_stated, as_checked)
    assert row["moved_by"] == "guard page"
    said = amortisation.say_stated()
    assert f"{as_stated} allocations per refill at a mean of {mean} become {as_checked}" in said


def test_the_lower_bound_needs_two_pages(stated):
    row = stated["address space of the smallest mean, 4 KiB"]
    assert (row["mail"], row["stated"], row["checked"]) == ("4 KB", "4 KiB", "8 KiB")


def test_doubling_doubles(stated):
    """Mail: "Doubling the chunk size beyond 64 MB barely improves this ratio"."""
    row = stated["what doubling the chunk does to it, mean 4 KiB"]
    assert row["stated"] == "2 times as many, 0.031 fewer global visits per 1,000"
    assert row["checked"] == "2 times as many, 0.061 fewer global visits per 1,000"
    assert stated["what doubling the chunk does to it, mean 1 MiB"]["checked"].startswith("2.016 ")


def test_larger_pages_are_rows_of_their_own(stated):
    assert stated["the same, mean 4 KiB, 16 KiB pages"]["checked"] == "2,048"
    assert stated["the same, mean 4 KiB, 64 KiB pages"]["checked"] == "512"
    assert "16 KiB" not in str(amortisation.stated_table([4096])["quantity"].to_list())


# --- allocations per refill ----------------------------------------------------------------------


@given(
    st.integers(13, 27).map(lambda n: 1 << n),
    st.lists(st.sampled_from([4096, 16384, 65536]), min_size=1, unique=True),
    st.integers(0, 2),
)
def test_allocations_are_those_of_a_moving_pointer(chunk, pages, guard):
    table = amortisation.allocations_table(chunk, pages, guard).filter(what="computed")
    means = [1 << k for k in range(12, chunk.bit_length()) if 1 << k <= chunk // 2]
    expected = {
        (page, pages_behind, mean): count
        for page in pages
        for pages_behind in {0, guard}
        for mean in means
        if (count := served(chunk, mean, page, pages_behind))
    }
    keys = table.select("page_size", "guard_pages", "mean_size").rows()
    assert dict(zip(keys, table["allocations"], strict=True)) == expected


def test_the_mail_s_points_are_the_premises():
    table = amortisation.allocations_table(64 * MIB, [4096], 1).filter(what="mail")
    mail = load_premises()["as-stated"]
    assert table.select("mean_size", "allocations").rows() == [
        (mail.small_mean, 16_000),
        (mail.large_mean, 64),
    ]


def test_the_caption_of_allocations_follows_the_parameters():
    table = amortisation.allocations_table(64 * MIB, [4096, 16384], 1)
    text = amortisation.say_allocations(table, 64 * MIB)
    assert "a chunk of 64 MiB serves 8,192 (4 KiB pages) and 2,048 (16 KiB pages)" in text
    assert "without it gives 16,384 and 4,096. At 1 MiB it is 63 against 64" in text
    small = amortisation.allocations_table(MIB, [65536], 0)
    assert amortisation.say_allocations(small, MIB) == (
        "At a mean payload of 4 KiB a chunk of 1 MiB serves 16 (64 KiB pages) requests, without "
        "guard page."
    )
    # 1 MiB is not eligible for 1 MiB
    assert "At 1 MiB" not in amortisation.say_allocations(
        amortisation.allocations_table(MIB, [4096], 1), MIB
    )


# --- doubling ------------------------------------------------------------------------------------


@given(
    st.lists(st.integers(16, 30).map(lambda n: 1 << n), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(1, 4 * MIB), min_size=1, max_size=3, unique=True),
    st.sampled_from([4096, 16384]),
    st.integers(0, 1),
    st.floats(0.001, 100),
)
def test_doubling_is_two_chunks_compared(chunks, means, page, guard, barely):
    table = amortisation.doubling_table(chunks, 64 * MIB, means, page, guard, barely)
    assert table.height == len({*chunks, 64 * MIB}) * len(means)
    for row in table.iter_rows(named=True):
        size = -(-row["mean_size"] // page) * page + guard * page
        before, after = (
            chunk // size if size <= chunk // 2 else 0
            for chunk in (row["chunk_size"], 2 * row["chunk_size"])
        )
        visits = [1000 / max(count, 1) for count in (before, after)]
        assert row["allocations"] == before
        assert row["visits"] == pytest.approx(visits[0])
        assert row["saved"] == pytest.approx(visits[0] - visits[1])
        assert row["ratio"] == pytest.approx(visits[0] / visits[1])
        assert row["barely"] == (row["saved"] < barely)
        if before:
            assert 2 <= row["ratio"] <= 2.5


def test_the_caption_of_doubling_says_both():
    means = [4096, 16384, MIB]
    table = amortisation.doubling_table(CHUNKS, 64 * MIB, means, 4096, 1, 1.0)
    text = amortisation.say_doubling(table, 64 * MIB, 1.0)
    admitted = table.filter(pl.col("allocations") > 0)["ratio"]
    assert text.startswith(
        "Wherever a chunk shown admits the mean, doubling it divides the visits by "
        f"{admitted.min():.3g} to {admitted.max():.3g}: the ratio has no knee. Elsewhere every "
        "allocation is a visit."
    )
    assert "less than 1 for a mean of 4 KiB and 16 KiB; 8 for 1 MiB." in text
    assert "is 4 MiB for 4 KiB, 16 MiB for 16 KiB and 512 MiB for 1 MiB." in text


def test_the_caption_of_doubling_follows_the_criterion():
    means = [4096, MIB]
    strict = amortisation.doubling_table(CHUNKS, 64 * MIB, means, 4096, 1, 1e-6)
    text = amortisation.say_doubling(strict, 64 * MIB, 1e-6)
    assert "allocations, 0.061 for 4 KiB and 8 for 1 MiB. For 4 KiB and 1 MiB no chunk" in text
    small = amortisation.doubling_table([4 * MIB], 4 * MIB, [MIB], 4096, 1, 1.0)
    assert ", 190 for 1 MiB." in amortisation.say_doubling(small, 4 * MIB, 1.0)
    lax = amortisation.doubling_table(CHUNKS, 64 * MIB, means, 4096, 1, 5000.0)
    text = amortisation.say_doubling(lax, 64 * MIB, 5000.0)
    assert "less than 5,000 for a mean of 4 KiB and 1 MiB." in text
    assert "no chunk shown" not in text
    assert "Elsewhere every allocation is a visit." in text
    all_fit = amortisation.doubling_table([64 * MIB], 64 * MIB, means, 4096, 1, 1.0)
    assert "Elsewhere" not in amortisation.say_doubling(all_fit, 64 * MIB, 1.0)
    none = amortisation.doubling_table([MIB], MIB, [MIB], 4096, 1, 1.0)
    assert amortisation.say_doubling(none, MIB, 1.0).startswith("No mean payload shown is eligible")


def test_where_a_chunk_does_not_admit_the_mean_every_allocation_is_a_visit():
    table = amortisation.doubling_table(CHUNKS, 64 * MIB, [4096, MIB], 4096, 1, 1.0)
    beyond = table.filter(allocations=0)
    assert beyond.select("chunk_size", "visits").rows() == [(MIB, 1000), (2 * MIB, 1000)]
    # these two are why the sentence is about chunks that admit the mean
    assert [round(ratio, 3) for ratio in beyond["ratio"]] == [1, 3]


@pytest.mark.parametrize(
    ("visits", "text"), [(1.0, "1 visit"), (0.5, "0.5 visits"), (2.0, "2 visits")]
)
def test_visits_are_counted_in_words(visits, text):
    assert amortisation.visits_text(visits) == text


def test_the_threshold_is_the_last_change():
    """A saving that grows again between two sizes, as floors allow, does not count as below."""
    table = amortisation.doubling_table(CHUNKS, 64 * MIB, [4096, 256 * KIB, MIB], 4096, 1, 8.0)
    text = amortisation.say_doubling(table, 64 * MIB, 8.0)
    for mean, words in ((256 * KIB, "256 KiB"), (MIB, "1 MiB")):
        part = table.filter(mean_size=mean).sort("chunk_size")
        least = next(
            chunk
            for k, chunk in enumerate(part["chunk_size"])
            if all(part["barely"][k:]) and part["allocations"][k]
        )
        assert f"{least >> 20} MiB for {words}" in text


def test_summaries_are_wide():
    table = amortisation.allocations_table(64 * MIB, [4096], 1)
    summary = amortisation.allocations_summary(table)
    assert summary.columns == ["mean", "4 KiB, none", "4 KiB, guard"]
    assert summary.row(0) == ("4 KiB", "16,384", "8,192")
    assert summary.row(-1) == ("32 MiB", "2", "-")
    gains = amortisation.doubling_table([MIB], 64 * MIB, [4096, MIB], 4096, 1, 1.0)
    assert amortisation.doubling_summary(gains).rows() == [
        ("1 MiB", "7.81", "1,000"),
        ("64 MiB", "0.122", "15.9"),
    ]
