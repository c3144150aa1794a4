"""The estimators follow scikit-learn's contract."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean


@parametrize_with_checks([DSLLinearRegression(), DSLLogisticRegression(), DSLMean()])
# The checks fit logits on well separated blobs, where a warning is what should come.
@pytest.mark.filterwarnings("ignore::trueness.dsl.SeparationWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)
