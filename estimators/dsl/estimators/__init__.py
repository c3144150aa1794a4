"""The estimators of this family: one file each."""

from .custom import DSLEstimator
from .linear import DSLLinearRegression
from .logistic import DSLLogisticRegression
from .mean import DSLMean
from .poisson import DSLPoissonRegressor
from .two_stage import DSLTwoStageLeastSquares

__all__ = [
    "DSLEstimator",
    "DSLLinearRegression",
    "DSLLogisticRegression",
    "DSLMean",
    "DSLPoissonRegressor",
    "DSLTwoStageLeastSquares",
]
