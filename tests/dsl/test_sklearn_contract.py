"""The estimators follow scikit-learn's contract."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

ESTIMATORS = [
    DSLLinearRegression(),
    DSLLogisticRegression(),
    DSLMean(),
    DSLPoissonRegressor(),
    DSLTwoStageLeastSquares(),
]


def failing(estimator):
    """Checks that cannot apply, with the reason."""
    if isinstance(estimator, DSLMean):
        return {}
    reason = "repeats 15 rows to identify 31 coefficients, which an unpenalised model refuses"
    return {
        "check_sample_weight_equivalence_on_dense_data": reason,
        "check_sample_weight_equivalence_on_sparse_data": reason,
    }


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=failing)
# The checks fit logits on well separated blobs, where a warning is what should come.
@pytest.mark.filterwarnings("ignore::trueness.dsl.SeparationWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)
