"""Figures of estimates; matplotlib is imported only when one is drawn."""

from .forest import forest_plot

__all__ = ["forest_plot"]
