"""Estimators of relevance from clicks."""

from .base import FeedbackModel
from .lookup import Recommendations
from .relmf import RelMF
from .summary import FitDiagnostics
from .wmf import WMF

__all__ = ["WMF", "FeedbackModel", "FitDiagnostics", "Recommendations", "RelMF"]
