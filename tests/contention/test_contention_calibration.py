import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmalloc_model.contention.calibration import cycle_times, fit, rise
from vmalloc_model.contention.queueing import Lock
from vmalloc_model.errors import InputError

TIMES = st.floats(min_value=20, max_value=2000)


@settings(max_examples=30)
@given(TIMES, TIMES, TIMES)
def test_known_costs_are_recovered_from_their_own_times(think, hold, handover):
    jobs = [1, 2, 3, 5, 9, 32]
    times = cycle_times(jobs, think, Lock(hold, handover))
    found = fit(jobs, times, handover=True)
    assert found.error < 1e-5
    assert (found.think, found.lock.hold) == pytest.approx((think, hold), rel=1e-2)
    assert found.lock.handover == pytest.approx(handover, rel=1e-2)


def test_a_constant_lock_is_recovered_without_a_hand_over():
    times = cycle_times([1, 4, 16], 300.0, Lock(100.0))
    found = fit([1, 4, 16], times, handover=False)
    assert (found.think, found.lock.hold) == pytest.approx((300.0, 100.0), rel=1e-6)
    assert found.lock.handover == 0


def test_what_no_law_can_do_leaves_an_error():
    found = fit([1, 2, 32], [576.0, 2684.0, 21087.0], handover=True)
    assert found.error > 0.2
    nudged = fit([1, 2, 32], [576.0, 2684.0, 90000.0], handover=True)
    assert nudged.error < 0.05


def test_the_rise_is_model_free():
    assert rise([1, 2, 4, 8], cycle_times([1, 2, 4, 8], 1.0, Lock(1.0, 3.0))) < 1.01
    assert rise([1, 2, 4], [1.0, 4.0, 4.0]) == 2.0
    assert rise([1], [1.0]) == 1.0


def test_bad_input():
    with pytest.raises(InputError, match="fit_jobs"):
        fit([1, 2], [1.0, 2.0], handover=True)
    with pytest.raises(InputError, match="not times"):
        fit([1, 2], [1.0, 0.0], handover=False)
    with pytest.raises(InputError, match="not times"):
        fit([1, 2], [1.0, np.inf], handover=False)
