"""Simulation generators with known truth."""

from .censoring import make_censored_durations
from .dsl import (
    make_counts,
    make_egami2024,
    make_instrument,
    make_multiclass,
    make_panel,
    make_predicted_covariate,
)
from .feedback import make_clicks, make_saito2020

__all__ = [
    "make_censored_durations",
    "make_clicks",
    "make_counts",
    "make_egami2024",
    "make_instrument",
    "make_multiclass",
    "make_panel",
    "make_predicted_covariate",
    "make_saito2020",
]
