"""Average marginal effects of predicted covariates: the stacked equation written out."""

import numpy as np
import pytest
from effects_data import ESTIMATORS, N, design, effects_of_rows, fit_partly, make, row_arguments
from scipy.optimize import root
from written_out import Equation, Version, draw_middle, fixed_size_moments, middle

from trueness.crossfit import combine_repeats
from trueness.dsl import DSLLogisticRegression


def stacked(model, data, weight):
    """Solve moments of coefficients and effects at once; differentiate them numerically."""
    outcome = lambda y: (y[:, None] == [1, 2]).astype(float)  # noqa: E731
    kept = outcome if model == "multinomial" else np.asarray
    predicted = Version(design(data.hat), kept(data.machine))
    gold = Version(design(data.gold), kept(data.y))
    equation = Equation(model, predicted, gold, data.drawn, data.probability, weight)
    p, q = (8, 9) if model == "multinomial" else (4, 3)

    def rows(theta):
        beta, tau = theta[:p], theta[p:]
        averages = equation.mixed(lambda part: effects_of_rows(model, part.design, beta) - tau)
        return np.hstack([equation.moments(beta), averages])

    start = np.append(equation.solve(np.zeros(p)), np.zeros(q))
    theta = root(lambda theta: rows(theta).mean(axis=0), start, tol=1e-13).x
    steps = 1e-5 * np.eye(p + q)
    derivative = [(rows(theta + s) - rows(theta - s)).mean(axis=0) / 2e-5 for s in steps]
    gaps = effects_of_rows(model, gold.design, theta[:p])
    gaps = gaps - effects_of_rows(model, predicted.design, theta[:p])
    errors = np.hstack([equation.errors(theta[:p]), (weight[:, None] * gaps)[data.drawn]])
    return theta, rows(theta), -np.transpose(derivative), errors, slice(p, p + q)


SETTINGS = {
    "unequal probabilities": {},
    "weights": {"weighted": True},
    "clusters": {"clusters": "firm"},
    "weights, two-way clusters": {"weighted": True, "clusters": "pairs"},
    "CR1": {"clusters": "firm", "covariance": "CR1"},
    "HC1": {"covariance": "HC1"},
    "simple random": {"design": "srswor"},
    "simple random, weights, clusters": {
        "design": "srswor",
        "weighted": True,
        "clusters": "firm",
    },
    "population": {"target": "population", "weighted": True},
    "population, simple random": {"target": "population", "design": "srswor"},
}


def expected_middle(data, setting, moments, errors, n_params):
    """Return the sum of outer products that the setting asks for."""
    fixed_size = setting.get("design") == "srswor"
    if setting.get("target") == "population":
        return draw_middle(errors, data.probability[data.drawn], fixed_size=fixed_size)
    if fixed_size:
        moments = fixed_size_moments(moments, errors, data.drawn)
    clusters = getattr(data, setting["clusters"]) if "clusters" in setting else None
    kind = setting.get("covariance")
    factor = N / (N - n_params) if kind == "HC1" else 1.0
    return factor * middle(moments, clusters, n_params=n_params if kind == "CR1" else None)


@pytest.mark.parametrize("model", ESTIMATORS)
@pytest.mark.parametrize("name", SETTINGS)
def test_predicted_covariates_equal_the_stacked_equation(model, name):
    setting = SETTINGS[name]
    data = make(model, 2, fixed_size="design" in setting)
    arguments, options = row_arguments(data, setting)
    fit = fit_partly(model, data, arguments, **options)
    effects = fit.average_marginal_effects()
    weight = data.weight / data.weight.mean() if "weighted" in setting else np.ones(N)
    theta, moments, jacobian, errors, own = stacked(model, data, weight)
    np.testing.assert_allclose(effects.params, theta[own], rtol=1e-7)
    bread = np.linalg.inv(jacobian)
    total = expected_middle(data, setting, moments, errors, n_params=own.start)
    cov = (bread @ total @ bread.T / N**2)[own, own]
    np.testing.assert_allclose(effects.std_errors, np.sqrt(np.diag(cov)), rtol=1e-7)
    np.testing.assert_allclose(effects.cov, cov, atol=1e-7 * cov.max())
    assert effects.influence.shape == (N, len(effects.names))


@pytest.mark.parametrize("kind", ["HC2", "HC3", "CR2"])
def test_leverage_adjusts_the_part_of_the_coefficients(kind):
    data = make("logistic")
    clusters = data.firm if kind == "CR2" else None
    fit = fit_partly("logistic", data, {"clusters": clusters}, covariance=kind)
    plain = fit_partly("logistic", data, {"clusters": clusters})
    beta = plain.results_.params
    effects, before = fit.average_marginal_effects(), plain.average_marginal_effects()
    equation = Equation(
        "logistic",
        Version(design(data.hat), data.machine),
        Version(design(data.gold), data.y),
        data.drawn,
        data.probability,
        np.ones(N),
    )
    average = lambda beta: equation.mixed(  # noqa: E731
        lambda part: effects_of_rows("logistic", part.design, beta)
    ).mean(axis=0)
    steps = 1e-5 * np.eye(4)
    gradient = np.transpose([(average(beta + s) - average(beta - s)) / 2e-5 for s in steps])
    more = gradient @ (fit.results_.cov - plain.results_.cov) @ gradient.T
    np.testing.assert_allclose(effects.cov, before.cov + more, rtol=1e-7)
    assert (effects.std_errors > 1.001 * before.std_errors).all()


def test_repeats_are_combined_by_medians():
    """Each repeat equals a fit that takes its predictions as they are."""
    data = make("logistic")
    y = np.where(data.drawn, data.y, np.nan)
    model = DSLLogisticRegression(tuning=None, learner="linear", n_repeats=3, random_state=4)
    fit = model.fit(data.gold, y, surrogates=data.machine)
    effects = fit.average_marginal_effects()
    alone = [
        DSLLogisticRegression(tuning=None, learner=None)
        .fit(data.gold, y, surrogates=prediction[:, 0])
        .average_marginal_effects()
        for prediction in fit._fitted.predictions
    ]
    params, cov, split_cov = combine_repeats(
        np.stack([one.params for one in alone]), np.stack([one.cov for one in alone])
    )
    assert np.ptp([one.params for one in alone], axis=0).min() > 1e-5
    np.testing.assert_allclose(effects.params, params, rtol=1e-7)
    np.testing.assert_allclose(effects.cov, cov, rtol=1e-7)
    np.testing.assert_allclose(effects.split_cov, split_cov, rtol=1e-5)
    influence = np.mean([one.influence for one in alone], axis=0)
    np.testing.assert_allclose(effects.influence, influence, atol=1e-6)
