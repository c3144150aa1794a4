"""Numerics of design-based supervised learning: arrays in, arrays out."""

from .custom import CustomModel
from .equation import Problem
from .models import (
    LINEAR,
    LOGISTIC,
    POISSON,
    IndexModel,
    MomentModel,
    MultinomialModel,
    Sample,
    TwoStageModel,
)
from .solver import Root, collinear_column, solve
from .variance import Variance, population_variance, superpopulation_variance

__all__ = [
    "LINEAR",
    "LOGISTIC",
    "POISSON",
    "CustomModel",
    "IndexModel",
    "MomentModel",
    "MultinomialModel",
    "Problem",
    "Root",
    "Sample",
    "TwoStageModel",
    "Variance",
    "collinear_column",
    "population_variance",
    "solve",
    "superpopulation_variance",
]
