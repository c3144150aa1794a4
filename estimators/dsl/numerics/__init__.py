"""Numerics of design-based supervised learning: arrays in, arrays out."""

from .equation import LINEAR, LOGISTIC, IndexModel, Problem, Sample
from .solver import Root, collinear_column, solve
from .variance import Variance, population_variance, superpopulation_variance

__all__ = [
    "LINEAR",
    "LOGISTIC",
    "IndexModel",
    "Problem",
    "Root",
    "Sample",
    "Variance",
    "collinear_column",
    "population_variance",
    "solve",
    "superpopulation_variance",
]
