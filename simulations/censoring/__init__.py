"""Simulation designs for learning from censored durations.

The regression function, the survival curves of durations and censoring times, and the share of
censoring are known:

>>> from trueness.simulations.censoring import make_censored_durations
>>> sample = make_censored_durations(design="wei_pos", n_rows=5, random_state=0)
>>> sample.observed["y"].dtype.names, sample.complete.regression.shape
(('event', 'time'), (5,))
"""

from .durations import make_censored_durations
from .laws import DurationLaw
from .oracle import KnownSurvival

__all__ = ["DurationLaw", "KnownSurvival", "make_censored_durations"]
