import math

import polars as pl
import pytest

from vmalloc_model.errors import InputError
from vmalloc_model.experiments.settled import BOTH, DESIGNS, NO_POOLS, settle
from vmalloc_model.studies import alternatives as study
from vmalloc_model.studies import alternatives_advice as advice
from vmalloc_model.studies import alternatives_choice as choice
from vmalloc_model.studies import alternatives_words as words

MIB = 1 << 20
SIZES = (MIB, 4 * MIB)
POLICIES = ["mainline", "rfc10", "rfc12", "release-after-purge", "scaled-chunk"]
PLATFORMS = ["x86_64-4level", "i386"]


@pytest.fixture(scope="module")
def points():
    return study.points_table(
        PLATFORMS,
        2,
        8 * MIB,
        SIZES,
        POLICIES,
        ["random_size", "xfs"],
        "smp1",
        12_000,
        1,
        10**9,
    )


def of(table, **names):
    return table.filter(**names).row(0, named=True)


# --- the points ----------------------------------------------------------------------------------


def test_all_designs_at_all_sizes_where_mainline_serves_the_stream(points):
    rows = points.filter(platform="x86_64-4level", stream="xfs")
    sized = [*POLICIES[1:-1], BOTH]
    assert rows.filter(asked=0)["design"].to_list() == ["mainline", NO_POOLS, "scaled-chunk"]
    for design in sized:
        asked = rows.filter(design=design)["asked"].to_list()
        assert asked == [MIB, 4 * MIB, 8 * MIB], "the judged size is there, too"
    assert points.filter(stream="smp1")["platform"].unique().to_list() == ["x86_64-4level"]
    left_out = points.filter(~pl.col("fits"))
    assert left_out.select("platform", "stream", "design").rows() == [("i386", "xfs", "mainline")]


def test_a_row_is_made_of_what_the_model_counts(points):
    row = of(points, platform="x86_64-4level", stream="xfs", design="rfc10", asked=MIB)
    point = {"platform": "x86_64-4level", "stream": "xfs", "design": "rfc10", "chunk_size": MIB}
    told = settle({**point, "cpus": 2, "events": 12_000, "seed": 1})
    parts = {name: 4096 * told[f"stranded_{name}"] for name in study.HELD}
    assert row["held"] == sum(parts.values())
    assert row["lost"] == parts["tail"] + parts["padding"] > 0  # areas return one by one
    assert row["visits"] == 1000 * told["late_visits"] / told["late_requests"]
    per = row["lost"] / told["requests"]
    assert row["later"] == pytest.approx(row["held"] - row["lost"] + per * 10**9, rel=1e-9)
    assert row["high_water"] == 4096 * told["high_water"]
    # where areas belong to chunks a tail comes back with its chunk
    resident = of(points, platform="x86_64-4level", stream="xfs", design=BOTH, asked=MIB)
    assert resident["lost"] == 0
    assert resident["later"] == resident["held"] > 0


def test_without_chunks_nothing_is_held(points):
    plain = points.filter(pl.col("design").is_in(["mainline", NO_POOLS]))
    assert plain["held"].to_list() == [0] * plain.height
    assert all(plain["filled"])


def test_fronts_by_the_definition(points):
    for part in points.partition_by("platform", "stream"):
        rows = part.to_dicts()
        for name, space, among in (
            ("front", "held", lambda row: row["usable"]),
            ("safe_front", "held", lambda row: row["usable"] and not row["early"]),
            ("mark_front", "high_water", lambda row: row["usable"] and not row["early"]),
        ):
            some = [row for row in rows if among(row)]
            for row in rows:
                here = (row[space], row["visits"])
                beaten = any(
                    o[space] <= here[0]
                    and o["visits"] <= here[1]
                    and (o[space], o["visits"]) != here
                    for o in some
                )
                assert row[name] == (among(row) and not beaten)


def test_what_a_stream_does_not_fill_is_not_judged(points):
    """Two CPUs take a chunk each and never another one."""
    assert all(points.filter(stream="random_size")["filled"])
    large, small = 512 * MIB, MIB
    few = study.points_table(
        ["x86_64-4level"], 2, large, [small], ["rfc12"], ["random_size"], "smp1", 4000, 1, 4000
    ).filter(stream="random_size", design="rfc12")
    assert few.select("asked", "filled", "usable").rows() == [
        (small, True, True),
        (large, False, False),
    ]
    assert few["refills"][1] == 2


def test_failed_requests_make_a_design_unusable(points):
    failed = points.filter("fits", pl.col("failures") > 0)
    assert not any(failed["usable"])


# --- the rule ------------------------------------------------------------------------------------


def made(rows):
    names = ["design", "asked", "chunk_size", "early", "visits", "space", "share", "leaks"]
    return pl.DataFrame(
        [(d, a, a, e, v, s, s / 1000, bool(DESIGNS[d].leaks)) for d, a, e, v, s in rows],
        schema=names,
        orient="row",
    )


FOUND = made(
    [
        ("mainline", 0, False, 500.0, 0),
        ("release-after-purge", MIB, False, 100.0, 10),
        (BOTH, MIB, False, 100.0, 10),
        ("rfc12", 64 * MIB, True, 1.0, 5),
        (BOTH, 64 * MIB, False, 2.0, 80),
        ("rfc10", 64 * MIB, False, 9.0, 200),
    ]
)


def picked(budget, barely, **more):
    found = choice.choose(FOUND, budget, barely, **more)
    return found and (found["design"], found["asked"])


def test_the_rule_takes_the_least_space_within_the_margin():
    assert picked(1.0, 1.0) == (BOTH, 64 * MIB)
    assert picked(1.0, 97.999) == (BOTH, 64 * MIB)
    assert picked(1.0, 98.0) == (BOTH, MIB), "of equals the one that does not leak"
    assert picked(1.0, 498.0) == ("mainline", 0), "no overlay can win"
    assert picked(0.079, 1.0) == (BOTH, MIB), "the budget"
    assert picked(0.009, 1.0) == ("mainline", 0)
    assert picked(1.0, 1.0, early=True) == ("rfc12", 64 * MIB), "only if asked"
    assert choice.choose(FOUND.clear(), 1.0, 1.0) is None


def test_the_limits_are_where_the_choice_changes():
    ends = {(one.parameter, one.upwards): one for one in choice.limits(FOUND, 0.1, 1.0)}
    assert {key: one.at for key, one in ends.items()} == {
        ("budget", False): 0.08,
        ("barely", True): 98.0,
    }
    assert ends["budget", False].then["asked"] == MIB
    inner = {(one.parameter, one.upwards): one for one in choice.limits(FOUND, 0.1, 100.0)}
    assert inner["barely", False].at == 98.0
    assert inner["barely", False].then["asked"] == 64 * MIB
    assert inner["barely", True].then["design"] == "mainline"
    up = [one for one in choice.limits(FOUND, 0.05, 1.0) if one.parameter == "budget"]
    assert [(one.upwards, one.at) for one in up] == [(False, 0.01), (True, 0.08)]


def test_limits_of_real_points_flip_the_choice(points):
    for platform in PLATFORMS:
        found = choice.candidates(points, platform)
        for budget, barely in ((0.032, 10.0), (1e-5, 50.0), (0.5, 1.0)):
            chosen = choice.choose(found, budget, barely)
            for one in choice.limits(found, budget, barely):
                beyond = one.at if one.upwards else math.nextafter(one.at, 0)
                moved = {"budget": budget, "barely": barely, one.parameter: beyond}
                assert choice.choose(found, **moved) == one.then != chosen
                before = math.nextafter(one.at, 0) if one.upwards else one.at
                moved[one.parameter] = before
                assert choice.choose(found, **moved) == chosen


def test_candidates_are_judged_by_their_worst_stream(points):
    found = choice.candidates(points, "x86_64-4level")
    rows = points.filter("fits", platform="x86_64-4level")
    for row in found.iter_rows(named=True):
        same = rows.filter(design=row["design"], asked=row["asked"])
        assert all(same["usable"])
        assert same.height == rows["stream"].n_unique()
        assert row["visits"] == max(same["visits"])
        assert row["space"] == max(same["later"])
    marks = choice.candidates(points, "x86_64-4level", "mark")
    assert marks["space"][0] == max(rows.filter(design="mainline")["high_water"])


def test_the_regions_are_what_the_rule_takes_everywhere(points):
    regions = choice.regions_table(points, PLATFORMS, 0.032, 10.0)
    for platform in PLATFORMS:
        found = choice.candidates(points, platform)
        rows = regions.filter(platform=platform)
        area = 0.0
        for row in rows.iter_rows(named=True):
            sides = ("budget", "margin")
            logs = [math.log(row[f"{side}_high"] / row[f"{side}_low"]) for side in sides]
            area += logs[0] * logs[1]
            budget, margin = (math.sqrt(row[f"{s}_low"] * row[f"{s}_high"]) for s in sides)
            chosen = choice.choose(found, budget, margin)
            assert (chosen["design"], chosen["asked"]) == (row["design"], row["asked"])
        assert area == pytest.approx(math.log(1e6) * math.log(1e4))
    wide = choice.regions_table(points, PLATFORMS, 1e-9, 1e5)
    assert (min(wide["budget_low"]), max(wide["margin_high"])) == (1e-10, 1e6)


# --- sentences -----------------------------------------------------------------------------------


def test_the_designs_that_come_back_early_are_named():
    text = words.say_designs(POLICIES)
    assert "2 of 7 may hand out an address before the TLB flush" in text
    assert ": rfc12, scaled-chunk. " in text
    assert "only purge-and-reset neither" in text
    table = words.designs_table(POLICIES)
    assert of(table, design="rfc12")["flush"] == "maybe before the flush"
    assert of(table, design="rfc10")["lost"] == "tails and padding of every chunk"
    assert "0 of" not in words.say_designs(["mainline"])


def test_streams_that_do_not_fit_are_named(points):
    text = words.say_streams(points, 2, 12_000)
    assert "Mainline itself cannot serve all of *xfs* on i386" in text
    assert "machine of x86_64-4level: the requests of *smp1*" in text
    assert "cannot serve" not in words.say_streams(points.filter("fits"), 1, 5)


def test_the_place_of_the_patches_is_said_both_ways(points):
    rows = points.filter("fits", design="rfc12", asked=8 * MIB)
    assert words.author_table(points, 8 * MIB).height == rows.height
    nowhere = points.with_columns(front=pl.col("front") & (pl.col("design") != "rfc12"))
    assert "on the front of none of" in words.say_author(nowhere, 8 * MIB)
    every = points.with_columns(front=pl.col("front") | (pl.col("design") == "rfc12"))
    assert f"for {rows.height} of {rows.height} streams" in words.say_author(every, 8 * MIB)
    assert "not among" in words.say_author(points.filter(design="mainline"), 8 * MIB)
    posted = points.filter("fits", design="rfc10", asked=8 * MIB)
    platform = posted["platform"][0]
    here = posted.filter(platform=platform)
    text = words.say_posted(points, platform, 8 * MIB)
    assert f"for {here.filter('front').height} of {here.height} streams" in text
    assert f"at worst {words.rate_text(max(here['visits']))} visits" in text
    assert "not among" in words.say_posted(points.filter(design="mainline"), platform, 8 * MIB)
    short = points.with_columns(usable=pl.lit(False), failures=pl.lit(0))
    places = words.author_table(short, 8 * MIB)["place"].unique().to_list()
    assert places == ["not judged: the stream is too short to use up its chunks"]
    failed = short.with_columns(failures=pl.lit(7))
    assert "7 requests fail" in words.author_table(failed, 8 * MIB)["place"][0]


def test_the_recommendation_and_what_changes_it(points):
    for barely in (1.0, 2000.0):
        for platform in PLATFORMS:
            chosen = choice.choose(choice.candidates(points, platform), 0.032, barely)
            text = advice.say_recommendation(points, platform, 0.032, barely)
            assert f"the rule takes {chosen['design']}" in text
            assert ("No overlay, that is." in text) == (not DESIGNS[chosen["design"]].rules.overlay)
    assert "a margin below" in advice.say_change(points, "x86_64-4level", 0.032, 2000.0)
    text = advice.say_change(points, "x86_64-4level", 0.032, 1.0)
    assert "a margin from" in text
    assert "a budget below" in text
    gone = points.filter("fits", stream="xfs")
    assert "nothing is recommended" in advice.say_recommendation(gone, "i386", 0.032, 1.0)
    assert "no single stream changes that" in advice.say_change(gone, "i386", 0.032, 1.0)


def test_the_tables_of_the_advice(points):
    table = advice.advice_table(points, PLATFORMS, 0.032, 1.0, 8 * MIB)
    assert of(table, platform="x86_64-4level", what="patches")["verdict"].startswith(
        "left out: maybe before the flush"
    )
    taken = table.filter(verdict="taken")
    assert taken["platform"].to_list() == PLATFORMS
    for row in taken.iter_rows(named=True):
        assert row["design"].split()[0] in advice.say_advice(points, PLATFORMS, 0.032, 1.0)
    changes = advice.change_table(points, PLATFORMS, 0.032, 1.0)
    assert changes["platform"].unique(maintain_order=True).to_list() == PLATFORMS
    text = advice.say_size(points, PLATFORMS, 0.032, 2000.0, 8 * MIB)
    assert text == "The rule takes no overlay on x86_64-4level, i386."
    text = advice.say_size(points, PLATFORMS[:1], 1.0, 1e-6, 8 * MIB)
    assert "chunk" in text


def test_platforms_without_any_stream_are_an_error(points):
    assert study.first_that_fits(points) == "x86_64-4level"
    with pytest.raises(InputError, match="mainline serves none of them"):
        study.first_that_fits(points.filter(~pl.col("fits")))


# --- the chapter ---------------------------------------------------------------------------------
