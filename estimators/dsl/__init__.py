"""Design-based supervised learning: regressions from machine labels and a gold sample."""

from .comparison import compare_labels
from .diagnostics import DesignWarning, DSLDiagnostics, SeparationWarning, SolverWarning
from .estimators import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)

__all__ = [
    "DSLDiagnostics",
    "DSLEstimator",
    "DSLLinearRegression",
    "DSLLogisticRegression",
    "DSLMean",
    "DSLPoissonRegressor",
    "DSLTwoStageLeastSquares",
    "DesignWarning",
    "SeparationWarning",
    "SolverWarning",
    "compare_labels",
]
