"""Estimates from censored durations with standard errors that count the estimated curve."""

from .bootstrap import BootstrapWarning, CaseWeightBootstrap, case_weight_bootstrap
from .integral import km_integral
from .linear import CensoredLinearRegression
from .logistic import CensoredLogisticRegression
from .quantile import CensoredQuantileRegression

__all__ = [
    "BootstrapWarning",
    "CaseWeightBootstrap",
    "CensoredLinearRegression",
    "CensoredLogisticRegression",
    "CensoredQuantileRegression",
    "case_weight_bootstrap",
    "km_integral",
]
