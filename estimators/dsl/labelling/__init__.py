"""Which rows to label next, and how many: allocation, waves, budgets, units, coders."""

from .allocation import Allocation, optimal_allocation, stratum_spread
from .prior import prior_allocation

__all__ = ["Allocation", "optimal_allocation", "prior_allocation", "stratum_spread"]
