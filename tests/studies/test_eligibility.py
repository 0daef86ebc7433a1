import pytest

from vmalloc_model.callers import SECTIONS, load_modules
from vmalloc_model.runs import find_run, read_requests
from vmalloc_model.studies import eligibility

MIB = 1 << 20
RUN = "smp4-sync"


def admitted(size, align, inside, chunk):
    """The diff of 10/12 in one line."""
    return inside and 0 < size <= chunk // 2 and align <= chunk // 2


@pytest.fixture(scope="module")
def requests():
    return read_requests(RUN).select("size", "align", "in_window").rows()


@pytest.mark.parametrize(("page", "guard"), [(4096, 1), (16384, 1), (4096, 0)])
def test_shares_are_those_of_a_plain_count(requests, page, guard):
    chunks = [MIB, 8 * MIB, 32 * MIB]
    table = eligibility.eligible_table([RUN], chunks, 64 * MIB, page, guard)
    modules = load_modules()

    def area(payload):
        return -(-payload // page) * page + guard * page

    sections = [modules[f"{one}_bytes"].to_list() for one in SECTIONS]
    streams = {
        RUN: requests,
        "module sections": [(area(size), 1, True) for part in sections for size in part if size],
        ".ko files": [(area(size), 1, True) for size in modules["file_bytes"]],
    }
    assert table.height == len(streams) * 4 * 2
    for row in table.iter_rows(named=True):
        stream = streams[row["stream"]]
        good = [one for one in stream if admitted(*one, row["chunk_size"])]
        if row["measure"] == "requests":
            counted, whole = len(good), len(stream)
        else:
            counted, whole = sum(one[0] for one in good), sum(one[0] for one in stream)
        assert (row["admitted"], row["total"]) == (counted, whole)
        assert row["share"] == counted / whole


def test_the_chunk_size_is_always_among_those_swept():
    table = eligibility.eligible_table([RUN], [MIB], 2 * MIB, 4096, 1)
    assert sorted(set(table["chunk_size"])) == [MIB, 2 * MIB]


@pytest.mark.parametrize("chunk", [64 * MIB, 4 * MIB])
def test_rules_are_those_of_a_plain_count(requests, chunk):
    row = eligibility.rules_table([RUN], chunk).row(0, named=True)
    assert row["requests"] == len(requests)
    assert row["outside"] == sum(not inside for _, _, inside in requests)
    half = chunk // 2
    inside = [(size, align) for size, align, there in requests if there]
    assert row["over_half"] == sum(size > half for size, _ in inside)
    assert row["align"] == sum(size <= half < align for size, align in inside)
    code = sum(size <= half and align <= half for size, align in inside)
    comment = sum(size <= half and align <= 4096 for size, align in inside)
    assert row["code"] == row["rfc12"] == code / len(requests)
    assert row["comment"] == comment / len(requests)
    assert comment < code


def test_at_64_mib_the_code_rejects_nothing_in_the_window_of_the_recorded_runs():
    table = eligibility.rules_table(["smp1", "oplog-rfc10"], 64 * MIB)
    assert table["over_half"].to_list() == [0, 0]
    assert table["align"].to_list() == [0, 0]
    text = eligibility.say_rules(table, 64 * MIB)
    inside = sum(read_requests(run)["in_window"].sum() for run in ("smp1", "oplog-rfc10"))
    assert f"At 64 MiB the code rejects none of {inside:,} requests" in text
    assert text.count(" to ") == 2


def test_at_1_mib_the_caption_counts_the_rejected():
    table = eligibility.rules_table(["smp1"], MIB)
    rejected = table["over_half"][0] + table["align"][0]
    assert rejected > 2000
    assert f"rejects {rejected:,} of " in eligibility.say_rules(table, MIB)


def test_no_section_was_in_the_standard_window():
    named = eligibility.module_window(["smp1", "oplog-stock", "oplog-rfc10"])
    assert named.rows() == [("oplog-stock", 428, 0), ("oplog-rfc10", 428, 0)]
    text = eligibility.say_module_window(["oplog-rfc10"])
    assert text == (
        "Where a recording names the caller, none of the 428 requests for module sections in "
        "oplog-rfc10 is in the standard window."
    )
    both = eligibility.say_module_window(["oplog-stock", "oplog-rfc10"])
    assert both.endswith(
        "none of the 428 requests for module sections in oplog-stock and none of the 428 in "
        "oplog-rfc10 are in the standard window."
    )
    assert "do not name" in eligibility.say_module_window(["smp1"])


def test_the_caption_says_what_smaller_chunks_lose():
    runs, chunks = ["smp1"], [16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB]
    table = eligibility.eligible_table(runs, chunks, 64 * MIB, 4096, 1)
    text = eligibility.say_eligible(table, 64 * MIB)
    assert "A chunk of 64 MiB admits 86.6 % (smp1), 100 % (module sections)" in text
    assert "no chunk shown admits more of smp1." in text
    assert "32 MiB would lose 2 of 16,820 (smp1) and 1 of 4,230 (.ko files)." in text
    smaller = eligibility.say_eligible(table, 32 * MIB)
    assert "below 100 % (.ko files)" in smaller
    assert "admits more" not in smaller


def test_the_summary_has_one_row_for_each_measure_and_chunk():
    table = eligibility.eligible_table([RUN], [MIB], 64 * MIB, 4096, 1)
    summary = eligibility.eligible_summary(table)
    assert summary.columns == ["measure", "chunk", RUN, "module sections", ".ko files"]
    assert summary.height == 4


def test_a_run_keeps_its_own_page_size():
    assert find_run(RUN).page_size == 4096
    small = eligibility.eligible_table([RUN], [MIB], MIB, 4096, 1).filter(stream=RUN)
    large = eligibility.eligible_table([RUN], [MIB], MIB, 65536, 1).filter(stream=RUN)
    assert small.equals(large)
