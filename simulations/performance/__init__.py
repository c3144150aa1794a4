"""Performance of estimators in simulation studies, with Monte Carlo standard errors."""

from .comparison import compare_methods
from .results import Performance
from .summary import performance

__all__ = ["Performance", "compare_methods", "performance"]
