"""Numerics of design-based supervised learning: arrays in, arrays out."""

from .custom import CustomModel
from .design import Draw, SamplingDesign
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
from .tuning import (
    Labels,
    Weights,
    fixed_weights,
    left_out_errors,
    matrix_weights,
    tuned_share,
    tuning_weights,
)
from .variance import Parts, Variance, population_variance, superpopulation_variance

__all__ = [
    "LINEAR",
    "LOGISTIC",
    "POISSON",
    "CustomModel",
    "Draw",
    "IndexModel",
    "Labels",
    "MomentModel",
    "MultinomialModel",
    "Parts",
    "Problem",
    "Root",
    "Sample",
    "SamplingDesign",
    "TwoStageModel",
    "Variance",
    "Weights",
    "collinear_column",
    "fixed_weights",
    "left_out_errors",
    "matrix_weights",
    "population_variance",
    "solve",
    "superpopulation_variance",
    "tuned_share",
    "tuning_weights",
]
