"""Estimators of relevance from clicks."""

from .base import FeedbackModel, Recommendations
from .relmf import RelMF

__all__ = ["FeedbackModel", "Recommendations", "RelMF"]
