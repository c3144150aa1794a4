"""Recommending what people want from clicks that depend on what they were shown."""

from .alarms import FeedbackWarning, RankWarning, SolverWarning, UnboundedLossWarning
from .clicks import ClickMatrix, clicks_to_matrix
from .diagnostics import WeightDiagnostics, bias_variance_path, weight_diagnostics
from .estimators import WMF, FeedbackModel, FitDiagnostics, Recommendations, RelMF
from .propensity import (
    NaiveBayesPropensity,
    PopularityPropensity,
    Propensity,
    PropensityModel,
    resolve_propensity,
)

__all__ = [
    "WMF",
    "ClickMatrix",
    "FeedbackModel",
    "FeedbackWarning",
    "FitDiagnostics",
    "NaiveBayesPropensity",
    "PopularityPropensity",
    "Propensity",
    "PropensityModel",
    "RankWarning",
    "Recommendations",
    "RelMF",
    "SolverWarning",
    "UnboundedLossWarning",
    "WeightDiagnostics",
    "bias_variance_path",
    "clicks_to_matrix",
    "resolve_propensity",
    "weight_diagnostics",
]
