"""Step functions: limits from both sides, integrals, quantiles, intervals."""

import numpy as np
import pytest

from trueness.censoring import KaplanMeierCensoring, StepFunction

CURVE = StepFunction([1.0, 2.5, 4.0], [0.8, 0.5, 0.0], [0.1, 0.2, np.nan], last=6.0, label="G")


def test_values_on_both_sides_of_jumps():
    at = np.array([[0.0, 1.0, 1.5], [2.5, 4.0, 9.0]])
    assert CURVE(at).tolist() == [[1.0, 0.8, 0.8], [0.5, 0.0, 0.0]]
    assert CURVE(at, side="left").tolist() == [[1.0, 1.0, 0.8], [0.8, 0.5, 0.0]]
    assert CURVE(2.5) == 0.5
    assert isinstance(CURVE(2.5), float)
    assert CURVE(np.nextafter(2.5, 0.0)) == CURVE(2.5, side="left")


def test_integrals_by_hand():
    assert CURVE.integral(4.0) == pytest.approx(1.0 + 1.5 * 0.8 + 1.5 * 0.5)
    assert CURVE.integral(3.0, 2.0) == pytest.approx(0.5 * 0.8 + 0.5 * 0.5)
    assert CURVE.integral(10.0) == CURVE.integral(4.0)
    assert CURVE.integral(0.5) == 0.5
    assert CURVE.integral(2.0, 2.0) == 0.0


def test_quantiles_are_first_times():
    assert [CURVE.quantile(p) for p in (0.1, 0.2, 0.5, 0.51, 1.0)] == [1.0, 1.0, 2.5, 4.0, 4.0]
    assert StepFunction([1.0], [0.8]).quantile(0.5) == np.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        CURVE.quantile(1.5)


def test_intervals_hold_the_curve_and_stay_inside():
    limits = CURVE.conf_int(0.9)
    assert (limits["conf_low"][:2] > 0.0).all()
    assert (limits["conf_high"][:2] < 1.0).all()
    assert (limits["conf_low"][:2] < CURVE.values[:2]).all()
    assert (limits["conf_high"][:2] > CURVE.values[:2]).all()
    assert limits.iloc[2].isna().all()
    wider = CURVE.conf_int(0.99)
    assert (wider["conf_low"][:2] < limits["conf_low"][:2]).all()
    with pytest.raises(ValueError, match="no standard errors"):
        StepFunction([1.0], [0.5]).conf_int()


def test_a_value_object():
    assert StepFunction([1.0], [0.5]) == StepFunction((1,), (0.5,))
    assert StepFunction([1.0], [0.5]) != StepFunction([1.0], [0.4])
    assert StepFunction([1.0], [0.5]) != StepFunction([1.0], [0.5], last=3.0)
    assert StepFunction([1.0], [0.5]) != "a curve"
    with pytest.raises(ValueError, match="read-only"):
        CURVE.values[0] = 2.0
    mine = np.array([0.5])
    curve = StepFunction([1.0], mine)
    mine[0] = 0.1
    assert curve.values[0] == 0.5
    assert repr(CURVE) == "<StepFunction 'G': 3 jumps, 0 at 6>"
    assert CURVE.to_frame().columns.tolist() == ["time", "survival", "std_error"]


def test_no_jump_at_all():
    curve = KaplanMeierCensoring().fit(None, [1.0, 2.0], [1, 1]).curve()
    assert len(curve.times) == 0
    assert curve(5.0) == 1.0
    assert curve.last == 2.0
    assert curve.integral(3.0) == 3.0


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        ([2.0, 1.0], [0.5, 0.4], "increasing"),
        ([1.0, 1.0], [0.5, 0.4], "increasing"),
        ([1.0, np.nan], [0.5, 0.4], "increasing"),
        ([1.0], [0.5, 0.4], "one length"),
    ],
)
def test_curves_that_are_none(times, values, message):
    with pytest.raises(ValueError, match=message):
        StepFunction(times, values)
