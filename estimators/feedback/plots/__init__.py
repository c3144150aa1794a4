"""Figures of clicks and their weights; matplotlib is imported only when one is drawn."""

from .clipping import bias_variance_plot

__all__ = ["bias_variance_plot"]
