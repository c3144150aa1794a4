"""The truths of the DSL designs: complete data give them, machine labels and shortcuts do not."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from trueness.simulations import (
    make_counts,
    make_instrument,
    make_multiclass,
    make_panel,
    make_predicted_covariate,
)

SEEDS = range(4)


def covariance_of(sample):
    """Options of statsmodels for the covariance that suits a sample."""
    if "clusters" not in sample.observed:
        return {"cov_type": "HC0"}
    return {"cov_type": "cluster", "cov_kwds": {"groups": sample.observed["clusters"]}}


def labels(sample, machine):
    """Return X and y without gaps, of the truth or of the machine."""
    surrogates, complete = sample.observed["surrogates"], sample.complete
    values = {name: complete[name] for name in ("t", "topic") if name in complete}
    values["y"] = complete.y
    if machine:
        columns = [name for name in surrogates if name.endswith("_machine")]
        values |= {name.removesuffix("_machine"): surrogates[name].to_numpy() for name in columns}
    X = sample.observed["X"].copy()
    for name in sample.predicted_features:
        if name == "t:x1":
            X[name] = values["t"] * X["x1"]
        elif name.startswith("topic"):
            X[name] = (values["topic"] == name[8:-1]) * 1.0
        else:
            X[name] = values[name]
    return X, values["y"]


def regression(model, sample, machine=False):
    """Return coefficients and standard errors of a regression on complete data."""
    X, y = labels(sample, machine)
    if model is sm.MNLogit:
        y = pd.Categorical(y).codes
    options = {} if model is sm.OLS else {"disp": 0}
    fit = model(y, sm.add_constant(X)).fit(**options, **covariance_of(sample))
    return fit.params.to_numpy().T.ravel(), fit.bse.to_numpy().T.ravel()


def two_stages(sample, machine=False):
    """Two-stage least squares, by projection of X on the instruments."""
    X, y = labels(sample, machine)
    Z = sm.add_constant(sample.observed["instruments"].assign(x1=X["x1"])).to_numpy()
    X = sm.add_constant(X).to_numpy()
    projected = Z @ np.linalg.lstsq(Z, X, rcond=None)[0]
    bread = np.linalg.inv(projected.T @ X)
    point = bread @ projected.T @ y
    scores = projected * (y - X @ point)[:, None]
    if "clusters" in sample.observed:
        scores = pd.DataFrame(scores).groupby(sample.observed["clusters"]).sum().to_numpy()
    return point, np.sqrt(np.diag(bread @ (scores.T @ scores) @ bread.T))


def residual_given_dummies(frame, effects):
    """What is left of the columns after regression on a dummy for every unit and period."""
    D = pd.get_dummies(effects.astype("category"), dtype=float).drop(columns="period_0").to_numpy()
    return frame - D @ np.linalg.solve(D.T @ D, D.T @ frame.to_numpy())


def within(sample, machine=False, demean=residual_given_dummies):
    """Regression with two-way effects, taken out of all columns first."""
    X, y = labels(sample, machine)
    data = demean(X.assign(y=y), sample.observed["fixed_effects"])
    fit = sm.OLS(data.pop("y"), data).fit(**covariance_of(sample))
    return fit.params.to_numpy(), fit.bse.to_numpy()


def closed_form(frame, effects):
    """What is right for balanced panels only."""
    by_unit, by_period = (frame.groupby(effects[name]).transform("mean") for name in effects)
    return frame - by_unit - by_period + frame.mean()


OLS, LOGIT, MULTINOMIAL, POISSON = (
    partial(regression, model) for model in (sm.OLS, sm.Logit, sm.MNLogit, sm.Poisson)
)
ROWS = {"n_rows": 20_000}
# Name: estimator on complete data, design, number of SEs by which machine labels are off.
DESIGNS = {
    "covariate, linear": (OLS, partial(make_predicted_covariate, **ROWS), 20),
    "covariate, logistic": (LOGIT, partial(make_predicted_covariate, model="logistic", **ROWS), 15),
    "covariate, continuous": (
        LOGIT,
        partial(make_predicted_covariate, model="logistic", covariate="continuous", **ROWS),
        30,
    ),
    "interaction": (OLS, partial(make_predicted_covariate, interaction=True, **ROWS), 20),
    "interaction, logistic": (
        LOGIT,
        partial(make_predicted_covariate, model="logistic", interaction=True, **ROWS),
        15,
    ),
    "classes as outcome": (MULTINOMIAL, partial(make_multiclass, **ROWS), 30),
    "four classes": (MULTINOMIAL, partial(make_multiclass, n_classes=4, **ROWS), 25),
    "classes as covariate": (
        OLS,
        partial(make_multiclass, n_classes=4, role="covariate", **ROWS),
        20,
    ),
    "instrument": (two_stages, partial(make_instrument, **ROWS), 20),
    "instruments, binary": (
        two_stages,
        partial(make_instrument, n_instruments=3, treatment="binary", predicted="both", **ROWS),
        7,
    ),
    "instruments, heteroskedastic": (
        two_stages,
        partial(make_instrument, n_instruments=2, heteroskedastic=True, **ROWS),
        20,
    ),
    "counts": (POISSON, partial(make_counts, **ROWS), 30),
    "counts, dispersed": (POISSON, partial(make_counts, dispersion=0.5, **ROWS), 20),
    "panel": (within, make_panel, 8),
    "panel, covariate": (within, partial(make_panel, predicted="covariate"), 5),
}
CLUSTERED = {name: DESIGNS[name][:2] for name in DESIGNS if not name.startswith("panel")}


def z_values(estimate, samples, **options):
    """Standardised errors, one row per sample."""
    fits = [(estimate(sample, **options), list(sample.truth.values())) for sample in samples]
    return np.array([(point - truth) / error for (point, error), truth in fits])


@pytest.mark.parametrize(("estimate", "make", "off"), DESIGNS.values(), ids=DESIGNS)
def test_complete_data_give_the_truth_and_machine_labels_do_not(estimate, make, off):
    samples = [make(random_state=seed) for seed in SEEDS]
    z = z_values(estimate, samples)
    assert np.abs(z).max() < 4
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(len(SEEDS))
    machine = z_values(estimate, samples, machine=True)
    assert off < np.abs(machine.mean(axis=0)).max() < 3 * off


@pytest.mark.parametrize(("estimate", "make"), CLUSTERED.values(), ids=CLUSTERED)
def test_clusters_leave_the_truth_as_it_is(estimate, make):
    samples = [make(n_clusters=1000, random_state=seed) for seed in SEEDS]
    z = z_values(estimate, samples)
    assert np.abs(z).max() < 4.5
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(len(SEEDS))


@pytest.mark.parametrize(("estimate", "make"), CLUSTERED.values(), ids=CLUSTERED)
def test_unclustered_standard_errors_are_too_small(estimate, make):
    sample = make(n_clusters=800, random_state=21)
    _, honest = estimate(sample)
    del sample.observed["clusters"]
    _, naive = estimate(sample)
    assert 1.3 < (honest / naive).max() < 5
    assert (honest / naive).min() > 0.9


@pytest.mark.parametrize("accuracy", [0.6, 0.9])
@pytest.mark.parametrize("strength", [0.0, -1.0, 2.0])
@pytest.mark.parametrize(
    "make",
    [
        make_predicted_covariate,
        partial(make_predicted_covariate, model="logistic", interaction=True),
        make_multiclass,
        partial(make_multiclass, n_classes=4, role="covariate"),
        partial(make_instrument, treatment="binary", endogeneity=-0.7),
    ],
    ids=["covariate", "logistic", "outcome", "four classes", "treatment"],
)
def test_share_of_right_labels_is_the_accuracy(make, accuracy, strength):
    sample = make(n_rows=100_000, accuracy=accuracy, differential_error=strength, random_state=22)
    true = sample.complete["topic" if "topic" in sample.complete else "t"]
    right = sample.observed["surrogates"].iloc[:, 0] == true
    assert right.mean() == pytest.approx(accuracy, abs=4.5 * 0.5 / np.sqrt(100_000))


@pytest.mark.parametrize("strength", [0.0, 2.0])
@pytest.mark.parametrize(
    "make",
    [
        partial(make_predicted_covariate, covariate="continuous"),
        partial(make_predicted_covariate, covariate="continuous", model="logistic"),
        partial(make_instrument, n_instruments=3),
    ],
    ids=["linear", "logistic", "treatment"],
)
def test_continuous_readings_keep_correlation_and_variance(make, strength):
    sample = make(n_rows=100_000, accuracy=0.8, differential_error=strength, random_state=23)
    t, reading = sample.complete.t, sample.observed["surrogates"]["t_machine"].to_numpy()
    assert np.corrcoef(t, reading)[0, 1] == pytest.approx(0.6, abs=0.012)
    assert np.var(reading) / np.var(t) == pytest.approx(1, abs=0.025)


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_confusions_have_the_stated_probabilities(strength):
    sample = make_multiclass(
        n_classes=4, differential_error=strength, n_rows=100_000, random_state=24
    )
    complete, reading = sample.complete, sample.observed["surrogates"]["y_machine"]
    names = sorted(set(complete.topic))
    x1 = sample.observed["X"]["x1"].to_numpy()
    for k, name in enumerate(names):
        for f in (np.ones_like(x1), x1, complete.topic == names[0]):
            excess = ((reading == name) - complete.confusion[:, k]) * f
            assert abs(excess.mean()) < 4.5 * excess.sem()
            excess = ((complete.topic == name) - complete.class_probability[:, k]) * x1
            assert abs(excess.mean()) < 4.5 * excess.std() / np.sqrt(len(x1))


@pytest.mark.parametrize("make", [make_counts, partial(make_counts, dispersion=0.5)])
def test_the_machine_s_counts_have_the_stated_slope_and_mean(make):
    sample = make(n_rows=100_000, differential_error=-0.4, accuracy=0.7, random_state=25)
    reading = sample.observed["surrogates"]["y_machine"]
    fit = sm.Poisson(reading, sm.add_constant(sample.observed["X"])).fit(disp=0, cov_type="HC0")
    expected = np.array([0.5, 0.4 - 0.4, -0.3])
    assert (np.abs(fit.params - expected) / fit.bse).max() < 4.5
    excess = (reading - sample.complete.surrogate_mean) * sample.complete.y
    assert abs(excess.mean()) < 4.5 * excess.sem()


def test_dispersion_is_that_of_the_outcome():
    complete = make_counts(n_rows=200_000, dispersion=0.5, random_state=26).complete
    mean = complete.outcome_mean
    excess = pd.Series((complete.y - mean) ** 2 - mean - 0.5 * mean**2)
    assert abs(excess.mean()) < 4.5 * excess.sem()


@pytest.mark.parametrize("treatment", ["continuous", "binary"])
@pytest.mark.parametrize("r2", [0.02, 0.3])
def test_instruments_are_as_strong_as_stated(treatment, r2):
    sample = make_instrument(
        n_rows=100_000,
        n_instruments=2,
        first_stage_r2=r2,
        treatment=treatment,
        random_state=27,
    )
    X = sm.add_constant(sample.observed["X"][["x1"]])
    instruments = sample.observed["instruments"]
    short, long = (sm.OLS(sample.complete.t, Z).fit() for Z in (X, X.join(instruments)))
    f, _, _ = long.compare_f_test(short)
    assert f == pytest.approx(sample.complete.first_stage_f, rel=6 / np.sqrt(2 * f))
    if treatment == "continuous":
        assert sample.complete.first_stage_r2 == r2
    correlations = instruments.assign(x1=X["x1"]).corr().to_numpy()
    np.testing.assert_allclose(correlations, 0.7 * np.eye(3) + 0.3, atol=0.015)


def test_least_squares_is_off_by_the_endogeneity():
    for endogeneity, low, high in [(-0.5, -60, -20), (0.0, -4, 4), (0.5, 20, 60)]:
        sample = make_instrument(endogeneity=endogeneity, random_state=28)
        sample.observed["X"]["t"] = sample.complete.t
        (z,) = z_values(OLS, [sample])
        assert low < z[1] < high


# ---------------------------------------------------------------------------------------- panel


def test_closed_form_demeaning_misleads_in_the_unbalanced_panel():
    samples = [make_panel(random_state=seed) for seed in SEEDS]
    exact = z_values(within, samples)
    closed = z_values(within, samples, demean=closed_form)
    assert np.abs(exact).max() < 4
    assert 10 < closed[:, 0].min() < closed[:, 0].max() < 25
    slopes = [within(sample, demean=closed_form)[0][0] for sample in samples]
    assert 0.1 < min(slopes) < max(slopes) < 0.3  # the truth is -0.2
    balanced = make_panel(presence=1.0, n_periods=25, random_state=0)
    by_dummies, in_closed_form = within(balanced)[0], within(balanced, demean=closed_form)[0]
    np.testing.assert_allclose(by_dummies, in_closed_form, rtol=1e-8)


def test_errors_correlate_within_units():
    for autocorrelation, low, high in [(0.0, 0.9, 1.15), (0.7, 1.25, 1.7)]:
        sample = make_panel(autocorrelation=autocorrelation, n_units=600, random_state=29)
        _, honest = within(sample)
        del sample.observed["clusters"]
        _, naive = within(sample)
        assert low < honest[0] / naive[0] < high


def test_panel_errors_are_standard_autoregressions():
    sample = make_panel(n_units=4000, n_periods=6, autocorrelation=0.6, random_state=31)
    errors = sample.observed["fixed_effects"].assign(e=sample.complete.outcome_error)
    errors = errors.pivot(index="unit", columns="period", values="e")
    n = errors.count().to_numpy()
    assert (np.abs(errors.var() - 1) * np.sqrt(n / 2)).max() < 4.5
    correlations = errors.corr().to_numpy()
    lags = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    np.testing.assert_allclose(correlations, 0.6**lags, atol=4.5 / np.sqrt(n.min() / 2))


def test_the_panel_is_as_stated():
    sample = make_panel(n_units=1000, predicted="both", random_state=30)
    complete, effects = sample.complete, sample.observed["fixed_effects"]
    assert len(effects) == pytest.approx(25_000, abs=4.5 * np.sqrt(50_000) / 2)
    assert not effects.duplicated().any()
    rows_by_unit = effects.groupby("unit").size()
    assert rows_by_unit.nunique() > 20
    late = pd.Series(complete.unit_effect).groupby(effects["period"]).mean()
    assert np.corrcoef(late, late.index)[0, 1] > 0.9
    right = sample.observed["surrogates"]["t_machine"] == complete.t
    assert right.mean() == pytest.approx(0.9, abs=4.5 * 0.3 / np.sqrt(25_000))
    error = sample.observed["surrogates"]["y_machine"] - complete.y
    regressors = sample.observed["X"][["x1"]].assign(alpha=complete.unit_effect)
    fit = sm.OLS(error, regressors).fit(**covariance_of(sample))
    assert (np.abs(fit.params - 0.25) / fit.bse).max() < 4.5
    # Presence tells nothing about the outcome's own error.
    regressors = sm.add_constant(regressors.assign(t=complete.t))
    fit = sm.OLS(complete.outcome_error, regressors).fit(**covariance_of(sample))
    assert np.abs(fit.tvalues).max() < 4.5
