"""Small real data sets, shipped as numbers or read from packages that ship them."""

from .durations import load_durations
from .sentiment import load_sentiment

__all__ = ["load_durations", "load_sentiment"]
