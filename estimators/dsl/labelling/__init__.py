"""Which rows to label next, and how many: allocation, waves, budgets, units, coders."""

from .aggregation import UnitLabels, aggregate_labels, unit_regression
from .agreement import Agreement, krippendorff_alpha
from .allocation import Allocation, optimal_allocation, stratum_spread
from .budget import LabelBudget
from .coders import CoderEstimates, fit_coders
from .final_wave import final_wave
from .pilot_budget import label_budget
from .prior import prior_allocation
from .prior_budget import prior_budget
from .waves import next_wave

__all__ = [
    "Agreement",
    "Allocation",
    "CoderEstimates",
    "LabelBudget",
    "UnitLabels",
    "aggregate_labels",
    "final_wave",
    "fit_coders",
    "krippendorff_alpha",
    "label_budget",
    "next_wave",
    "optimal_allocation",
    "prior_allocation",
    "prior_budget",
    "stratum_spread",
    "unit_regression",
]
