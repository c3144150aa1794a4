"""Small real data sets, shipped as numbers."""

from .sentiment import load_sentiment

__all__ = ["load_sentiment"]
