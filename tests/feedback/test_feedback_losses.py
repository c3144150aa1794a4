"""Losses of scores, and bias and variance of their estimates from clicks."""

from itertools import product

import numpy as np
import pytest

from trueness.feedback.numerics.losses import (
    LOSSES,
    RISKS,
    click_risk,
    ideal_risk,
    pair_losses,
    risk_bias,
    risk_variance,
)

RNG = np.random.default_rng(0)
GAMMA, THETA = RNG.uniform(0.05, 0.95, 7), RNG.uniform(0.05, 0.95, 7)
SCORES = RNG.normal(0.3, 1.0, 7)
OPTIONS = {"wmf": {"weight": 3.0}, "clipped": {"clip": 0.4}}


def every_outcome(risk, loss, **options):
    """Return probability and estimated loss of each of the possible clicks on seven pairs."""
    rate = GAMMA * THETA
    outcomes = np.array(list(product([0.0, 1.0], repeat=len(rate))))
    probability = np.prod(np.where(outcomes == 1.0, rate, 1.0 - rate), axis=1)
    shared = {"risk": risk, "loss": loss, "relevance": GAMMA, **options}
    return probability, np.array([click_risk(y, SCORES, THETA, **shared) for y in outcomes])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("risk", RISKS)
def test_bias_and_variance_are_those_of_all_possible_clicks(risk, loss):
    options = OPTIONS.get(risk, {})
    probability, values = every_outcome(risk, loss, **options)
    mean = probability @ values
    variance = probability @ (values - mean) ** 2
    shared = {"risk": risk, "loss": loss, **options}
    bias = risk_bias(GAMMA, THETA, SCORES, **shared)
    assert mean - ideal_risk(GAMMA, SCORES, loss) == pytest.approx(bias, rel=1e-10, abs=1e-13)
    assert variance == pytest.approx(risk_variance(GAMMA, THETA, SCORES, **shared), rel=1e-10)
    assert (abs(bias) < 1e-13) == (risk == "unbiased")


@pytest.mark.parametrize("loss", LOSSES)
def test_clip_0_is_unbiased_and_clip_1_is_naive(loss):
    clicks = RNG.random(7) < 0.5
    for clip, risk in ((0.0, "unbiased"), (1.0, "naive")):
        given, named = {"risk": "clipped", "clip": clip}, {"risk": risk}
        for options in (given, named):
            options["loss"] = loss
        assert click_risk(clicks, SCORES, THETA, **given) == click_risk(
            clicks, SCORES, THETA, **named
        )
        for formula in (risk_bias, risk_variance):
            assert formula(GAMMA, THETA, SCORES, **given) == formula(GAMMA, THETA, SCORES, **named)


def test_clipping_trades_variance_for_bias():
    clips = np.linspace(0.0, 1.0, 21)
    variance = [risk_variance(GAMMA, THETA, SCORES, clip=clip) for clip in clips]
    assert (np.diff(variance) <= 0).all() and variance[-1] < variance[0]
    # With scores of 0 all pairs err in the same direction.
    bias = [risk_bias(GAMMA, THETA, 0.0 * SCORES, clip=clip) for clip in clips]
    assert (np.diff(bias) <= 0).all() and bias[0] == 0.0 > bias[-1]


def test_losses_by_hand():
    one, zero = pair_losses(np.array([0.0, 2.0]), "squared_sigmoid")
    p = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(one, [0.25, (1 - p) ** 2])
    np.testing.assert_allclose(zero, [0.25, p**2])
    one, zero = pair_losses(np.array([0.0, 2.0, 1000.0]), "cross_entropy")
    np.testing.assert_allclose(one, [np.log(2), -np.log(p), 0.0], rtol=1e-12)
    np.testing.assert_allclose(zero, [np.log(2), -np.log(1 - p), 1000.0], rtol=1e-12)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="loss='hinge' is unknown; choose one of 'squared'"):
        pair_losses([0.0], "hinge")
    with pytest.raises(ValueError, match="risk='doubly_robust' is unknown; choose one of 'naive'"):
        click_risk([0.0], [0.0], risk="doubly_robust")
