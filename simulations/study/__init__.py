"""Simulation studies: a generator, methods and a grid, run anywhere, resumed and replayed."""

from .results import StudyResults
from .study import SimulationStudy

__all__ = ["SimulationStudy", "StudyResults"]
