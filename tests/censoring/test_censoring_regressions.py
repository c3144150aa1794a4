"""Regressions with standard errors: textbook limits, exact influence, refusals, input."""

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.base import clone

from trueness.censoring import (
    BeranCensoring,
    CensoredLinearRegression,
    CensoredLogisticRegression,
    CensoredQuantileRegression,
    CensoringWarning,
    CoxCensoring,
    KaplanMeierCensoring,
    survival_target,
)
from trueness.censoring.estimators.outcomes import training_curves
from trueness.censoring.horizon import survives
from trueness.censoring.inference.augmented import survival_outcomes
from trueness.censoring.numerics import curves
from trueness.censoring.targets import read_rows
from trueness.covariance import CovarianceWarning

N, HORIZON = 160, 2.0


@pytest.fixture(scope="module")
def sample():
    """Continuous durations, censored given x."""
    rng = np.random.default_rng(31)
    x = pd.DataFrame({"age": rng.normal(size=N), "arm": rng.integers(0, 2, N).astype(float)})
    duration = np.exp(0.4 * x.age) * rng.weibull(1.5, N)
    censored = 1.5 * np.exp(0.5 * x.age) * rng.exponential(size=N)
    return x, survival_target(np.minimum(duration, censored), duration <= censored)


@pytest.fixture(scope="module")
def complete():
    rng = np.random.default_rng(32)
    x = pd.DataFrame({"age": rng.normal(size=N), "arm": rng.integers(0, 2, N).astype(float)})
    return x, survival_target(np.exp(0.4 * x.age) * rng.weibull(1.5, N), np.ones(N))


MODELS = {
    "linear": CensoredLinearRegression(method="weights", horizon=HORIZON, floor=0.0),
    "logistic": CensoredLogisticRegression(1.0, method="weights", floor=0.0),
    "quantile": CensoredQuantileRegression(0.4, horizon=HORIZON, floor=0.0),
}


# ------------------------------------------------------------------------- textbook limits


KINDS = ["HC0", "HC2", "HC3"]


@pytest.mark.parametrize("method", ["weights", "doubly_robust"])
@pytest.mark.parametrize("kind", [*KINDS, "auto"])
def test_without_censoring_it_is_ordinary_least_squares(complete, method, kind):
    x, y = complete
    model = CensoredLinearRegression(method=method, covariance=kind, random_state=0).fit(x, y)
    is_auto = kind == "auto"
    expected = sm.OLS(y["time"], sm.add_constant(x)).fit(cov_type="HC3" if is_auto else kind)
    np.testing.assert_allclose(model.results_.params, expected.params, rtol=1e-10)
    np.testing.assert_allclose(model.results_.std_errors, expected.bse, rtol=1e-9)
    assert model.horizon_ is None
    assert model.results_.names == ("intercept", "age", "arm")


@pytest.mark.parametrize("kind", KINDS)
def test_without_censoring_case_weights_are_those_of_weighted_least_squares(complete, kind):
    x, y = complete
    weight = np.random.default_rng(4).uniform(0.2, 5.0, N)
    model = CensoredLinearRegression(method="weights", covariance=kind)
    found = model.fit(x, y, sample_weight=weight).results_
    expected = sm.WLS(y["time"], sm.add_constant(x), weights=weight).fit(cov_type=kind)
    np.testing.assert_allclose(found.std_errors, expected.bse, rtol=1e-9)


@pytest.mark.parametrize("method", ["weights", "doubly_robust"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_censoring_it_is_the_logit(complete, method, kind):
    x, y = complete
    model = CensoredLogisticRegression(1.0, method=method, covariance=kind, random_state=0)
    model.fit(x, y)
    target, design = (y["time"] > 1.0).astype(float), sm.add_constant(x)
    expected = sm.GLM(target, design, family=sm.families.Binomial()).fit(tol=1e-12)
    np.testing.assert_allclose(model.results_.params, expected.params, rtol=1e-7)
    # At the solution it is a problem of weighted least squares.
    share = expected.predict()
    variance = share * (1 - share)
    working = design @ expected.params + (target - share) / variance
    errors = sm.WLS(working, design, weights=variance).fit(cov_type=kind).bse
    np.testing.assert_allclose(model.results_.std_errors, errors, rtol=1e-6)
    np.testing.assert_allclose(model.predict_survival(x), expected.predict(), rtol=1e-6)
    np.testing.assert_array_equal(model.predict(x), model.predict_proba(x)[:, 1] > 0.5)


def test_without_censoring_it_is_the_median_regression(complete):
    x, y = complete
    model = CensoredQuantileRegression(0.5).fit(x, y)
    expected = sm.QuantReg(y["time"], sm.add_constant(x)).fit(p_tol=1e-10, max_iter=5000)
    # Reweighted least squares stop near the minimum.
    np.testing.assert_allclose(model.results_.params, expected.params, atol=1e-3)


def test_without_censoring_errors_of_the_median_are_those_of_statsmodels():
    rng = np.random.default_rng(33)
    x = pd.DataFrame({"age": rng.normal(size=4000)})
    y = survival_target(10 + x.age + rng.gamma(4.0, size=4000), np.ones(4000))
    model = CensoredQuantileRegression(0.5).fit(x, y)
    expected = sm.QuantReg(y["time"], sm.add_constant(x)).fit()
    # Two kernels and two bandwidths for one density.
    np.testing.assert_allclose(model.results_.std_errors, expected.bse, rtol=0.12)


# ------------------------------------------------------------------------- influence


def slopes(model, x, y, weight, rows, step):
    """Derivatives of the coefficients in case weights."""
    found = []
    for i in rows:
        up, down = weight.copy(), weight.copy()
        up[i] += step
        down[i] -= step
        gap = [clone(model).fit(x, y, sample_weight=w).results_.params for w in (up, down)]
        found.append((gap[0] - gap[1]) / (2 * step))
    return np.array(found)


@pytest.mark.parametrize("kind", ["linear", "logistic"])
@pytest.mark.parametrize("censoring", ["km", "cox"])
def test_influence_is_the_derivative_in_case_weights(sample, kind, censoring):
    x, y = sample
    model = clone(MODELS[kind]).set_params(censoring=censoring)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, N)
    weight /= weight.mean()
    rows = [0, 40, 41, 80] if censoring == "km" else [3, 50]
    # lifelines stops its Newton steps at 1e-7, so that smaller steps would measure that.
    expected = slopes(model, x, y, weight, rows, 1e-5 if censoring == "km" else 1e-2)
    found = model.fit(x, y, sample_weight=weight).results_.influence[rows] / weight[rows, None]
    tolerance = 1e-7 if censoring == "km" else 2e-3
    np.testing.assert_allclose(found / N, expected, atol=tolerance * np.abs(expected).max())


def test_a_floored_weight_does_not_move_with_the_curve(sample):
    x, y = sample
    model = CensoredLinearRegression(method="weights", censoring="km", horizon=HORIZON, floor=0.5)
    weight = np.ones(N)
    with pytest.warns(UserWarning, match="below the floor"):
        expected = slopes(model, x, y, weight, [5, 70], 1e-5)
        found = model.fit(x, y).results_.influence[[5, 70]]
    np.testing.assert_allclose(found / N, expected, atol=1e-7)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("clustered", [False, True])
def test_hc0_and_cr0_are_the_spread_of_the_influence(sample, kind, clustered):
    x, y = sample
    clusters = np.arange(N) // 4 if clustered else None
    model = clone(MODELS[kind]).set_params(censoring="km", covariance="CR0" if clustered else "HC0")
    found = model.fit(x, y, clusters=clusters).results_
    influence = found.influence
    if clustered:
        influence = influence.reshape(-1, 4, 3).sum(axis=1)
    np.testing.assert_allclose(found.cov, influence.T @ influence / N**2, rtol=1e-9)


@pytest.mark.parametrize("kind", MODELS)
def test_ignoring_the_noise_of_the_curve_would_widen_the_errors(sample, kind):
    x, y = sample
    model = clone(MODELS[kind]).set_params(censoring="km").fit(x, y)
    known = KaplanMeierCensoring().fit(None, y["time"], y["event"])
    at = np.minimum(y["time"], HORIZON if kind != "logistic" else np.nextafter(1.0, 2))
    inverse = 1 / known.survival(None, at, side="left")
    inverse[~(y["event"] | (y["time"] >= at)) | (y["time"] < at) & ~y["event"]] = 0.0
    design = np.column_stack([np.ones(N), x])
    if kind == "quantile":
        gap = np.minimum(y["time"], HORIZON) - model.predict(x)
        score = 0.4 - (gap < -1e-9)
    else:
        target = np.minimum(y["time"], HORIZON) if kind == "linear" else y["time"] > 1.0
        fitted = model.predict(x) if kind == "linear" else model.predict_survival(x)
        score = target - fitted
    naive = inverse[:, None] * score[:, None] * design
    # Recover the bread from the influence of rows that are neither known nor censored before.
    full = model.results_.influence
    assert np.linalg.matrix_rank(full) == 3
    bread = np.linalg.lstsq(full, naive, rcond=None)[0]
    residual = full @ bread - naive
    assert np.abs(residual).max() > 0.05  # the censoring term is there
    assert (model.results_.std_errors > 0).all()


# ------------------------------------------------------------------------- doubly robust


@pytest.mark.parametrize("u", [0.5, 1.0, 1.75, 2.1])
def test_with_two_marginal_curves_outcomes_average_to_the_kaplan_meier_curve(u):
    rng = np.random.default_rng(9)
    time = np.ceil(4 * rng.exponential(size=200)) / 4
    rows = read_rows(time, rng.random(200) < 0.6)
    restricted = survives(rows, u)
    sources = []
    for of in ("censoring", "event"):
        model = KaplanMeierCensoring(of=of).fit_rows(None, rows)
        sources.append(training_curves(model, None, rows, n_folds=2, rng=rng))
    outcome = survival_outcomes(rows, restricted, *sources, 0.0)
    counts = curves.count(rows.time, rows.event)
    expected = curves.evaluate(counts.times, curves.survival(counts, "event"), u, "right")
    assert outcome.mean() == pytest.approx(float(expected), abs=1e-13)
    weights = restricted.known / np.maximum(
        KaplanMeierCensoring().fit_rows(None, rows).survival(None, restricted.at, side="left"),
        1e-9,
    )
    assert (weights * restricted.target).mean() == pytest.approx(float(expected), abs=1e-13)


def test_outcomes_of_survival_without_censoring_are_survival(complete):
    _, y = complete
    rows = read_rows(y["time"], y["event"])
    rng = np.random.default_rng(0)
    sources = [
        training_curves(
            KaplanMeierCensoring(of=of).fit_rows(None, rows), None, rows, n_folds=2, rng=rng
        )
        for of in ("censoring", "event")
    ]
    outcome = survival_outcomes(rows, survives(rows, 1.0), *sources, 0.1)
    np.testing.assert_allclose(outcome, y["time"] > 1.0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_doubly_robust_outcomes_are_taken_as_they_are(sample, kind):
    x, y = sample
    model = CensoredLinearRegression(
        censoring="km", outcome="cox", horizon=HORIZON, covariance=kind, random_state=0
    ).fit(x, y)
    design = np.column_stack([np.ones(N), x])
    # Outcome minus prediction is what solves influence = N (X'X)^-1 x e.
    scores = model.results_.influence @ (design.T @ design) / N
    residual = scores[:, 0]
    np.testing.assert_allclose(scores, design * residual[:, None], atol=1e-9)
    assert abs(residual.sum()) < 1e-9
    expected = sm.OLS(model.predict(x) + residual, design).fit(cov_type=kind)
    np.testing.assert_allclose(model.results_.std_errors, expected.bse, rtol=1e-9)


# ------------------------------------------------------------------------- weights, clusters


@pytest.mark.parametrize("kind", MODELS)
def test_case_weights_count_rows(sample, kind):
    x, y = sample
    times = np.random.default_rng(2).integers(0, 4, N)
    model = clone(MODELS[kind]).set_params(censoring="km")
    weighted = clone(model).fit(x, y, sample_weight=times)
    repeated = clone(model).fit(x.loc[np.repeat(x.index, times)], np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7)
    assert weighted.results_.n_obs == (times > 0).sum()


@pytest.mark.parametrize("kind", ["linear", "logistic"])
@pytest.mark.parametrize(
    ("by_row", "by_cluster"), [("HC0", "CR0"), ("HC2", "CR2"), ("HC3", "CR3"), ("auto", "auto")]
)
def test_clusters_of_copies_have_the_errors_of_one_copy(sample, kind, by_row, by_cluster):
    x, y = sample
    model = clone(MODELS[kind]).set_params(censoring="km", covariance=by_row)
    once = clone(model).fit(x, y).results_
    copies = clone(model).set_params(covariance=by_cluster)
    copies.fit(
        pd.concat([x, x], ignore_index=True), np.tile(y, 2), clusters=np.tile(np.arange(N), 2)
    )
    np.testing.assert_allclose(copies.results_.std_errors, once.std_errors, rtol=1e-9)
    named = "CR3" if by_cluster == "auto" else by_cluster
    assert copies.results_.header["Covariance"].startswith(named)


def test_two_way_clusters_have_no_leverage(sample):
    x, y = sample
    two = np.column_stack([np.arange(N) // 4, np.arange(N) % 10])
    model = clone(MODELS["linear"]).set_params(censoring="km")
    assert model.fit(x, y, clusters=two).results_.header["Covariance"].startswith("CR0")
    with pytest.raises(ValueError, match="CR3 is defined for one-way clusters; use CR0"):
        model.set_params(covariance="CR3").fit(x, y, clusters=two)


def test_a_row_that_alone_determines_a_coefficient_is_a_warning(sample):
    x, y = sample
    alone = np.zeros(N)
    alone[np.flatnonzero(y["event"])[3]] = 1.0
    model = clone(MODELS["linear"]).set_params(censoring="km")
    with pytest.warns(CovarianceWarning, match="1 rows have leverage 1") as caught:
        errors = model.fit(x.assign(alone=alone), y).results_.std_errors
    assert caught[0].filename == __file__
    assert np.isfinite(errors).all()


# ------------------------------------------------------------------------- what it says


def test_summary_names_the_models_and_what_errors_rest_on(sample):
    x, y = sample
    model = CensoredLinearRegression(method="weights", censoring="cox", horizon=HORIZON).fit(x, y)
    header = model.results_.header
    assert header["Target"] == "mean of min(duration, 2)"
    assert header["Censoring"] == "Cox"
    assert header["Covariance"] == "HC3, with that of the censoring curve, normal reference"
    assert header["Events"].startswith(f"{y['event'].sum()} ")
    assert model.summary().startswith("Censored linear regression")
    pd.testing.assert_frame_equal(model.conf_int(0.9), model.results_.conf_int(0.9))
    pd.testing.assert_frame_equal(model.to_frame(), model.results_.to_frame())
    assert model.diagnostics_.n_known == int(header["Known"])


def test_automatic_choice_of_models_is_named(sample):
    x, y = sample
    model = CensoredLinearRegression(random_state=0).fit(x, y)
    assert model.horizon_ is not None
    assert "chosen automatically" in model.results_.header["Censoring"]
    assert "chosen automatically" in model.results_.header["Event"]


@pytest.mark.parametrize("kind", MODELS)
def test_models_are_cloned_pickled_and_score(sample, kind):
    x, y = sample
    model = clone(MODELS[kind]).set_params(censoring="km").fit(x, y)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    assert 0.0 < model.score(x, y) < 1.0
    assert other.score(x, y["time"], event=y["event"]) == model.score(x, y)
    with pytest.raises(ValueError, match="score durations without events"):
        model.score(x, y["time"])


def test_forms_of_input_agree(sample):
    x, y = sample
    model = clone(MODELS["linear"]).set_params(censoring="km")
    expected = clone(model).fit(x, y).coef_
    frame = pd.DataFrame({"time": y["time"], "event": y["event"]})
    np.testing.assert_array_equal(clone(model).fit(x, frame).coef_, expected)
    apart = clone(model).fit(x.to_numpy(), y["time"], event=y["event"])
    np.testing.assert_array_equal(apart.coef_, expected)
    assert apart.results_.names == ("intercept", "x1", "x2")


def test_without_intercept(sample):
    x, y = sample
    model = clone(MODELS["linear"]).set_params(censoring="km", fit_intercept=False).fit(x, y)
    assert model.results_.names == ("age", "arm")
    assert model.intercept_ == 0.0
    np.testing.assert_allclose(model.predict(x), x.to_numpy() @ model.coef_)


# ------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("censoring", ["beran", BeranCensoring(), "neighbors", "forest"])
@pytest.mark.parametrize("kind", MODELS)
def test_local_weights_have_no_formula(sample, censoring, kind):
    x, y = sample
    with pytest.raises(ValueError, match='(?s)no valid formula.*method="doubly_robust".*bootstrap'):
        clone(MODELS[kind]).set_params(censoring=censoring).fit(x, y)


def test_a_users_model_has_no_formula_either(sample):
    class Flat:
        def fit(self, X, time, event):
            return self

        def survival(self, X, times):
            return np.full(len(times), 0.5)

    x, y = sample
    with pytest.raises(ValueError, match="no valid formula"):
        clone(MODELS["linear"]).set_params(censoring=Flat()).fit(x, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (CensoredLinearRegression(method="dr"), "method='dr' is not one of"),
        (CensoredLinearRegression(covariance="HC1"), "covariance='HC1' is not one of"),
        (CensoredLinearRegression(covariance="CR0"), "needs clusters"),
        (CensoredLinearRegression(covariance="CR3"), "needs clusters"),
        (CensoredLinearRegression(method="buckley_james"), 'use covariance="bootstrap"'),
        (CensoredLinearRegression(horizon=1e6), "past the last time"),
        (CensoredLogisticRegression(), "models survival beyond one time"),
        (CensoredLogisticRegression([1.0, 2.0]), "models survival beyond one time"),
        (CensoredLogisticRegression(1e-9), "No row has its event by 1e-09"),
        (CensoredQuantileRegression(1.0), "quantile=1.0 must lie"),
    ],
)
def test_bad_options_are_named(sample, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(*sample)


def test_columns_that_are_combinations_are_named(sample):
    x, y = sample
    model = CensoredLinearRegression(method="weights", censoring="km")
    with pytest.raises(ValueError, match="'arm.*combination of other columns and the intercept"):
        model.fit(x.assign(arm_too=1 - x.arm), y)


@pytest.mark.parametrize("kind", KINDS)
def test_clusters_and_errors_of_rows_contradict_each_other(sample, kind):
    x, y = sample
    with pytest.raises(ValueError, match="would ignore the clusters"):
        CensoredLinearRegression(covariance=kind).fit(x, y, clusters=np.arange(N) // 2)


def test_delayed_entry_is_refused(sample):
    x, y = sample
    late = survival_target(y["time"], y["event"], y["time"] / 2)
    with pytest.raises(ValueError, match="delayed entry"):
        CensoredLinearRegression().fit(x, late)


def test_separation_is_a_warning_without_standard_errors(sample):
    x, y = sample
    longer = (y["time"] > 1.0).astype(float)
    model = CensoredLogisticRegression(1.0, method="weights", censoring="km")
    with pytest.warns(CensoringWarning, match="no finite solution") as caught:
        model.fit(x.assign(longer=longer), y)
    assert caught[0].filename == __file__
    assert np.isnan(model.results_.std_errors).all()


def test_nobody_is_censored_without_a_word_about_events(sample):
    x, y = sample
    model = CensoredLinearRegression(method="weights", censoring="km").fit(x, y["time"])
    assert not model.diagnostics_.event_given
    with pytest.raises(ValueError, match="fitted to durations without events"):
        model.score(x, y)


def test_cox_censoring_with_a_penalty_counts_it(sample):
    x, y = sample
    model = clone(MODELS["linear"]).set_params(censoring=CoxCensoring(penalizer=0.3))
    weight = np.ones(N)
    expected = slopes(model, x, y, weight, [3, 50], 1e-2)
    found = model.fit(x, y).results_.influence[[3, 50]]
    # Half or twice the penalty would be 8 percent off; what is left is that case weights also move
    # the scale on which coefficients are penalised.
    np.testing.assert_allclose(found / N, expected, atol=2e-2 * np.abs(expected).max())
