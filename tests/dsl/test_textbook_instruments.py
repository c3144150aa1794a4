"""With every row labelled two-stage least squares is that of linearmodels, errors included.

linearmodels divides by n - k where ours has the factors HC1 and CR1; both count a cluster
variable's G/(G - 1) (n - 1)/(n - k), the intersection of two with its own G.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.iv import IV2SLS
from written_out import dummies

from trueness.dsl import DSLLinearRegression, DSLTwoStageLeastSquares

RTOL = 1e-8
N, G = 500, 30
NAMES = ["exogenous", "treatment", "second"]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(22)
    firm, year = rng.integers(0, G, N), rng.integers(0, 22, N)
    shock = rng.normal(size=G)[firm]
    Z, u = rng.normal(size=(N, 4)), rng.normal(size=N)
    exogenous = rng.normal(size=N)
    treatment = Z[:, 0] + 0.5 * Z[:, 1] + u + 0.4 * exogenous + rng.normal(size=N)
    second = Z[:, 2] - Z[:, 3] - 0.5 * u + rng.normal(size=N)
    y = 0.5 * treatment - second + exogenous + 2 * u * (1 + Z[:, 0] ** 2) + shock
    return {
        "X": pd.DataFrame({"exogenous": exogenous, "treatment": treatment, "second": second}),
        "y": y,
        "Z": Z,
        "weight": rng.uniform(0.2, 3.0, N),
        "firm": firm,
        "both": np.column_stack([firm, year]),
        "effects": np.column_stack([rng.integers(0, 25, N), year]),
    }


# Columns of X that are endogenous, and excluded instruments: exactly enough, or more.
IDENTIFIED = {
    "one, just identified": (["treatment"], [0]),
    "one, over-identified": (["treatment"], [0, 1, 3]),
    "two, just identified": (["treatment", "second"], [0, 2]),
    "two, over-identified": (["treatment", "second"], [0, 1, 2, 3]),
}
COVARIANCES = [
    ("HC0", None),
    ("HC1", None),
    ("CR0", "firm"),
    ("CR1", "firm"),
    ("CR0", "both"),
    ("CR1", "both"),
]


def reference(data, endogenous, instruments, kind, clusters, *, weight=None, constant=None):
    """Return linearmodels' fit, its parameters in the order of the columns of X."""
    if constant is None:
        constant = np.ones((N, 1))
    names = [f"d{j}" for j in range(constant.shape[1])]
    exogenous = pd.DataFrame(constant, columns=names).join(data["X"].drop(columns=endogenous))
    model = IV2SLS(
        data["y"], exogenous, data["X"][endogenous], data["Z"][:, instruments], weights=weight
    )
    options = {"debiased": kind in ("HC1", "CR1")}
    if clusters is None:
        theirs = model.fit(cov_type="robust", **options)
    else:
        theirs = model.fit(cov_type="clustered", clusters=clusters, **options)
    order = [*(names if len(names) == 1 else []), *NAMES]
    return theirs.params[order].to_numpy(), theirs.cov.loc[order, order].to_numpy()


@pytest.mark.parametrize("identified", IDENTIFIED)
@pytest.mark.parametrize(("kind", "by"), COVARIANCES)
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_linearmodels(data, identified, kind, by, weighted):
    endogenous, instruments = IDENTIFIED[identified]
    clusters = None if by is None else data[by]
    weight = data["weight"] if weighted else None
    ours = DSLTwoStageLeastSquares(endogenous=endogenous, covariance=kind).fit(
        data["X"],
        data["y"],
        instruments=data["Z"][:, instruments],
        clusters=clusters,
        sample_weight=weight,
    )
    params, cov = reference(data, endogenous, instruments, kind, clusters, weight=weight)
    np.testing.assert_allclose(ours.results_.params, params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL, atol=1e-10 * np.abs(cov).max())
    np.testing.assert_allclose(ours.coef_, params[1:], rtol=RTOL)


@pytest.mark.parametrize(("kind", "by"), COVARIANCES)
@pytest.mark.parametrize("weighted", [False, True])
def test_with_fixed_effects_equals_dummies(data, kind, by, weighted):
    """Absorbed effects count as coefficients in HC1 and CR1."""
    clusters = None if by is None else data[by]
    weight = data["weight"] if weighted else None
    ours = DSLTwoStageLeastSquares(endogenous="treatment", covariance=kind).fit(
        data["X"],
        data["y"],
        instruments=data["Z"][:, :2],
        fixed_effects=data["effects"],
        clusters=clusters,
        sample_weight=weight,
    )
    constant = dummies(data["effects"])
    params, cov = reference(
        data, ["treatment"], [0, 1], kind, clusters, weight=weight, constant=constant
    )
    np.testing.assert_allclose(ours.results_.params, params, rtol=RTOL)
    np.testing.assert_allclose(ours.results_.cov, cov, rtol=RTOL, atol=1e-10 * np.abs(cov).max())
    assert ours.intercept_ == 0.0


def test_without_intercept(data):
    ours = DSLTwoStageLeastSquares(endogenous="treatment", fit_intercept=False).fit(
        data["X"], data["y"], instruments=data["Z"][:, :2]
    )
    theirs = IV2SLS(
        data["y"],
        data["X"][["exogenous", "second"]],
        data["X"][["treatment"]],
        data["Z"][:, :2],
    ).fit(cov_type="robust")
    np.testing.assert_allclose(ours.coef_, theirs.params[NAMES], rtol=RTOL)


def test_nothing_endogenous_is_least_squares(data):
    two_stage = DSLTwoStageLeastSquares().fit(data["X"], data["y"]).results_
    least_squares = DSLLinearRegression().fit(data["X"], data["y"]).results_
    np.testing.assert_allclose(two_stage.params, least_squares.params, rtol=RTOL)
    np.testing.assert_allclose(two_stage.cov, least_squares.cov, rtol=RTOL)


def test_endogeneity_matters_and_is_cured(data):
    """The treatment's coefficient is 0.5; least squares is far off, two stages are not."""
    naive = sm.OLS(data["y"], sm.add_constant(data["X"])).fit(cov_type="HC0")
    ours = DSLTwoStageLeastSquares(endogenous=["treatment", "second"]).fit(
        data["X"], data["y"], instruments=data["Z"]
    )
    position = ours.results_.names.index("treatment")
    assert abs(naive.params["treatment"] - 0.5) > 4 * naive.bse["treatment"]
    error = abs(ours.results_.params[position] - 0.5)
    assert error < 3 * ours.results_.std_errors[position]
