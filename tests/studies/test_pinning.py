import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.pinning import CLASSES, residents
from vmalloc_model.studies import pinning as study
from vmalloc_model.studies import pinning_law as law
from vmalloc_model.studies import pinning_lookup as lookup
from vmalloc_model.studies import pinning_lookup_words as lookup_words
from vmalloc_model.studies import pinning_words as words

MIB, KIB = 1 << 20, 1 << 10
X86 = "x86_64-4level"
SHARES = [2.0**-10, 2.0**-5]


# --- the closed form -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def held():
    return law.law_table(SHARES, [MIB, 4 * MIB, 64 * MIB], 64 * KIB, X86, 60_000, 3)


@given(st.floats(1e-6, 0.5), st.integers(1, 60))
def test_the_closed_form_is_the_sum_over_the_first_survivor(share, per_chunk):
    first = math.fsum(share * (1 - share) ** place for place in range(per_chunk))
    assert law.held_share(share, per_chunk) == pytest.approx(first, rel=1e-9)


def test_the_example_of_one_page():
    assert law.held_share(1e-4, 8192) == pytest.approx(0.5592, abs=1e-4)
    text = law.say_example(64 * MIB, X86)
    assert "serves 8,192 areas of one page" in text
    assert "55.9 % of the chunks" in text
    assert "serves 512 areas" in law.say_example(64 * MIB, "arm64-48bit-64k")
    assert law.held_share(1.0, 3) == 1
    assert law.say_full() == "63.2 % at 1, 98.2 % at 4"  # 1 - exp(-pN)


def test_model_and_closed_form_agree(held):
    used = held.filter(pl.col("replaced") > 0)
    assert used.height == 6
    assert used["sigmas"].abs().max() < 3
    one = used.filter(chunk_size=MIB, pinned=SHARES[1]).row(0, named=True)
    assert one["per_chunk"] == 15
    assert one["replaced"] > 1900
    assert one["share"] == pytest.approx(1 - (31 / 32) ** 15, abs=0.03)
    assert one["times"] == pytest.approx(one["expected_times"], rel=0.05)


def test_agreement_would_show_another_share(held):
    """The same chunks against a form with half the share: far off."""
    one = held.filter(chunk_size=MIB, pinned=SHARES[1]).row(0, named=True)
    wrong = law.held_share(SHARES[1] / 2, one["per_chunk"])
    spread = math.sqrt(one["replaced"] * wrong * (1 - wrong))
    assert abs(one["held"] - one["replaced"] * wrong) > 10 * spread


def test_what_is_held_for_each_byte_is_bounded_twice(held):
    """By the areas of a chunk, and by what was allocated for each survivor."""
    for row in held.iter_rows(named=True):
        whole = row["chunk_size"] / (row["per_chunk"] * 68 * KIB)
        bound = whole * min(row["per_chunk"], 1 / row["pinned"])
        assert 0.6 * bound < row["expected_times"] <= bound * (1 + 1e-12)


def test_the_form_is_there_between_the_sizes_of_the_model(held):
    sizes = held.filter(pinned=SHARES[0])
    assert sizes["chunk_size"].to_list() == [MIB << k for k in range(7)]
    assert sizes.filter(pl.col("replaced").is_null())["chunk_size"].to_list() == [
        size * MIB for size in (2, 8, 16, 32)
    ]
    assert sizes["expected"].is_sorted()


def test_small_chunks_are_left_out_and_none_is_an_error():
    table = law.law_table([0.1], [64 * KIB, 256 * KIB, MIB], 64 * KIB, X86, 2_000, 0)
    assert table["chunk_size"].to_list() == [256 * KIB, 512 * KIB, MIB]
    assert table["per_chunk"].to_list() == [3, 7, 15]
    with pytest.raises(InputError, match="no two areas fit"):
        law.law_table([0.1], [64 * KIB], 64 * KIB, X86, 2_000, 0)


def test_the_captions_of_the_form(held):
    text = law.say_law(held, 64 * MIB)
    assert "At 64 MiB, 963 areas to a chunk: 61 % at 1 in 1,024, 100 % at 1 in 32" in text
    assert "6 of 6 shares lie within 2 standard errors" in text
    far = held.with_columns(sigmas=pl.when(pl.col("chunk_size") == MIB).then(-2.5).otherwise(0.0))
    assert "4 of 6 shares lie within 2 standard errors, the farthest 2.5 away" in law.say_law(
        far, 64 * MIB
    )
    price = law.say_price(held, 64 * MIB)
    assert "From 64 MiB to 1 MiB the refills rise from 1.04 to 66.7" in price
    assert "From" not in law.say_price(held, MIB)
    assert law.price_table(held)["visits"].to_list()[0] == "66.7"
    assert "; -" in law.law_summary(held).filter(chunk="2 MiB").row(0)[1]
    assert law.one_in(0.25) == "25 %"


# --- lifetimes and workloads ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def grid():
    return study.grid_table([2.0**-10, 2.0**-5], [100, 5_000], "rfc12", X86, 2, 16 * MIB, 40_000, 1)


@pytest.fixture(scope="module")
def rows():
    streams = ["pinning", "churn", "modules"]
    policies = ["mainline", "rfc10", "rfc12", "release-at-refill"]
    return study.play("oplog-stock", streams, policies, X86, 2, 16 * MIB, 40_000, 1)


def test_cells_without_a_long_lived_area_are_left_out(grid):
    cells = grid.select("pinned", "lifetime").rows()
    assert (2.0**-10, 100) not in cells
    assert len(cells) == 5
    assert grid["stays"].to_list()[-1] == "for ever"


def test_a_grid_needs_chunks():
    with pytest.raises(InputError, match="has no chunks"):
        study.grid_table([0.1], [100], "mainline", X86, 1, MIB, 100, 0)


def test_longer_lives_hold_more(grid):
    often = grid.filter(pinned=2.0**-5)["held"].to_list()
    assert often == sorted(often)
    assert often[0] < often[-1] / 3
    kept = grid.filter(lifetime=study.FOREVER)["chunks"].to_list()
    assert kept[0] < kept[1]


def test_a_row_of_the_grid_is_what_the_experiment_says(grid):
    given = {"stream": "pinning", "policy": "rfc12", "platform": X86, "cpus": 2, "seed": 1}
    given |= {"chunk_size": 16 * MIB, "events": 40_000}
    given["parameters"] = {"pinned": 2.0**-5, "pinned_live": 156}
    one, row = residents(given), grid.filter(pinned=2.0**-5, lifetime=5_000).row(0, named=True)
    assert row["chunks"] == sum(one["classes"]) == one["chunks_live"] + one["chunks_lost"]
    assert row["thin"] == one["classes"][CLASSES.index("thin")]
    assert row["held"] == row["chunks"] * 16 * MIB
    assert row["live"] == 4096 * one["in_others"]


def test_the_caption_of_the_grid(grid):
    text = words.say_grid(grid, "rfc12", 16 * MIB)
    assert "chunks of 16 MiB" in text
    used = grid.filter(pl.col("chunks") > 0).height
    assert f" {used} cells that hold anything" in text
    assert "with 1 in 32 living" in text
    nothing = grid.with_columns(chunks=pl.lit(0))
    assert "Nothing is held here" in words.say_grid(nothing, "rfc12", 16 * MIB)
    finite = grid.filter(lifetime=5_000)
    assert "living for 5,000 allocations" in words.say_grid(finite, "rfc12", 16 * MIB)
    thin, fat = (grid.with_columns(share=pl.lit(share)) for share in (0.95, 0.2))
    assert "The share is 90 % or more in" in words.say_grid(thin, "rfc12", 16 * MIB)
    assert "The share goes from 20 % to 20 %" in words.say_grid(fat, "rfc12", 16 * MIB)
    assert "failed" not in text
    full = grid.with_columns(failures=pl.lit(2))
    assert f"lack of room: {2 * grid.height}." in words.say_grid(full, "rfc12", 16 * MIB)
    assert words.grid_summary(grid).columns == ["stays", "1 in 1,024", "1 in 32"]
    assert words.grid_summary(grid).row(0)[1] == "-"


def test_the_classes_sum_to_what_is_not_released(rows):
    classes = study.occupancy_table(rows)
    sums = classes.group_by("stream", "policy", maintain_order=True).agg(pl.col("chunks").sum())
    for (stream, policy, one), (*names, total) in zip(rows, sums.rows(), strict=True):
        assert (stream, policy) == tuple(names)
        if policy == "mainline":
            assert total == -(-one["high_water"] // one["chunk_pages"])
        elif policy == "rfc10":
            assert total <= one["refills"]
        else:
            assert total == one["refills"] - one["chunks_released"]
    assert classes["part"].unique(maintain_order=True).to_list() == list(study.PARTS)
    assert list(study.PARTS)[1:] == list(CLASSES)
    assert classes.filter("recorded")["stream"].unique().to_list() == ["oplog-stock"]


def test_the_repair_frees_empty_chunks_and_no_thin_ones(rows):
    ends = study.ends_table(rows)
    for stream in ("pinning", "churn", "modules"):
        plain, repaired = (
            ends.filter(stream=stream, policy=policy).row(0, named=True)
            for policy in ("rfc12", "release-at-refill")
        )
        assert repaired["empty"] == 0
        assert plain["thin"] == repaired["thin"]
    assert ends.filter(stream="modules", policy="rfc12")["empty"][0] > 5
    assert ends.filter(stream="pinning", policy="rfc12")["share"][0] > 0.5


def test_the_captions_of_the_workloads(rows):
    ends = study.ends_table(rows)
    classes = study.occupancy_table(rows)
    text = words.say_occupancy(classes, ends)
    assert "A policy without chunks has bars for stretches" in text
    assert "rfc12: of" in text
    assert "stretches of the same" not in words.say_occupancy(classes, ends.filter("overlay"))
    worst = words.say_held(ends, 16 * MIB)
    assert "The most is held on *" in worst
    assert "mainline reaches" in worst
    assert "mainline" not in words.say_held(ends.filter("overlay"), 16 * MIB)
    assert "The most" not in words.say_held(ends.filter(policy="mainline"), 16 * MIB)
    assert "that hold any: pinning" in words.say_pinned(ends, "rfc12")
    assert "is not among the policies" in words.say_pinned(ends, "rfc11")
    none = ends.with_columns(chunks=pl.lit(0))
    assert "no replaced chunk is held" in words.say_pinned(none, "rfc12")
    fat = ends.with_columns(thin=pl.lit(0))
    assert "on 0 of 4 streams that hold any." in words.say_pinned(fat, "rfc12")
    shown = words.shown_ends(ends)
    assert shown.height == len(rows)
    assert shown.filter(policy="mainline")["chunks"][0].startswith("(")
    assert words.occupancy_summary(classes).height == len(rows)
    assert " churn: Random churn" in words.say_streams(ends, X86, 1)


def test_parts_of_the_mix():
    table = study.without_table("rfc12", X86, 2, 16 * MIB, 30_000, 1)
    assert table["without"].to_list()[0] == ""
    assert table.height == 7
    text = words.say_without(table, "rfc12")
    assert "The whole mix leaves" in text
    assert "Without *" in text
    same = table.with_columns(thin=pl.lit(5))
    assert "No part can be left out" in words.say_without(same, "rfc12")
    assert words.shown_without(table)["without"][0] == "(whole mix)"


# --- lookups and owners --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spread():
    return lookup.cpus_table("rfc12", ["stacks", "xfs"], X86, [1, 32], 64 * MIB, 40_000, 1)


@pytest.fixture(scope="module")
def frees():
    streams = ["fix_size", "modules", "producer_consumer", "churn"]
    return lookup.frees_table("rfc12", "oplog-stock", streams, X86, 2, 4 * MIB, 20_000, 1)


@pytest.fixture(scope="module")
def piled():
    return lookup.list_table(lookup.REPAIRED, [500, 5_000], X86, 16 * MIB, 0)


@pytest.fixture(scope="module")
def owners():
    return lookup.owners_table(lookup.VERSIONS, X86, 2, 4 * MIB, 20_000, 1)


def test_frees_elsewhere_walk_a_list_as_long_as_there_are_cpus(spread):
    stacks = spread.filter(stream="stacks")
    assert stacks["steps"].to_list()[1] > 3 * stacks["steps"].to_list()[0]
    assert stacks["listed"].to_list()[1] >= 32
    assert spread["own"].null_count() == spread.height
    text = lookup_words.say_lookup(spread, "rfc12")
    assert "At 32 CPUs:" in text
    many = spread.with_columns(steps=pl.lit(100.0))
    assert "Beyond the tens: *stacks* at 1 CPU, *stacks* at 32 CPUs" in lookup_words.say_lookup(
        many, "rfc12"
    )
    few = spread.with_columns(steps=pl.lit(99.0))
    assert "All averages are within the tens" in lookup_words.say_lookup(few, "rfc12")
    assert "With 32 CPUs a free looks at" in lookup_words.say_steps(spread)
    assert lookup_words.lookup_summary(spread)["cpus"].to_list() == [1, 32]


def test_streams_grow_with_many_cpus():
    table = lookup.cpus_table("rfc12", ["stacks"], X86, [1, 256], 4 * MIB, 2_000, 1)
    requests = table["frees"].to_list()
    assert requests[1] > 1.5 * requests[0]


def test_where_frees_find_their_areas(frees):
    by = {row["stream"]: row for row in frees.iter_rows(named=True)}
    assert by["fix_size"]["own"] == by["fix_size"]["steps"] == 1
    assert by["fix_size"]["walk"] is None
    assert by["modules"]["rejected"] > 0.5
    assert by["producer_consumer"]["remote"] == 1
    assert by["producer_consumer"]["own"] == 0
    assert by["producer_consumer"]["walk"] == pytest.approx(by["producer_consumer"]["steps"] - 1)
    assert by["oplog-stock"]["cpus"] == 2
    text = lookup_words.say_frees(frees, "rfc12")
    assert "on *modules*" in text
    assert "from 0 % (*producer_consumer*) to 100 % (*modules*)" in text
    untold = frees.with_columns(own=pl.lit(None, pl.Float64))
    assert "In the own chunk" not in lookup_words.say_frees(untold, "rfc11")
    assert lookup_words.shown_frees(frees)["walk"].to_list()[1] == "-"


def test_drained_chunks_make_older_areas_expensive(piled):
    kept, repaired = (piled.filter(policy=policy) for policy in lookup.REPAIRED)
    listed, walked = kept["listed"].to_list(), kept["walked"].to_list()
    assert listed[1] > 9 * listed[0]
    # areas that stay lie in the oldest chunks: nearly all of the list is before them
    assert walked[1] == pytest.approx(listed[1], rel=0.06)
    assert repaired["listed"].max() <= 4
    assert repaired["walked"].max() < 12
    # the loop takes 101 + 2 pages, 4,096 make a chunk; those of the areas that stayed are gone
    assert listed[1] == pytest.approx(5_000 * 103 / 4096, rel=0.03)
    text = lookup_words.say_list(piled)
    assert "5,000 iterations: rfc12" in text
    assert lookup_words.shown_list(piled).height == 4


def test_a_chunk_in_use_is_released_only_by_the_freeing_cpus_rule(owners):
    assert owners["name"].unique(maintain_order=True).to_list() == [one[0] for one in lookup.OWNERS]
    by = {(row["name"], row["policy"]): row for row in owners.iter_rows(named=True)}
    assert by["one waiting", "rfc11"]["in_use"] == by["one waiting", "rfc11"]["installed"] > 5
    assert by["one waiting", "rfc11"]["missed"] > 0.9 * by["one waiting", "rfc11"]["frees"]
    assert owners.filter(policy="rfc12")["in_use"].sum() == 0
    assert by["one waiting", "rfc12"]["drained"] > 5
    assert by["1,000 waiting", "rfc11"]["in_use"] == 0
    text = lookup_words.say_owners(owners)
    assert "(one waiting" in text
    assert "rfc12 releases none that is in use" in text
    assert lookup_words.shown_owners(owners).height == 10
