"""What is summed in blocks of rows is the sum over all rows; long sums lose nothing."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.special import expit

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression
from trueness.dsl.numerics import collinear_column
from trueness.dsl.numerics.models import BLOCK

N = 2 * BLOCK + 17


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(60)
    X = rng.normal(loc=[0.0, 50.0, -3.0], size=(N, 3))
    index = X @ [0.5, 0.1, -0.3] - 6.0
    return {
        "X": X,
        "linear": index + rng.normal(size=N) * (1 + X[:, 0] ** 2),
        "logit": (rng.random(N) < expit(index)).astype(float),
        "weight": rng.exponential(size=N) + 0.1,
    }


@pytest.mark.parametrize("is_weighted", [False, True])
def test_linear_in_several_blocks_equals_weighted_least_squares(data, is_weighted):
    weight = data["weight"] if is_weighted else None
    ours = DSLLinearRegression().fit(data["X"], data["linear"], sample_weight=weight).results_
    model = sm.WLS(
        data["linear"], sm.add_constant(data["X"]), weights=1.0 if weight is None else weight
    )
    theirs = model.fit(cov_type="HC0")
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=1e-8)
    np.testing.assert_allclose(ours.influence.T @ ours.influence / N**2, ours.cov, rtol=1e-10)


def test_logistic_in_several_blocks_equals_logit(data):
    ours = DSLLogisticRegression().fit(data["X"], data["logit"]).results_
    model = sm.Logit(data["logit"], sm.add_constant(data["X"]))
    theirs = model.fit(disp=0, tol=1e-14, cov_type="HC0")
    np.testing.assert_allclose(ours.params, theirs.params, rtol=1e-8)
    np.testing.assert_allclose(ours.cov, theirs.cov_params(), rtol=1e-8)


@pytest.mark.parametrize("n", [100, 200_000])
@pytest.mark.parametrize("spread", [0.0, 1e-6])
def test_a_constant_is_told_from_a_column_that_hardly_varies(n, spread):
    """A long sum rounds the mean of a constant by more than the tolerance."""
    rng = np.random.default_rng(61)
    column = 1.1 + spread * rng.normal(size=n)
    design = np.column_stack([np.ones(n), rng.normal(size=n), column])
    found = collinear_column(design, has_intercept=True)
    assert found == ((2, [0]) if spread == 0.0 else None)


def test_a_combination_is_found_across_blocks(data):
    X = data["X"]
    design = np.column_stack([np.ones(N), X, X[:, 0] - 2.0 * X[:, 2] + 7.0])
    assert collinear_column(design, has_intercept=True) == (4, [1, 3])
    design[-1, 4] += 1e-3  # in the last block only
    assert collinear_column(design, has_intercept=True) is None
