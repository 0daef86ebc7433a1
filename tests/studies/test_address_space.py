import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.datafiles import ROOT, data_path
from vmalloc_model.errors import InputError
from vmalloc_model.platforms import load_platforms
from vmalloc_model.runs import find_run, measured_overlay
from vmalloc_model.studies import address_measured, address_space, address_stated
from vmalloc_model.studies.platform_rows import chosen, end_text, range_text
from vmalloc_model.traces.oplog import read_oplog

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
RFC10 = address_measured.MeasuredChunks("oplog-rfc10", 2, 64 * MIB, 71, 0, 222_031_872)
SOME = ["x86_64-4level", "i386", "riscv32", "arm64-36bit-16k", "mips64-64k"]


@pytest.fixture
def data(tmp_path, monkeypatch):
    """``data(name, old, new)``: the report's data with one text of one file replaced."""
    for entry in (ROOT / "data").iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    monkeypatch.setenv("VMALLOC_MODEL_DATA", str(tmp_path))

    def replace(name, old, new):
        path = tmp_path / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.unlink()
        path.write_text(text.replace(old, new), encoding="utf-8")

    return replace


# --- rows of platforms ---------------------------------------------------------------------------


def test_platforms_come_smallest_first_and_unknown_ones_are_refused():
    assert [one.id for one in chosen(SOME)][:2] == ["i386", "riscv32"]
    assert len(chosen(None)) == len(load_platforms())
    with pytest.raises(InputError, match="x86_64-4level"):
        chosen(["x86_64-4levl"])


def test_a_bound_is_said():
    assert range_text(load_platforms()["i386"]) == "at least 120 MiB"
    assert range_text(load_platforms()["mips64-64k"]).startswith("at most ")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (64 * MIB, "64 MiB"),
        (64 * MIB + 4096, "64.004 MiB"),
        (8 * GIB + 4096, "just over 8 GiB"),
        (8 * GIB - 4096, "just under 8 GiB"),
        (0, "0 B"),
    ],
)
def test_a_size_is_not_rounded_to_another_round_size(size, text):
    assert end_text(size) == text


# --- reserved share ------------------------------------------------------------------------------


@given(
    counts=st.lists(st.integers(1, 10_000), min_size=1, max_size=4, unique=True),
    chunk=st.sampled_from([MIB, 4 * MIB, 64 * MIB, GIB]),
    shares=st.lists(st.sampled_from([1e-6, 0.01, 0.1, 0.5, 1.0]), min_size=1, unique=True),
)
def test_reserved_shares_as_written_out(counts, chunk, shares):
    table = address_space.reserved_over_cpus(SOME, counts, chunk, shares)
    assert table.height == len(SOME) * len(counts)
    known = load_platforms()
    for row in table.iter_rows(named=True):
        one = known[row["platform"]]
        share = row["cpus"] * chunk / one.size
        assert row["share"] == share
        assert row["reserved"] == row["cpus"] * chunk
        assert row["band_index"] == sum(share >= limit for limit in shares)
        assert row["possible"] == (row["cpus"] <= one.nr_cpus_max)
        assert row["chunks_fit"] == one.usable_size // chunk
        assert row["overfull_from"] * chunk > one.size >= (row["overfull_from"] - 1) * chunk


def test_a_share_on_a_limit_belongs_to_the_band_above():
    table = address_space.reserved_over_cpus(["riscv32"], [7, 8, 9], 64 * MIB)
    assert table["share"].to_list() == [7 / 8, 1, 9 / 8]
    assert table["band"].to_list() == ["10 % to 100 %", "100 % or more", "100 % or more"]


def test_the_reserved_caption_names_the_ranges_that_are_too_small():
    table = address_space.reserved_over_cpus(SOME, [1, 32, 512, 8192], 64 * MIB)
    said = address_space.say_reserved(table, 64 * MIB)
    # the counts shown are 32 and 512; the ranges are full earlier
    assert "i386 (from 2 CPUs on)" in said
    assert "riscv32 (from 9 CPUs on)" in said
    assert "arm64-36bit-16k (from 462 CPUs on)" in said
    # 8,192 CPUs are possible on x86_64 only, and less than 2 % there
    assert said.endswith("at most 1.56 % at the CPU counts shown (x86_64-4level, 8,192 CPUs).")


@pytest.mark.parametrize(
    ("ids", "counts", "chunk", "expected"),
    [
        (["x86_64-4level"], [1, 32], 64 * MIB, "fits every range"),
        (["i386"], [32], 64 * MIB, "more than the whole range on i386"),
        (["i386"], [8192], 64 * MIB, "can be built for"),
        (["i386", "riscv32"], [1, 2], 4 * MIB, "takes most on i386, 6.67 % with 2 CPUs"),
    ],
)
def test_the_reserved_caption_in_other_cases(ids, counts, chunk, expected):
    table = address_space.reserved_over_cpus(ids, counts, chunk)
    said = address_space.say_reserved(table, chunk)
    assert expected in said
    assert ("On the other" in said) is False


def test_the_plain_text_of_the_map_has_a_row_per_platform():
    table = address_space.reserved_over_cpus(SOME, [1, 2, 4, 8192], 64 * MIB)
    short = address_space.reserved_summary(table)
    assert short["platform"].to_list() == table["platform"].unique(maintain_order=True).to_list()
    assert short.filter(platform="i386")["at 8192"].item() == "-"
    assert short.filter(platform="x86_64-4level")["at 8192"].item() == "1.56 %"


# --- CPUs at a share -----------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [4 * MIB, 64 * MIB])
def test_cpus_at_a_share_by_counting_up(chunk):
    ids = ["i386", "arm", "riscv32", "arm64-36bit-16k"]
    known = load_platforms()
    for row in address_space.cpu_limits(ids, chunk, [0.01, 0.25, 1.0]).iter_rows(named=True):
        one = known[row["platform"]]
        cpus = 1
        while cpus * chunk / one.size < row["share"]:
            cpus += 1
        assert row["cpus"] == cpus
        reached = {
            "by default": cpus <= one.nr_cpus_default,
            "at most": one.nr_cpus_default < cpus <= one.nr_cpus_max,
            "never": cpus > one.nr_cpus_max,
        }
        assert reached[row["reached"]]


def test_the_caption_on_limits_counts_platforms():
    table = address_space.cpu_limits(["i386", "x86_64-4level", "x86_64-5level"], 64 * MIB, [0.01])
    said = address_space.say_cpu_limits(table, 64 * MIB)
    assert "Of 3 platforms" in said
    assert "1 % on 1 with the default NR_CPUS and on 2 with its maximum" in said
    assert address_space.cpu_limits_summary(table)["1 %"].to_list() == [1, 5243, 2097152]


# --- 32-bit --------------------------------------------------------------------------------------


def test_the_chunks_of_32_bit():
    table = address_space.small_ranges(64 * MIB)
    rows = {row["platform"]: row for row in table.iter_rows(named=True)}
    assert set(rows) == {one.id for one in load_platforms().values() if one.pointer_size == 4}
    assert (rows["i386"]["chunks_fit"], rows["i386"]["left"]) == (1, "56 MiB")
    assert (rows["arm"]["chunks_fit"], rows["arm"]["without_chunk"]) == (3, 1)
    said = address_space.say_small(table, 64 * MIB)
    assert "i386 1 for 8 CPUs" in said


def test_small_chunks_are_enough_for_all_on_32_bit():
    table = address_space.small_ranges(4 * MIB)
    assert set(table["without_chunk"]) == {0}
    assert "holds a 4 MiB chunk for each CPU" in address_space.say_small(table, 4 * MIB)


def test_some_32_bit_ranges_are_large_enough():
    said = address_space.say_small(address_space.small_ranges(32 * MIB), 32 * MIB)
    assert "i386 3 for 8 CPUs" in said
    assert "1 other 32-bit range holds enough" in said


# --- memory --------------------------------------------------------------------------------------


def test_memory_beside_a_chunk():
    table = address_space.metadata(64 * MIB, [4 * KIB, 16 * KIB, 64 * KIB])
    found = {(row["label"], row["what"]): row["bytes"] for row in table.iter_rows(named=True)}
    assert found == {
        ("64-bit, 4 KiB pages", "back-pointers"): 128 * KIB,
        ("64-bit, 4 KiB pages", "page tables"): 128 * KIB,
        ("64-bit, 16 KiB pages", "back-pointers"): 32 * KIB,
        ("64-bit, 16 KiB pages", "page tables"): 32 * KIB,
        ("64-bit, 64 KiB pages", "back-pointers"): 8 * KIB,
        # a table maps 512 MiB there, and there is no eighth of a table
        ("64-bit, 64 KiB pages", "page tables"): 64 * KIB,
        ("32-bit, 4 KiB pages", "back-pointers"): 64 * KIB,
        ("32-bit, 4 KiB pages", "page tables"): 64 * KIB,
    }
    assert "never less than one table" in address_space.say_metadata(table, 64 * MIB)


def test_memory_where_tables_are_full():
    table = address_space.metadata(GIB, [4 * KIB])
    assert "take the same again" in address_space.say_metadata(table, GIB)
    assert set(table["bytes_text"]) == {"2 MiB", "1 MiB"}


# --- the calculator's ranges ---------------------------------------------------------------------


def test_the_calculator_offers_every_range_the_mails_two_and_ones_own():
    table = address_space.calculator_ranges()
    assert set(table["platform"]) - set(load_platforms()) == {
        "mail-x86_64",
        "mail-arm64",
        address_space.OWN_RANGE,
    }
    x86 = table.row(by_predicate=pl.col("platform") == "x86_64-4level", named=True)
    assert x86["range_size"] - x86["usable_size"] == 4096
    own = table.row(by_predicate=pl.col("platform") == address_space.OWN_RANGE, named=True)
    assert own["range_size"] is None


def test_the_calculators_caption():
    said = address_space.say_calculator("riscv64-sv39", 64, 16 * MIB)
    assert "With 64 CPUs, chunks of 16 MiB reserve 1 GiB, which is 1.56 % of the 64 GiB" in said


# --- a recorded run ------------------------------------------------------------------------------


def test_what_chunks_took_page_by_page():
    found = address_measured.measured_chunks("oplog-rfc10")
    overlay = measured_overlay("oplog-rfc10")
    assert found == RFC10
    assert (found.chunks, found.reused) == (overlay.refills, overlay.reused)
    assert found.reserved == 71 * 64 * MIB
    # every page of every chunk, taken or not
    taken = {base: bytearray(64 * MIB // 4096) for base in overlay.chunks["base"]}
    log = read_oplog(find_run("oplog-rfc10").path).filter(pl.col("addr").is_not_null())
    changes = log.filter(pl.col("op").is_in(["chunk_reserve", "tree_alloc", "tree_free"]))
    for op, addr, size in changes.select("op", "addr", "size").iter_rows():
        for base, pages in taken.items():
            if base <= addr < base + 64 * MIB:
                first, count = (addr - base) // 4096, size // 4096
                now = int(op != "tree_free")
                assert pages[first : first + count] == bytes([1 - now]) * count
                pages[first : first + count] = bytes([now]) * count
    assert found.taken == 4096 * sum(sum(pages) for pages in taken.values())


def test_a_run_without_the_overlay_is_refused():
    with pytest.raises(InputError, match="no overlay"):
        address_measured.measured_chunks("oplog-stock")


def test_addresses_at_the_ends_of_chunks():
    bases = pl.Series([8, 32], dtype=pl.UInt64).to_numpy()
    addresses = pl.Series([0, 7, 8, 15, 16, 31, 32, 39, 40], dtype=pl.UInt64).to_numpy()
    found = address_measured._inside(addresses, bases, 8).tolist()
    assert found == [False, False, True, True, False, False, True, True, False]


# --- as stated and as checked --------------------------------------------------------------------


def quantity(name):
    rows = address_stated.cost_as_stated(RFC10).rows(named=True)
    return next(row for row in rows if row["quantity"].startswith(name))


@pytest.mark.parametrize(
    ("name", "stated", "checked"),
    [
        # "32 * 64 MB = 2 GB = 1.6 % of the range"
        ("reserved by 32 CPUs", "2 GiB", "2 GiB"),
        ("share of the x86_64", "1.5625 %, rounded 1.6 %", "0.0061 %"),
        # "Doubling to 128 MB pushes the x86_64 reservation to 3.2 %"
        (
            "the same with 128 MiB",
            "3.125 %, rounded 3.1 % (twice the rounded share is 3.2 %)",
            "0.012 %",
        ),
        # "At 64 MB this is 128 KB per chunk", "a constant 0.2 % overhead"
        (
            "metadata per chunk",
            "128 KiB",
            "128 KiB, 32 KiB and 8 KiB with pages of 4 KiB, 16 KiB and 64 KiB; on 32-bit 64 KiB",
        ),
        (
            "metadata as a share",
            "0.19531 %, rounded 0.2 %",
            "0.2 %, 0.049 % and 0.012 % with pages of",
        ),
        # "(256 PB vmalloc), the cost is negligible"
        ("share of the arm64", "1 in 134,217,728", "0.0016 % to 0.004 %"),
        # "Each CPU pins a chunk-sized reservation"
        ("chunks that 2 CPUs reserve in all (MEASURED)", "2 (128 MiB)", "71 (4.438 GiB)"),
        ("taken of these chunks at the end (MEASURED)", "128 MiB", "211.746 MiB"),
    ],
)
def test_the_numbers_of_argument_3(name, stated, checked):
    row = quantity(name)
    assert row["stated"] == stated
    assert checked in row["checked"]


def test_what_the_mail_says_is_in_the_mail():
    mail = " ".join(data_path("patch/patch-10-of-12.txt").read_text(encoding="utf-8").split())
    for row in address_stated.cost_as_stated(RFC10).iter_rows(named=True):
        assert row["mail"] in mail, row["mail"]


def test_only_the_last_two_rows_are_measured():
    table = address_stated.cost_as_stated(RFC10)
    marked = table["quantity"].str.contains("MEASURED").to_list()
    assert marked == [False] * (table.height - 2) + [True] * 2
    said = address_stated.say_cost_as_stated(RFC10)
    assert "in oplog-rfc10, 2 CPUs reserved 71 chunks, 4.438 GiB; 211.746 MiB of it" in said
    assert said.endswith("The argument counts 128 MiB.")


@pytest.mark.parametrize(
    ("chunks", "taken", "moved"),
    [
        (71, 212 * MIB, ["used-up chunks are replaced", "what is left in used-up chunks"]),
        (2, 128 * MIB, ["none", "none"]),
        (1, 60 * MIB, ["CPUs without a chunk", "areas given back"]),
    ],
)
def test_what_makes_a_measured_difference(chunks, taken, moved):
    measured = RFC10._replace(chunks=chunks, taken=taken)
    assert address_stated.cost_as_stated(measured)["moved_by"].to_list()[-2:] == moved


def test_the_mails_share_is_that_of_8192_cpus():
    found = address_stated.stated_share()
    assert (found.stated, found.cpus_for_stated) == (1 / 64, 8192)


def test_the_captions_as_the_data_stands():
    said = address_stated.say_cost_as_stated(RFC10)
    assert "the share is 1.6 %" in said
    assert "256 times less" in said
    assert "negligible, as the mail says" in said
    assert "though no range there has the size that it names. The last two rows" in said
    said = address_stated.say_ranges(address_stated.ranges())
    assert "No platform has a range of 128 GiB" in said
    assert "the largest of all is 16 PiB (riscv64-sv57)" in said
    assert "256 and 102,400 times 128 GiB" in said
    assert "VMALLOC_SPACE" in address_stated.say_origins()
    assert "256 PiB is 1,024 times 256 TiB" in address_stated.say_origins()


def test_another_x86_64_range_changes_numbers_and_sentences(data):
    data("platforms.csv", "0xffffc90000000000,35184372088832", "0xffffc90000000000,137438953472")
    assert quantity("share of the x86_64")["checked"] == "1.56 %"
    said = address_stated.say_cost_as_stated(RFC10)
    assert "The share on x86_64 is the one the mail gives" in said
    said = address_stated.say_ranges(address_stated.ranges())
    assert "128 GiB is the range of x86_64-4level" in said
    assert address_stated.stated_share().cpus_for_stated == 32
    table = address_space.reserved_over_cpus(["x86_64-4level"], [4096], 64 * MIB)
    assert "more than the whole range on x86_64-4level" in address_space.say_reserved(
        table, 64 * MIB
    )


def test_a_small_arm64_range_is_not_called_negligible(data):
    data("platforms.csv", "0xffff800080000000,136473651183616", "0xffff800080000000,1099511627776")
    said = address_stated.say_cost_as_stated(RFC10)
    assert "On arm64 with 52-bit addresses it is up to 0.2 %" in said
    assert "negligible" not in said


def test_another_guess_changes_the_likely_origin(data):
    data("kernel-facts.toml", 'guess_64bit = "128G"', 'guess_64bit = "512G"')
    assert "VMALLOC_SPACE" not in address_stated.say_origins()


def test_other_premises_change_the_stated_side(data):
    data("premises.toml", 'value = "256P"', 'value = "4P"')
    assert quantity("share of the arm64")["stated"] == "1 in 2,097,152"
    assert "4 PiB is also the size of either half" in address_stated.say_origins()
