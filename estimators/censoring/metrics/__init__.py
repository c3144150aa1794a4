"""Scores of predictions of censored durations, each under a named model of censoring."""

from .brier import ipcw_brier_score, ipcw_integrated_brier_score
from .calibration import calibration_table
from .errors import (
    ipcw_bias,
    ipcw_calibration_slope,
    ipcw_mean_absolute_error,
    ipcw_mean_pinball_loss,
    ipcw_mean_squared_error,
    ipcw_r2_score,
)
from .ranking import concordance_index, concordance_index_ipcw, cumulative_dynamic_auc
from .report import score_report

__all__ = [
    "calibration_table",
    "concordance_index",
    "concordance_index_ipcw",
    "cumulative_dynamic_auc",
    "ipcw_bias",
    "ipcw_brier_score",
    "ipcw_calibration_slope",
    "ipcw_integrated_brier_score",
    "ipcw_mean_absolute_error",
    "ipcw_mean_pinball_loss",
    "ipcw_mean_squared_error",
    "ipcw_r2_score",
    "score_report",
]
