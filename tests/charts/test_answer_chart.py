"""The drawing of fig-answer."""

from vmalloc_model.charts import answer as drawing
from vmalloc_model.studies import answer

READING = answer.Reading(4096, 1, "x86_64-4level", "smp4-sync", 1.0, 0.032)


def spec(table):
    return drawing.chart(table, 64 << 20, answer.LEAST, answer.MOST).to_dict()


def test_every_reading_has_a_bar_between_its_ends_and_its_words():
    table = answer.allowed(READING)
    [rows] = spec(table)["datasets"].values()
    cases = [row for row in rows if row["case"] is not None]
    for row, source in zip(cases, table.to_dicts(), strict=True):
        assert (row["low"], row["high"]) == (source["low"], source["high"])
        assert row["words"] == f"{source['premises']}: {source['case']}"
        assert row["chunk"] == 64 << 20


def test_every_argument_has_a_heading_above_its_rows():
    table = answer.allowed(READING)
    [rows] = spec(table)["datasets"].values()
    assert [row["row"] for row in rows] == list(range(len(rows)))
    heading = None
    for row in rows:
        if row["case"] is None:
            heading = row["argument"]
        assert row["argument"] == heading
    heads = [row["argument"] for row in rows if row["case"] is None]
    assert heads == table["argument"].unique(maintain_order=True).to_list()


def test_the_axis_is_the_one_of_the_study():
    bars = spec(answer.allowed(READING))["layer"][0]
    assert bars["encoding"]["x"]["scale"]["domain"] == [answer.LEAST, answer.MOST]
    assert bars["encoding"]["x"]["axis"]["values"][-1] == answer.MOST


def test_both_readings_keep_their_colours():
    bars = spec(answer.allowed(READING))["layer"][0]
    assert bars["encoding"]["color"]["scale"]["domain"] == [answer.STATED, answer.CHECKED]
