"""Gold samples: which rows to label by hand, drawn by design."""

from .sample import GoldSample

__all__ = ["GoldSample"]
