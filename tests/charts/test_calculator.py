"""Vega evaluates the formulas of the sliders; they must equal `vmalloc_model.constraints`."""

import copy
import functools
import math

import pytest
import vl_convert

from vmalloc_model.charts import calculator
from vmalloc_model.constraints import chunk_slots, cpus_at_share, reserved, reserved_share
from vmalloc_model.platforms import load_platforms
from vmalloc_model.premises import load_premises
from vmalloc_model.studies.address_space import OWN_RANGE, calculator_ranges
from vmalloc_model.units import parse_size, size_text

MIB = 1 << 20

CASES = [
    ("x86_64-4level", 5, 26, 37),
    ("x86_64-4level", 13, 26, 37),
    ("x86_64-5level", 0, 20, 37),
    ("i386", 3, 26, 37),
    ("i386", 0, 30, 37),
    ("arm", 2, 24, 37),
    ("riscv32", 3, 26, 37),
    ("arm64-52bit-64k", 9, 27, 37),
    ("arm64-36bit-16k", 12, 23, 37),
    ("s390x", 9, 25, 37),
    ("mips64-4k", 8, 22, 37),
    ("mail-x86_64", 5, 27, 37),
    ("mail-arm64", 5, 26, 37),
    (OWN_RANGE, 7, 26, 26),
    (OWN_RANGE, 11, 21, 49),
]


@functools.cache
def built():
    """The chart as it is built, which takes longer than to draw it."""
    return calculator.chart(calculator_ranges(), "i386", 1, MIB).to_dict()


def spec(platform="x86_64-4level", cpu_shift=5, chunk_shift=26, own_shift=37):
    """The chart with its sliders moved."""
    made = copy.deepcopy(built())
    moved = {
        "platform": platform,
        "cpu_shift": cpu_shift,
        "chunk_shift": chunk_shift,
        "own_shift": own_shift,
    }
    params = {param["name"]: param for param in made["params"]}
    assert set(params) == set(moved)
    for name, value in moved.items():
        params[name]["value"] = value
    # the words are what is tested here; the curve costs most of the time
    made["layer"] = [layer for layer in made["layer"] if "text" in layer["encoding"]]
    return made


def texts(spec):
    """Every text mark of the drawn chart."""

    def walk(part):
        if isinstance(part, dict):
            if part.get("marktype") == "text" and str(part.get("name", "")).startswith("layer"):
                yield from (item.get("text", "") for item in part["items"])
            else:
                for value in part.values():
                    yield from walk(value)
        elif isinstance(part, list):
            for value in part:
                yield from walk(value)

    return list(walk(vl_convert.vegalite_to_scenegraph(spec)))


def evaluated(moved):
    """Each formula's value, printed with all digits by a text mark of its own."""
    line = next(
        layer for layer in moved["layer"] if layer["encoding"]["text"]["field"] == "reserved_text"
    )
    printed = "+ ' ' + ".join(f"format(datum.{name}, '.17g')" for name in calculator.FORMULAS)
    calculate = next(step for step in moved["transform"] if step.get("as") == "reserved_text")
    calculate["calculate"] = printed
    moved["layer"] = [line]
    numbers = next(text for text in texts(moved) if len(text.split()) == len(calculator.FORMULAS))
    values = [float(number.replace("\u2212", "-")) for number in numbers.split()]
    return dict(zip(calculator.FORMULAS, values, strict=True))


@pytest.mark.parametrize(("platform", "cpu_shift", "chunk_shift", "own_shift"), CASES)
def test_the_formulas_equal_the_package(platform, cpu_shift, chunk_shift, own_shift):
    stated = load_premises()["as-stated"]
    known = load_platforms().get(platform)
    size = {
        "mail-x86_64": stated.x86_64_range,
        "mail-arm64": stated.arm64_52_range,
        OWN_RANGE: 1 << own_shift,
    }.get(platform) or known.size
    usable = known.usable_size if known else size
    cpus, chunk = 1 << cpu_shift, 1 << chunk_shift
    slots = int(chunk_slots(chunk, usable))
    found = evaluated(spec(platform, cpu_shift, chunk_shift, own_shift))
    assert found["cpus"] == cpus
    assert found["chunk"] == chunk
    assert found["range_bytes"] == size
    assert found["usable_bytes"] == usable
    assert found["reserved"] == int(reserved(chunk, cpus))
    assert found["share"] == float(reserved_share(chunk, cpus, size))
    assert found["slots"] == slots
    if known:
        assert found["slots"] == known.slots(chunk)
    assert found["without"] == max(cpus - slots, 0)
    for name, share in (("one", 0.01), ("ten", 0.1), ("all", 1.0)):
        assert found[f"cpus_{name}"] == int(cpus_at_share(share, chunk, size)), name


def test_the_short_formula_for_cpus_is_enough_for_every_range_and_slider():
    stated = load_premises()["as-stated"]
    sizes = [one.size for one in load_platforms().values()]
    sizes += [stated.x86_64_range, stated.arm64_52_range, *(1 << shift for shift in range(26, 59))]
    for size in sizes:
        for chunk in (1 << shift for shift in range(12, 40)):
            for share in (0.01, 0.1, 1.0):
                short = max(math.ceil(share * size / chunk), 1)
                assert short == int(cpus_at_share(share, chunk, size)), (size, chunk, share)


def test_the_mails_numbers_are_on_the_screen():
    shown = texts(spec("mail-x86_64", 5, 26))
    assert "32 CPUs × 64 MiB = 2 GiB" in shown
    assert "1.5625 % of 128 GiB" in shown
    assert "2,048 chunks fit" in shown
    assert "3.125 % of 128 GiB" in texts(spec("mail-x86_64", 5, 27))


def test_too_many_cpus_are_said_in_words():
    shown = texts(spec("i386", 3, 26))
    assert {"426.67 % of 120 MiB", "TOO MANY: 1 chunk fits", "7 CPUs get none"} <= set(shown)
    assert "100 % from 2 CPUs on" in shown
    assert "1 % from 1 CPU on" in shown
    shown = texts(spec("i386", 0, 30))
    assert {"TOO MANY: 0 chunks fit", "1 CPU gets none"} <= set(shown)


def test_counts_that_no_kernel_can_be_built_for_are_said():
    assert "No kernel can be built for so many CPUs" in texts(spec("arm", 10, 26))
    for platform in ("x86_64-4level", "mail-x86_64", OWN_RANGE):
        shown = texts(spec(platform, 13, 20, 45))
        assert "No kernel can be built for so many CPUs" not in shown, platform
        assert not any("null" in text or "NaN" in text for text in shown), shown


@pytest.mark.parametrize("shift", [20, 26, 30])
def test_sizes_print_as_everywhere_else(shift):
    shown = texts(spec("x86_64-4level", 3, shift))
    chunk = 1 << shift
    assert f"8 CPUs × {size_text(chunk)} = {size_text(8 * chunk)}" in shown
    of = next(text for text in shown if " % of " in text)
    assert parse_size(of.split(" of ")[1]) == load_platforms()["x86_64-4level"].size


def test_the_sliders_start_where_the_notebook_says_and_reach_it():
    made = calculator.chart(calculator_ranges(), "s390x", 1 << 15, 4 * MIB >> 4).to_dict()
    params = {param["name"]: param for param in made["params"]}
    assert params["platform"]["value"] == "s390x"
    assert params["cpu_shift"]["value"] == params["cpu_shift"]["bind"]["max"] == 15
    assert params["chunk_shift"]["value"] == params["chunk_shift"]["bind"]["min"] == 18
    assert "s390x" in params["platform"]["bind"]["options"]
    assert len(params["platform"]["bind"]["labels"]) == len(params["platform"]["bind"]["options"])


def test_counts_between_powers_of_two_start_at_the_lower_one():
    made = calculator.chart(calculator_ranges(), "i386", 48, MIB).to_dict()
    params = {param["name"]: param for param in made["params"]}
    assert params["cpu_shift"]["value"] == 5
