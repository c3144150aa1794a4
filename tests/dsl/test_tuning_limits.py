"""Power tuning where the answer is known: other software, ends of the range, invariance."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal
from ppi_data import N_LABELS, N, make_data, wrong_classes
from scipy.optimize import root
from scipy.special import expit
from tuned_written_out import (
    Sampling,
    Tuned,
    centres,
    deviations,
    drawn_units,
    factors,
)
from written_out import Version

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
    FewLabelsWarning,
    TuningWarning,
)
from trueness.dsl.numerics import SamplingDesign, matrix_weights

TUNINGS = ("diagonal", "scalar", "matrix", None)
SRS = {"learner": None, "design": "srswor"}


@pytest.fixture
def data():
    return make_data()


@pytest.fixture(scope="module")
def ppi():
    """What ppi-python says of these data; `reference/ppi_python.py` asked it."""
    return json.loads((Path(__file__).parents[1] / "reference" / "ppi_python.json").read_text())


def fit(estimator, data, *, machine="machine", outcome="y", **options):
    y = np.where(data["drawn"], data[outcome], np.nan)
    surrogates = data[machine] if isinstance(machine, str) else machine
    return estimator(**SRS | options).fit(data["X"], y, surrogates=surrogates)


def design(X):
    return np.column_stack([np.ones(len(X)), X])


# ---------------------------------------------------------------------- PPI++


@pytest.mark.parametrize("tuning", ["diagonal", "scalar"])
def test_the_mean_is_that_of_ppi_python_at_the_same_weight(data, ppi, tuning):
    """lambda (1 - n/N), with theirs over the unlabelled rows alone; it is linear in the weight."""
    ours = fit(DSLMean, data, tuning=tuning)
    weight = ours.diagnostics_.tuning_weights[0]
    assert 0.05 < weight < 0.95
    lam = weight * (1 - N_LABELS / N)
    theirs = ppi["mean"]["at 0"] + lam * (ppi["mean"]["at 1"] - ppi["mean"]["at 0"])
    assert ours.means_[0] == pytest.approx(theirs, rel=1e-10)


def test_the_weight_differs_from_ppi_python_by_the_rows_of_one_moment(data, ppi):
    """Theirs has the variance of all rows' predictions, ours that of the labelled rows."""
    drawn, machine = data["drawn"], data["machine"]
    weight = fit(DSLMean, data, tuning="scalar").diagnostics_.tuning_weights[0]
    theirs = ppi["mean"]["weight"]
    assert 0.05 < theirs < 0.95
    ratio = machine[drawn].var(ddof=0) / machine.var(ddof=1)
    assert theirs == pytest.approx(weight * (1 - N_LABELS / N) * ratio, rel=1e-10)


LOSSES = {
    "linear": (DSLLinearRegression, "y", lambda e: e),
    "logistic": (DSLLogisticRegression, "binary", expit),
}


@pytest.mark.parametrize("model", LOSSES)
def test_regressions_minimise_the_loss_of_ppi(data, model):
    """The gradient lam/N' sum unlabelled + 1/n sum labelled (gold - lam predicted)."""
    estimator, outcome, mean = LOSSES[model]
    if model == "logistic":
        data["machine"] = wrong_classes(data)
    ours = fit(estimator, data, outcome=outcome, tuning="scalar")
    weight = ours.diagnostics_.tuning_weights[0]
    assert 0.05 < weight < 0.99
    lam, drawn, X = weight * (1 - N_LABELS / N), data["drawn"], design(data["X"])

    def gradient(beta):
        of = lambda y: X * (mean(X @ beta) - y)[:, None]  # noqa: E731
        hat, true = of(data["machine"]), of(data[outcome])
        return lam * hat[~drawn].mean(axis=0) + (true - lam * hat)[drawn].mean(axis=0)

    expected = root(gradient, np.zeros(3), tol=1e-14).x
    assert_allclose(ours.results_.params, expected, rtol=1e-8)


def test_a_logit_is_that_of_ppi_python_at_the_same_weight(data, ppi):
    """To the tolerance of its minimiser. Its least squares are another estimator: they invert the
    products of the covariates of labelled and unlabelled rows one by one."""
    data["machine"] = wrong_classes(data)
    ours = fit(DSLLogisticRegression, data, outcome="binary", tuning="scalar")
    lam = ours.diagnostics_.tuning_weights[0] * (1 - N_LABELS / N)
    assert lam == pytest.approx(ppi["logit"]["weight"], rel=1e-9), "run reference/ppi_python.py"
    assert_allclose(ours.results_.params, ppi["logit"]["params"], atol=1e-5)


# ---------------------------------------------------------------------- ends of the range


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("outcome", ["y", "binary"])
def test_a_machine_that_is_right_needs_no_tuning(data, tuning, outcome):
    estimator = DSLLinearRegression if outcome == "y" else DSLLogisticRegression
    options = {"machine": outcome, "outcome": outcome, "tuning": tuning}
    if tuning is None:
        ours = fit(estimator, data, **options)
    else:
        with pytest.warns(FewLabelsWarning, match="None of the labelled rows shows an error"):
            ours = fit(estimator, data, **options)
        weights = np.eye(3) if tuning == "matrix" else np.ones(3)
        assert_allclose(ours.diagnostics_.tuning_weights, weights, atol=1e-10)
    everything = estimator(tuning=tuning).fit(data["X"], data[outcome]).results_
    assert_allclose(ours.results_.params, everything.params, rtol=1e-8)
    assert_allclose(ours.results_.cov, everything.cov, rtol=1e-7)


@pytest.mark.parametrize("tuning", TUNINGS)
@pytest.mark.parametrize("model", ["linear", "logistic", "poisson"])
def test_all_rows_labelled_are_the_textbook_estimator(data, tuning, model):
    counts = np.round(np.abs(data["y"]))
    estimator, theirs, y = {
        "linear": (DSLLinearRegression, sm.OLS, data["y"]),
        "logistic": (DSLLogisticRegression, sm.Logit, data["binary"]),
        "poisson": (DSLPoissonRegressor, sm.Poisson, counts),
    }[model]
    ours = estimator(tuning=tuning).fit(data["X"], y, surrogates=data["noise"])
    options = {} if model == "linear" else {"disp": 0, "tol": 1e-14}
    expected = theirs(y, design(data["X"])).fit(cov_type="HC0", **options)
    assert_allclose(ours.results_.params, expected.params, rtol=1e-8)
    assert_allclose(ours.results_.cov, expected.cov_params(), rtol=1e-7)
    assert ours.results_.df is None
    assert ours.diagnostics_.tuning_weights is None


def alone(fitted):
    return fitted.compare_labels()["Gold only"]


@pytest.mark.parametrize("target", ["superpopulation", "population"])
@pytest.mark.parametrize("tuning", ["diagonal", "scalar"])
def test_a_machine_that_says_the_opposite_is_left_out(data, tuning, target):
    """Weights would be negative; clipped at 0, also without any one row, this is gold-only."""
    ours = fit(DSLLinearRegression, data, machine=-data["y"], tuning=tuning, target=target)
    assert_array_equal(ours.diagnostics_.tuning_weights, 0.0)
    gold = alone(ours)
    assert_allclose(ours.results_.params, gold.params, rtol=1e-10)
    assert_allclose(ours.results_.cov, gold.cov, rtol=1e-9)
    assert_allclose(ours.results_.df, gold.df, rtol=1e-9)
    assert_allclose(ours.diagnostics_.gain, 1.0, rtol=1e-9)
    drawn = data["drawn"]
    textbook = sm.OLS(data["y"][drawn], design(data["X"][drawn])).fit(cov_type="HC3")
    assert_allclose(gold.params, textbook.params, rtol=1e-8)
    if target == "population":
        # (1 - n/N) HC3, its scores centred with n - 1.
        u = design(data["X"][drawn]) * textbook.resid[:, None]
        leverage = sm.OLS(data["y"][drawn], design(data["X"][drawn])).fit().get_influence()
        u = u / (1 - leverage.hat_matrix_diag)[:, None]
        u = u - u.mean(axis=0)
        bread = np.linalg.inv(design(data["X"][drawn]).T @ design(data["X"][drawn]))
        share = (1 - N_LABELS / N) * N_LABELS / (N_LABELS - 1)
        assert_allclose(gold.cov, share * bread @ (u.T @ u) @ bread, rtol=1e-8)


@pytest.mark.parametrize("tuning", ["diagonal", "scalar"])
def test_a_machine_that_says_too_little_has_its_full_weight(data, tuning):
    """Predictions of half the size would have weights of 2; clipped at 1 this is the plain root."""
    half = data["X"].to_numpy() @ [0.4, -0.25] + 0.5 * (
        data["y"] - data["X"].to_numpy() @ [0.8, -0.5]
    )
    ours = fit(DSLMean, data, machine=half, tuning=tuning)
    plain = fit(DSLMean, data, machine=half, tuning=None)
    assert_array_equal(ours.diagnostics_.tuning_weights, 1.0)
    assert_allclose(ours.results_.params, plain.results_.params, rtol=1e-12)
    assert_allclose(ours.results_.cov, plain.results_.cov, rtol=1e-10)
    assert (ours.results_.df, plain.results_.df) == (N_LABELS - 1, None)


@pytest.mark.parametrize("tuning", ["diagonal", "scalar"])
def test_constant_predictions_change_nothing(data, tuning):
    ours = fit(DSLMean, data, machine=np.full(N, 3.0), tuning=tuning)
    known = data["y"][data["drawn"]]
    assert ours.means_[0] == pytest.approx(known.mean(), rel=1e-12)
    # Their weight is 1, where nothing is corrected for leverage: HC2 of the mean, about.
    variance = known.var(ddof=1) / N_LABELS
    assert ours.results_.cov[0, 0] == pytest.approx(variance, rel=2 / N_LABELS)


@pytest.mark.parametrize("tuning", ["diagonal", "scalar"])
@pytest.mark.parametrize("model", LOSSES)
def test_a_useless_machine_hardly_moves_the_gold_estimates(data, model, tuning):
    """Weights near 0; plain predictions would cost precision in every coefficient."""
    estimator, outcome, _ = LOSSES[model]
    noise = data["noise"] if outcome == "y" else (data["noise"] > 0).astype(float)
    ours, plain = (
        fit(estimator, data, machine=noise, outcome=outcome, tuning=kind) for kind in (tuning, None)
    )
    gold = alone(ours)
    # Estimated weights are off by about n^-1/2 = 0.07.
    assert (ours.diagnostics_.tuning_weights < 0.28).all()
    # Estimates move by the weight times the standard error of the machine's coefficients.
    moved = np.abs(ours.results_.params - gold.params) / gold.std_errors
    assert (moved < 0.4).all()
    assert_allclose(ours.results_.std_errors, gold.std_errors, rtol=0.08)
    assert (plain.results_.std_errors > 1.05 * gold.std_errors).all()


# ---------------------------------------------------------------------- fallbacks


def test_a_matrix_of_weights_needs_labels(data):
    """At 30 for each coefficient it is one, below it is the diagonal."""
    rows = np.flatnonzero(data["drawn"])
    for n, is_enough in ((90, True), (89, False)):
        data["drawn"] = np.isin(np.arange(N), rows[:n])
        if is_enough:
            ours = fit(DSLLinearRegression, data, tuning="matrix")
            assert ours.diagnostics_.tuning_weights.shape == (3, 3)
            continue
        with pytest.warns(TuningWarning, match="too few labels.*diagonal weights were used"):
            ours = fit(DSLLinearRegression, data, tuning="matrix")
        diagonal = fit(DSLLinearRegression, data, tuning="diagonal")
        assert_array_equal(ours.diagnostics_.tuning_weights, diagonal.diagnostics_.tuning_weights)
        assert_array_equal(ours.results_.cov, diagonal.results_.cov)


def test_a_matrix_of_weights_needs_predictions_that_vary(data):
    """The gold fit itself as prediction but in the second group: the first has no moment."""
    x = np.arange(N) % 2
    data["X"] = pd.DataFrame({"x": x})
    drawn, X = data["drawn"], design(data["X"])
    beta = np.linalg.lstsq(X[drawn], data["y"][drawn], rcond=None)[0]
    machine = np.where(x < 1, X @ beta, data["machine"])
    with pytest.warns(TuningWarning, match="predictions too much alike"):
        ours = fit(DSLLinearRegression, data, machine=machine, tuning="matrix")
    diagonal = fit(DSLLinearRegression, data, machine=machine, tuning="diagonal")
    assert_array_equal(ours.results_.params, diagonal.results_.params)


@pytest.mark.parametrize(("difference", "is_enough"), [(0.0, False), (1e-4, False), (1e-2, True)])
def test_a_matrix_of_weights_needs_predictions_that_differ(difference, is_enough):
    rng = np.random.default_rng(8)
    psi, common = rng.normal(size=(200, 2)), rng.normal(size=200)
    psi_hat = np.column_stack([common, 2.0 * common + difference * rng.normal(size=200)])
    drawn = SamplingDesign(np.full(1000, 0.2), is_fixed=True).draw(np.arange(200))
    assert (matrix_weights(psi, psi_hat, drawn) is not None) == is_enough


# ---------------------------------------------------------------------- design moments


def test_the_moments_carry_the_variance_of_the_formula(data):
    """sum m* m*' and sum mm' + C_D(e*) - P differ by sums that are zero in expectation.

    They are the cross products of the mean error with predicted moments, summed over labelled rows
    less their share in all rows, and terms of order 1/n and of squared leverages.
    """
    data["machine"] = data["machine"] + 1.0
    ours = fit(DSLLinearRegression, data, tuning="diagonal").results_
    X = design(data["X"])
    parts = (Version(X, data["machine"]), Version(X, data["y"]))
    sampling = Sampling(np.full(N, N_LABELS / N), True)
    answer = Tuned.of("linear", *parts, data["drawn"], sampling).answer("diagonal")
    units, pi = drawn_units(sampling, data["drawn"]), N_LABELS / N
    errors, hat = answer.errors[data["drawn"]], answer.moments.copy()
    hat[data["drawn"]] -= errors / pi
    counted = (1 - pi) * errors.T @ errors / pi**2

    def formula(starred):
        z = deviations(units, starred, is_fixed=True)
        c = factors(units, is_fixed=True)[0]
        return answer.moments.T @ answer.moments + c * z.T @ z - counted

    inverse = np.linalg.inv(answer.jacobian)
    cov = inverse @ formula(answer.starred) @ inverse.T / N**2
    centre = centres(units, errors, is_fixed=True)[0]
    # Two standard errors of those sums, and one percent for the rest.
    spread = np.sqrt(N_LABELS * (1 - pi)) * hat.std(axis=0)
    limit = 4 * np.abs(inverse @ (spread * centre))[0] * inverse[0, 0] / N**2 / cov[0, 0] + 0.01
    assert limit < 0.12
    assert_allclose(np.diag(ours.cov), np.diag(cov), rtol=limit)
    # The uncentred sandwich is further off: the machine is biased.
    sandwich = inverse @ (answer.moments.T @ answer.moments) @ inverse.T / N**2
    assert sandwich[0, 0] > (1 + limit) * ours.cov[0, 0]
    # Without the correction the difference is these cross products, to rounding.
    equation = Tuned.of("linear", *parts, data["drawn"], sampling)
    plain = equation.corrected_moments(answer.gamma, answer.params, errors)
    gap = hat[data["drawn"]].sum(axis=0) - pi * hat.sum(axis=0)
    scale = np.sqrt(1 + (1 - pi) / (N_LABELS - 1)) - 1
    z = deviations(units, errors, is_fixed=True)
    cross = scale * hat[data["drawn"]].T @ z - np.outer(gap, centre)
    assert_allclose(plain.T @ plain, formula(errors) + cross + cross.T, rtol=1e-9, atol=1e-9)
