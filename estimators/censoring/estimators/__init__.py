"""Estimators that wrap learners, one file each."""

from .classifier import CensoredClassifier
from .learners import LearnerWarning
from .losses import learner_loss
from .regressor import CensoredRegressor

__all__ = ["CensoredClassifier", "CensoredRegressor", "LearnerWarning", "learner_loss"]
