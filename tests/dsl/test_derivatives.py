"""Each model's derivative agrees with differences of its moments, its totals with its rows."""

import numpy as np
import pytest
from scipy.special import expit

from trueness.dsl.numerics import (
    LINEAR,
    LOGISTIC,
    POISSON,
    CustomModel,
    MultinomialModel,
    Problem,
    Sample,
    TwoStageModel,
)

N, K = 60, 3


def student(X, y, theta):
    """A smooth robust regression with a scale: a moment that is no gradient."""
    residual = y - X @ theta[:-1]
    score = residual / (np.exp(theta[-1]) + residual**2)
    return np.column_stack([X * score[:, None], residual * score - 0.5])


def square(X, y, theta):
    """Return the moment X (y - (X theta)^2)."""
    return X * (y - (X @ theta) ** 2)[:, None]


def square_derivative(X, y, theta):
    return -2 * (X @ theta)[:, None, None] * X[:, :, None] * X[:, None, :]


MODELS = {
    "linear": (LINEAR, K, None),
    "logistic": (LOGISTIC, K, None),
    "poisson": (POISSON, K, None),
    "multinomial": (MultinomialModel(), 2 * K, "indicators"),
    "two-stage": (TwoStageModel(np.random.default_rng(0).normal(size=(4, K))), K, None),
    "custom": (CustomModel(student, None, np.zeros(K + 1)), K + 1, None),
    "custom with derivative": (CustomModel(square, square_derivative, np.zeros(K)), K, None),
}


def sample(seed, kind):
    rng = np.random.default_rng(seed)
    outcome = rng.random((N, 2)) if kind == "indicators" else 2 * rng.random(N)
    return Sample(rng.normal(size=(N, K)), outcome, rng.normal(size=(N, 4)))


def differences(function, beta):
    """Return derivatives by Richardson's extrapolation of central differences."""
    columns = []
    for j in range(len(beta)):
        step = np.zeros_like(beta)
        step[j] = 1e-3
        wide, narrow = (
            (function(beta + h * step) - function(beta - h * step)) / (2e-3 * h) for h in (2, 1)
        )
        columns.append((4 * narrow - wide) / 3)
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("signed", [False, True])
def test_information_is_minus_the_derivative_of_the_total(name, signed):
    """With weights of both signs, as 1 - 1/pi is negative on labelled rows."""
    model, n_params, kind = MODELS[name]
    rng = np.random.default_rng(1)
    part, beta = sample(2, kind), 0.3 * rng.normal(size=n_params)
    weight = rng.normal(size=N) if signed else rng.uniform(0.5, 2.0, N)
    expected = -differences(lambda b: model.total(part, b, weight), beta)
    np.testing.assert_allclose(
        model.information(part, beta, weight), expected, rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize("name", MODELS)
def test_totals_are_sums_of_rows(name):
    model, n_params, kind = MODELS[name]
    rng = np.random.default_rng(3)
    part, beta, weight = sample(4, kind), 0.3 * rng.normal(size=n_params), rng.normal(size=N)
    assert model.n_params(part) == n_params
    moments = model.moment(part, beta)
    assert moments.shape == (N, n_params)
    np.testing.assert_allclose(model.total(part, beta, weight), weight @ moments, rtol=1e-10)
    rows = np.array([5, 3, 8])
    np.testing.assert_allclose(model.moment(part.rows(rows), beta), moments[rows], rtol=1e-12)
    informations = [model.information(part, beta, np.eye(N)[i]) * weight[i] for i in range(N)]
    np.testing.assert_allclose(
        model.information(part, beta, weight), np.sum(informations, axis=0), rtol=1e-7, atol=1e-8
    )


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_judged_on_numbers_linear_in_the_parameters(name):
    model, n_params, kind = MODELS[name]
    rng = np.random.default_rng(5)
    part = sample(6, kind)
    first, second = rng.normal(size=(2, n_params))
    together = model.predictor(part, first + 2 * second)
    apart = model.predictor(part, first) + 2 * model.predictor(part, second)
    np.testing.assert_allclose(together, apart, rtol=1e-12, atol=1e-12)


def problem(name, share, *, weighted):
    """A partly labelled equation whose two versions differ everywhere."""
    model, n_params, kind = MODELS[name]
    rng = np.random.default_rng(7)
    labelled = np.flatnonzero(rng.random(N) < 0.5)
    return Problem(
        model=model,
        predicted=sample(8, kind),
        gold=sample(9, kind).rows(labelled),
        labelled=labelled,
        probability=expit(rng.normal(size=len(labelled))),
        sample_weight=rng.uniform(0.5, 2.0, N) if weighted else None,
        share=share,
    ), 0.3 * rng.normal(size=n_params)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_corrected_equation_has_the_derivative_it_states(name, share, weighted):
    posed, beta = problem(name, share, weighted=weighted)
    np.testing.assert_allclose(
        posed.jacobian(beta), -differences(posed.mean_moment, beta), rtol=1e-7, atol=1e-8
    )
    moments = posed.moments(beta)
    np.testing.assert_allclose(moments.mean(axis=0), posed.mean_moment(beta), rtol=1e-10)
    # Written out: a (share (1 - w) predicted + w gold), and a (gold - share predicted).
    model, weight, w = posed.model, posed.analysis_weight, np.zeros(N)
    w[posed.labelled] = 1 / posed.probability
    gold = np.zeros_like(moments)
    gold[posed.labelled] = model.moment(posed.gold, beta)
    hat = share * model.moment(posed.predicted, beta)
    expected = weight[:, None] * ((1 - w)[:, None] * hat + w[:, None] * gold)
    np.testing.assert_allclose(moments, expected, rtol=1e-10, atol=1e-12)
    errors = (weight[:, None] * (gold - hat))[posed.labelled]
    np.testing.assert_allclose(posed.errors(beta), errors, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["linear", "logistic", "poisson", "multinomial"])
def test_growth_is_what_the_objective_does_far_out(name):
    """Y eta - b(eta) along t d, divided by t, for a large t."""
    model, n_params, kind = MODELS[name]
    part = sample(10, kind)
    direction = np.random.default_rng(11).normal(size=n_params)
    growth = model.growth(part, direction)
    if name == "linear":  # a square always wins: no root lies at infinity
        assert growth is None
        return
    change = model.predictor(part, direction)
    t = 400.0
    if name == "multinomial":
        log_partition = np.logaddexp.reduce(np.hstack([np.zeros((N, 1)), t * change]), axis=1)
        objective = (part.outcome * t * change).sum(axis=1) - log_partition
    elif name == "logistic":
        objective = part.outcome * t * change - np.logaddexp(0, t * change)
    else:
        down = change < 0
        assert (growth[~down] == -np.inf).all()
        objective = part.outcome * t * change - np.exp(np.minimum(t * change, 0))
        growth, objective = growth[down], objective[down]
    np.testing.assert_allclose(growth, objective / t, atol=2 / t)


def test_two_stage_must_be_bound():
    part = sample(12, None)
    with pytest.raises(ValueError, match="not bound"):
        TwoStageModel().moment(part, np.zeros(K))
    with pytest.raises(ValueError, match="needs instruments"):
        MODELS["two-stage"][0].moment(part._replace(instruments=None), np.zeros(K))


def test_the_first_stage_uses_both_versions():
    """Pi = S_ZZ^-1 S_ZX with corrected cross moments, not from gold or predicted rows alone."""
    posed, _ = problem("two-stage", 1.0, weighted=True)
    weight, w = posed.analysis_weight, np.zeros(N)
    w[posed.labelled] = 1 / posed.probability
    gold = Sample(*(np.zeros_like(part) for part in posed.predicted))
    for part, known in zip(gold, posed.gold, strict=True):
        part[posed.labelled] = known

    def cross(part):
        scale = (weight * (w if part is gold else 1 - w))[:, None]
        square = part.instruments.T @ (scale * part.instruments)
        return square, part.instruments.T @ (scale * part.design)

    (a, b), (c, d) = cross(posed.predicted), cross(gold)
    first_stage = np.linalg.solve(a + c, b + d)
    np.testing.assert_allclose(posed.bound().model.first_stage, first_stage, rtol=1e-8)
