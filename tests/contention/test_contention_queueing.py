"""The queue against hand-made numbers, exact fractions, bounds, and its own slow twin."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.contention.queueing import (
    Lock,
    asymptotes,
    balanced_bounds,
    knee,
    repairman,
    throughput,
)
from vmalloc_model.errors import InputError

TIMES = st.floats(min_value=1e-3, max_value=1e3)


def exact(cpus, think, holds):
    """Balance of the birth-death chain, in fractions."""
    weights = [Fraction(1)]
    for n in range(1, cpus + 1):
        weights.append(
            weights[-1] * Fraction(cpus - n + 1) / Fraction(think) * Fraction(holds[n - 1])
        )
    done = sum(w / Fraction(h) for w, h in zip(weights[1:], holds, strict=True))
    return done / sum(weights)


def mean_values(cpus, think, holds):
    """The load-dependent recursion of Reiser and Lavenberg, which subtracts."""
    states = [1.0]
    for n in range(1, cpus + 1):
        response = sum((j + 1) * holds[j] * states[j] for j in range(n))
        rate = n / (think + response)
        rest = [rate * holds[j] * states[j] for j in range(n)]
        states = [1.0 - sum(rest), *rest]
    return rate


def test_one_and_two_cpus_by_hand():
    # alone: one visit in think + hold; two: the second waits for what is left of the first
    assert repairman(2, 3.0, 1.0).tolist() == pytest.approx([1 / 4, 8 / 17])
    assert throughput(1, 3.0, Lock(1.0, 5.0)) == pytest.approx(1 / 4)
    # weights 1, 2/3, 2/9 * 2 with a second holding time of 2
    assert throughput(2, 3.0, Lock(1.0, 1.0)) == pytest.approx(
        (2 / 3 + 2 / 9) / (1 + 2 / 3 + 4 / 9)
    )


@given(st.integers(1, 60), TIMES, TIMES)
def test_mean_value_analysis_is_the_product_form_of_a_constant_lock(cpus, think, hold):
    assert throughput(cpus, think, Lock(hold)) == pytest.approx(
        repairman(cpus, think, hold)[-1], rel=1e-9
    )


@given(
    st.integers(1, 20),
    st.integers(1, 50),
    st.integers(1, 20),
    st.integers(0, 20),
    st.integers(0, 5),
)
def test_sums_of_logarithms_are_exact(cpus, think, hold, handover, per_waiter):
    lock = Lock(hold, handover, per_waiter)
    holds = [int(one) for one in lock.holds(cpus)]
    assert throughput(cpus, think, lock) == pytest.approx(
        float(exact(cpus, think, holds)), rel=1e-12
    )


@given(st.integers(1, 60), TIMES, TIMES, TIMES)
def test_mean_value_analysis_with_states_is_the_product_form(cpus, think, hold, handover):
    lock = Lock(hold, handover)
    assert throughput(cpus, think, lock) == pytest.approx(
        mean_values(cpus, think, lock.holds(cpus)), rel=1e-6
    )


@given(st.integers(1, 200), TIMES, TIMES)
def test_bounds_hold_and_more_cpus_never_do_less(cpus, think, hold):
    rates = repairman(cpus, think, hold)
    counts = np.arange(1, cpus + 1)
    low, high = balanced_bounds(counts, think, hold)
    room = 1 + 1e-9
    assert (rates <= asymptotes(counts, think, hold) * room).all()
    assert (low <= rates * room).all()
    assert (rates <= high * room).all()
    assert (np.diff(rates) >= -1e-9 * rates[0]).all()


@given(st.integers(2, 40), TIMES, TIMES, TIMES, TIMES)
def test_a_lock_that_gets_dearer_never_recovers(cpus, think, hold, handover, per_waiter):
    """What rules such locks out for the published times: a rate that falls and rises again."""
    lock = Lock(hold, handover, per_waiter)
    rates = np.array([throughput(n, think, lock) for n in range(1, cpus + 1)])
    steps = np.diff(rates)
    fallen = np.flatnonzero(steps < -1e-9 * rates[0])
    if len(fallen):
        assert (steps[fallen[0] :] < 1e-9 * rates[0]).all()


def test_many_cpus_are_stable():
    assert repairman(8192, 1e4, 1.0)[-1] == pytest.approx(
        throughput(8192, 1e4, Lock(1.0)), rel=1e-9
    )
    for think in (1e-3, 1.0, 1e9):
        rate = throughput(8192, think, Lock(0.5, 2.0))
        assert 0 < rate <= min(8192 / (think + 0.5), 1 / 0.5) * (1 + 1e-9)


def test_the_knee_is_where_the_asymptotes_meet():
    lock = Lock(1.0, 3.0)
    at = knee(7.0, lock)
    assert at == 2.0
    assert at / (7.0 + 1.0) == 1 / (1.0 + 3.0)
    with pytest.raises(InputError, match="no knee"):
        knee(7.0, Lock(1.0, 3.0, 0.1))


def test_a_wrong_holding_time_is_noticed():
    """The comparisons above are sharp enough to see one per cent."""
    right, wrong = throughput(8, 7.0, Lock(1.0)), throughput(8, 7.0, Lock(1.01))
    assert abs(wrong / right - 1) > 1e-3


def test_no_think_time_is_a_full_queue():
    assert throughput(5, 0.0, Lock(2.0, 1.0)) == pytest.approx(1 / 3)
    assert repairman(5, 0.0, 2.0)[-1] == pytest.approx(1 / 2)


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda: Lock(0.0), "hold"),
        (lambda: Lock(1.0, -1.0), "handover"),
        (lambda: Lock(1.0, 0.0, math.inf), "per_waiter"),
        (lambda: throughput(0, 1.0, Lock(1.0)), "cpus"),
        (lambda: throughput(1.5, 1.0, Lock(1.0)), "cpus"),
        (lambda: throughput(1, math.nan, Lock(1.0)), "think"),
        (lambda: repairman(1 << 21, 1.0, 1.0), "cpus"),
    ],
)
def test_bad_input_is_one_line_with_its_place(call, place):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.where == f"$.{place}"
    assert "\n" not in str(caught.value)
