"""Learning from censored durations: weights, transforms, predictions, scores and inference."""

from .diagnostics import (
    CensoringDiagnostics,
    CensoringWarning,
    DependenceTest,
    HorizonWarning,
    PositivityWarning,
)
from .estimators import CensoredClassifier, CensoredRegressor, LearnerWarning, learner_loss
from .inference import (
    BootstrapWarning,
    CaseWeightBootstrap,
    CensoredLinearRegression,
    CensoredLogisticRegression,
    CensoredQuantileRegression,
    case_weight_bootstrap,
    km_integral,
)
from .metrics import (
    calibration_table,
    concordance_index,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    ipcw_bias,
    ipcw_brier_score,
    ipcw_calibration_slope,
    ipcw_integrated_brier_score,
    ipcw_mean_absolute_error,
    ipcw_mean_pinball_loss,
    ipcw_mean_squared_error,
    ipcw_r2_score,
    score_report,
)
from .models import (
    AutoCensoring,
    BeranCensoring,
    CensoringModel,
    CoxCensoring,
    CrossFittedCensoring,
    ForestCensoring,
    KaplanMeierCensoring,
    NeighborsCensoring,
)
from .scorers import CensoredScorer
from .splitting import CensoredStratifiedKFold
from .steps import StepFunction
from .targets import survival_target
from .weights import CensoringWeights, censoring_weights

__all__ = [
    "AutoCensoring",
    "BeranCensoring",
    "BootstrapWarning",
    "CaseWeightBootstrap",
    "CensoredClassifier",
    "CensoredLinearRegression",
    "CensoredLogisticRegression",
    "CensoredQuantileRegression",
    "CensoredRegressor",
    "CensoredScorer",
    "CensoredStratifiedKFold",
    "CensoringDiagnostics",
    "CensoringModel",
    "CensoringWarning",
    "CensoringWeights",
    "CoxCensoring",
    "CrossFittedCensoring",
    "DependenceTest",
    "ForestCensoring",
    "HorizonWarning",
    "KaplanMeierCensoring",
    "LearnerWarning",
    "NeighborsCensoring",
    "PositivityWarning",
    "StepFunction",
    "calibration_table",
    "case_weight_bootstrap",
    "censoring_weights",
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
    "km_integral",
    "learner_loss",
    "score_report",
    "survival_target",
]
