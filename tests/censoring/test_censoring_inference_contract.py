"""The regressions with standard errors follow scikit-learn's contract on complete durations."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from trueness.censoring import (
    CensoredLinearRegression,
    CensoredQuantileRegression,
)


def failing(estimator):
    """Checks that cannot apply, with the reason."""
    reason = "repeats 15 rows to identify 31 coefficients, which a model with errors refuses"
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


@parametrize_with_checks(
    [
        CensoredLinearRegression(),
        CensoredLinearRegression(method="weights", censoring="km"),
        CensoredQuantileRegression(),
    ],
    expected_failed_checks=failing,
)
@pytest.mark.filterwarnings("ignore::trueness.censoring.CensoringWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)
