"""Statistical estimation from biased and surrogate labels."""

__version__ = "0.1.0.dev0"
