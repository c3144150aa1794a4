"""Recommending what people want from clicks that depend on what they were shown."""

from .alarms import FeedbackWarning, RankWarning, UnboundedLossWarning
from .clicks import ClickMatrix, clicks_to_matrix
from .diagnostics import WeightDiagnostics, bias_variance_path, weight_diagnostics
from .estimators import FeedbackModel, Recommendations, RelMF
from .propensity import (
    NaiveBayesPropensity,
    PopularityPropensity,
    Propensity,
    PropensityModel,
    resolve_propensity,
)

__all__ = [
    "ClickMatrix",
    "FeedbackModel",
    "FeedbackWarning",
    "NaiveBayesPropensity",
    "PopularityPropensity",
    "Propensity",
    "PropensityModel",
    "RankWarning",
    "Recommendations",
    "RelMF",
    "UnboundedLossWarning",
    "WeightDiagnostics",
    "bias_variance_path",
    "clicks_to_matrix",
    "resolve_propensity",
    "weight_diagnostics",
]
