"""Design-based supervised learning: regressions from machine labels and a gold sample."""

from .comparison import compare_labels
from .diagnostics import (
    DesignWarning,
    DSLDiagnostics,
    FewLabelsWarning,
    SeparationWarning,
    SolverWarning,
    TuningWarning,
)
from .estimators import (
    DSLEstimator,
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLMean,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)
from .gold_sample import GoldSample
from .labelling import Allocation, optimal_allocation, prior_allocation, stratum_spread

__all__ = [
    "Allocation",
    "DSLDiagnostics",
    "DSLEstimator",
    "DSLLinearRegression",
    "DSLLogisticRegression",
    "DSLMean",
    "DSLPoissonRegressor",
    "DSLTwoStageLeastSquares",
    "DesignWarning",
    "FewLabelsWarning",
    "GoldSample",
    "SeparationWarning",
    "SolverWarning",
    "TuningWarning",
    "compare_labels",
    "optimal_allocation",
    "prior_allocation",
    "stratum_spread",
]
