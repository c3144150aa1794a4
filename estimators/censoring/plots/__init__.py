"""Figures of censoring; matplotlib is imported only when one is drawn.

Curves of censoring, the weights they give, calibration of predictions, and error against time.
"""

from .curves import curve_plot
from .scores import brier_plot, calibration_plot
from .weights import weight_plot

__all__ = ["brier_plot", "calibration_plot", "curve_plot", "weight_plot"]
