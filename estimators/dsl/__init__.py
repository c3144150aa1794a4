"""Design-based supervised learning: regressions from machine labels and a gold sample."""

from .comparison import compare_labels
from .diagnostics import DesignWarning, DSLDiagnostics, SeparationWarning, SolverWarning
from .estimators import DSLLinearRegression, DSLLogisticRegression
from .means import DSLMean

__all__ = [
    "DSLDiagnostics",
    "DSLLinearRegression",
    "DSLLogisticRegression",
    "DSLMean",
    "DesignWarning",
    "SeparationWarning",
    "SolverWarning",
    "compare_labels",
]
