import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmalloc_model.errors import InputError
from vmalloc_model.pareto import on_front

SMALL = st.integers(0, 6)
POINTS = st.lists(st.tuples(SMALL, SMALL), max_size=40)


def plain(points):
    """By the definition: compare each with every other."""

    def beats(one, other):
        return one[0] <= other[0] and one[1] <= other[1] and one != other

    return [not any(beats(other, one) for other in points) for one in points]


@given(POINTS)
def test_the_front_is_what_the_definition_says(points):
    x, y = [one[0] for one in points], [one[1] for one in points]
    assert on_front(x, y).tolist() == plain(points)


@given(st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=40))
def test_the_front_does_not_depend_on_order_or_on_stretching(points):
    x, y = np.array(points).T
    front = on_front(x, y)
    assert front.any()
    assert on_front(x[::-1], y[::-1])[::-1].tolist() == front.tolist()
    assert on_front(y, x).tolist() == front.tolist()
    assert on_front(np.exp(x), 3 * y + 1).tolist() == front.tolist()


def test_equal_points_stay_together():
    assert on_front([1, 1, 2, 2], [3, 3, 2, 3]).tolist() == [True, True, True, False]
    assert on_front([], []).tolist() == []


@pytest.mark.parametrize(
    ("x", "y"), [([1], [1, 2]), ([[1]], [[1]]), ([np.nan], [1]), ([1], [np.inf])]
)
def test_what_are_no_points_is_refused(x, y):
    with pytest.raises(InputError, match="points"):
        on_front(x, y)
