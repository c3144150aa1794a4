"""Figures of simulation studies; matplotlib is imported only when one is drawn."""

from .heatmap import ratio_heatmap
from .measures import measure_plot
from .nested_loop import nested_loop_plot
from .replicates import estimate_plot, zip_plot

__all__ = ["estimate_plot", "measure_plot", "nested_loop_plot", "ratio_heatmap", "zip_plot"]
