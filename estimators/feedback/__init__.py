"""Recommending what people want from clicks that depend on what they were shown."""

from .alarms import FeedbackWarning, RankWarning, UnboundedLossWarning
from .clicks import ClickMatrix, clicks_to_matrix
from .estimators import FeedbackModel, Recommendations, RelMF
from .propensity import PopularityPropensity, Propensity, PropensityModel, resolve_propensity

__all__ = [
    "ClickMatrix",
    "FeedbackModel",
    "FeedbackWarning",
    "PopularityPropensity",
    "Propensity",
    "PropensityModel",
    "RankWarning",
    "Recommendations",
    "RelMF",
    "UnboundedLossWarning",
    "clicks_to_matrix",
    "resolve_propensity",
]
