"""Average marginal effects: textbook limits, what is averaged, coverage."""

import numpy as np
import pytest
import statsmodels.api as sm
from effects_data import (
    CLASSES,
    NAMES,
    N,
    design,
    effects_of_rows,
    fit_complete,
    fit_partly,
    make,
    row_arguments,
)
from scipy.special import expit

from trueness.dsl import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

RTOL = 1e-8

# ---------------------------------------------------------------------- limits


LINEAR = {
    "HC0": {},
    "HC1": {"covariance": "HC1"},
    "HC2": {"covariance": "HC2"},
    "HC3": {"covariance": "HC3"},
    "CR0": {"clusters": "firm"},
    "CR1": {"covariance": "CR1", "clusters": "firm"},
    "CR2": {"covariance": "CR2", "clusters": "firm"},
    "two-way": {"covariance": "CR1", "clusters": "pairs"},
    "weights": {"covariance": "HC3", "weighted": True},
    "fixed effects": {"covariance": "CR1", "clusters": "firm", "fixed_effects": "pairs"},
    "simple random": {"design": "srswor", "covariance": "HC2"},
    "population": {"target": "population"},
    "population, simple random": {"target": "population", "design": "srswor"},
}


@pytest.mark.parametrize("setting", LINEAR)
def test_linear_effects_are_the_coefficients(setting):
    data = make("linear", fixed_size="simple random" in setting)
    arguments, options = row_arguments(data, LINEAR[setting])
    fit = fit_partly("linear", data, arguments, **options)
    effects, slopes = fit.average_marginal_effects(), slice(-3, None)
    results = fit.results_
    assert effects.names == NAMES
    np.testing.assert_allclose(effects.params, results.params[slopes], rtol=RTOL)
    np.testing.assert_allclose(effects.cov, results.cov[slopes, slopes], rtol=RTOL)
    tolerance = {"rtol": 1e-6, "atol": 1e-6 * np.abs(results.influence).max()}
    np.testing.assert_allclose(effects.influence, results.influence[:, slopes], **tolerance)
    assert (effects.df, effects.n_params) == (results.df, results.n_params)


def test_linear_effects_keep_the_spread_of_repeats():
    data = make("linear")
    fit = DSLLinearRegression(tuning=None, learner="linear", n_repeats=4, random_state=1).fit(
        data.gold, np.where(data.drawn, data.y, np.nan), surrogates=data.machine
    )
    effects, slopes = fit.average_marginal_effects(), slice(1, None)
    for name in ("cov", "split_cov"):
        ours, theirs = (getattr(result, name) for result in (effects, fit.results_))
        np.testing.assert_allclose(ours, theirs[slopes, slopes], rtol=1e-6)


THEIRS = {"logistic": sm.Logit, "poisson": sm.Poisson, "multinomial": sm.MNLogit}


@pytest.mark.parametrize("model", THEIRS)
def test_complete_data_equal_statsmodels(model):
    """Their standard errors count the coefficients alone, ours the rows as well."""
    data = make(model)
    fit = fit_complete(model, data)
    has_dummies = model != "multinomial"  # MNLogit cannot take the discrete change of c
    margins = (
        THEIRS[model](data.y, design(data.gold))
        .fit(disp=0, method="newton", tol=1e-14, maxiter=100, cov_type="HC0")
        .get_margeff(at="overall", dummy=has_dummies)
    )
    variables = list(NAMES if has_dummies else NAMES[:2])
    theirs, their_errors = (
        np.asarray(values)[: len(variables)].T.ravel()
        for values in (margins.margeff, margins.margeff_se)
    )
    effects = fit.average_marginal_effects(variables=variables)
    coefficients_only = fit.average_marginal_effects(data.gold[::-1], variables=variables)
    np.testing.assert_allclose(effects.params, theirs, rtol=RTOL)
    np.testing.assert_allclose(coefficients_only.params, theirs, rtol=RTOL)
    np.testing.assert_allclose(coefficients_only.std_errors, their_errors, rtol=RTOL)


@pytest.mark.parametrize("model", ["logistic", "poisson", "multinomial"])
def test_rows_and_coefficients_are_the_two_parts_of_the_influence(model):
    data = make(model)
    fit = fit_complete(model, data)
    effects = fit.average_marginal_effects()
    coefficients_only = fit.average_marginal_effects(data.gold[::-1])
    rows = effects_of_rows(model, design(data.gold), fit.results_.params)
    np.testing.assert_allclose(effects.params, rows.mean(axis=0), rtol=RTOL)
    sampling = effects.influence - coefficients_only.influence
    np.testing.assert_allclose(sampling, rows - rows.mean(axis=0), atol=1e-9)
    cov = effects.influence.T @ effects.influence / N**2
    np.testing.assert_allclose(effects.cov, cov, rtol=1e-10, atol=1e-10 * cov.max())


def test_two_stage_effects_are_the_coefficients():
    rng = np.random.default_rng(3)
    z, u = rng.normal(size=(2, N))
    X = np.column_stack([z + u + rng.normal(size=N), rng.normal(size=N)])
    y = X @ [0.5, 1.0] + 2 * u + rng.normal(size=N)
    fit = DSLTwoStageLeastSquares(tuning=None, endogenous=0).fit(X, y, instruments=z)
    effects = fit.average_marginal_effects()
    np.testing.assert_allclose(effects.params, fit.coef_, rtol=RTOL)
    np.testing.assert_allclose(effects.std_errors, fit.results_.std_errors[1:], rtol=RTOL)


# ---------------------------------------------------------------------- what is averaged


def test_own_rows_are_recognised_with_their_gaps():
    data = make("logistic")
    fit = fit_partly("logistic", data)
    own = data.gold.copy()
    own.loc[~data.drawn, ["b", "c"]] = np.nan
    left_out, given = fit.average_marginal_effects(), fit.average_marginal_effects(own)
    np.testing.assert_array_equal(given.cov, left_out.cov)
    assert given.header["Averaged over"] == "the 800 rows of the fit"
    with pytest.raises(ValueError, match=r"column 'b' is NaN on .* leave X out"):
        fit.average_marginal_effects(own[1:])


def test_other_rows_are_fixed():
    data = make("multinomial")
    fit = fit_partly("multinomial", data)
    rows = data.gold[:50]
    effects = fit.average_marginal_effects(rows, variables=["c", "a"])
    at = lambda beta: effects_of_rows("multinomial", design(rows), beta).mean(axis=0)  # noqa: E731
    expected = fit.results_.delta_method(at, [f"{j}{v}" for j in CLASSES for v in NAMES])
    kept = [2, 0, 5, 3, 8, 6]
    np.testing.assert_allclose(effects.params, expected.params[kept], rtol=RTOL)
    np.testing.assert_allclose(effects.std_errors, expected.std_errors[kept], rtol=1e-7)
    assert effects.names[:3] == ("centre: c", "centre: a", "left: c")
    assert effects.header["Averaged over"] == "50 rows given as X, taken as fixed"
    assert effects.header["Discrete changes"] == "c (0 to 1)"
    both = effects.linear_combination("`left: a` + `right: a` + `centre: a`")
    assert abs(both.params[0]) < 1e-12  # probabilities sum to one


def test_constant_columns_have_no_effect():
    data = make("poisson")
    frame = data.gold.assign(one=1.0)
    fit = DSLPoissonRegressor(tuning=None, fit_intercept=False).fit(frame, data.y)
    effects, usual = (f.average_marginal_effects() for f in (fit, fit_complete("poisson", data)))
    assert effects.names == NAMES
    np.testing.assert_allclose(effects.cov, usual.cov, rtol=1e-6)


def test_unit_of_a_variable_is_the_unit_of_its_effect():
    data = make("logistic")
    scaled = data.gold.assign(a=50 + 0.1 * data.gold["a"])
    fit = DSLLogisticRegression(tuning=None).fit(scaled, data.y)
    effects, usual = (f.average_marginal_effects() for f in (fit, fit_complete("logistic", data)))
    np.testing.assert_allclose(effects.params, usual.params * [10, 1, 1], rtol=1e-7)
    np.testing.assert_allclose(effects.std_errors, usual.std_errors * [10, 1, 1], rtol=1e-7)


def test_bad_questions():
    data = make("logistic")
    fit = fit_complete("logistic", data)
    with pytest.raises(ValueError, match="no variable 'aa'.* Did you mean 'a'"):
        fit.average_marginal_effects(variables="aa")
    with pytest.raises(ValueError, match="a variable is named twice"):
        fit.average_marginal_effects(variables=["a", "a"])
    with pytest.raises(ValueError, match="there is none"):
        fit.average_marginal_effects(variables=[])
    mean = DSLEstimator(lambda X, y, theta: (y - theta)[:, None] * np.ones((1, 1)), start=[0.0])
    with pytest.raises(ValueError, match="says nothing of the mean.*delta_method"):
        mean.fit(data.gold, data.y).average_marginal_effects()


# ---------------------------------------------------------------------- coverage


@pytest.mark.parametrize("n_replicates", [250, pytest.param(2500, marks=pytest.mark.slow)])
def test_intervals_cover_the_effects_in_the_population(n_replicates):
    """A predicted covariate with errors that depend on the outcome."""
    n, beta = 700, np.array([0.2, 1.0, -0.8])
    points, errors = [], []
    for seed in range(n_replicates):
        rng = np.random.default_rng([20240606, seed])
        a, c = rng.normal(size=n), (rng.random(n) < 0.4).astype(float)
        y = (rng.random(n) < expit(beta[0] + beta[1] * a + beta[2] * c)).astype(float)
        machine = a + 0.5 * y + 0.5 * rng.normal(size=n)
        drawn = rng.random(n) < 0.4
        X = np.column_stack([np.where(drawn, a, np.nan), c])
        model = DSLLogisticRegression(
            tuning=None, learner=None, predicted_features=0, normalize=False
        )
        fit = model.fit(X, y, surrogates=machine, sampling_probability=0.4)
        effects = fit.average_marginal_effects()
        points.append(effects.params)
        errors.append(effects.std_errors)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    chance = lambda c: expit(beta[0] + beta[1] * nodes + beta[2] * c)  # noqa: E731
    slope = sum(w * chance(c) * (1 - chance(c)) for c, w in ((0, 0.6), (1, 0.4)))
    truth = np.array([beta[1] * weights @ slope, weights @ (chance(1) - chance(0))])
    points, errors = np.array(points), np.array(errors)
    covered = (np.abs(points - truth) < 1.96 * errors).mean(axis=0)
    four_errors = 4 * np.sqrt(0.95 * 0.05 / n_replicates)
    np.testing.assert_array_less(np.abs(covered - 0.95), four_errors)
    ratio = errors.mean(axis=0) / points.std(axis=0)
    np.testing.assert_array_less(np.abs(ratio - 1), 4 / np.sqrt(2 * n_replicates))
