"""Simulation designs for learning from clicks.

Relevance and exposure of every pair are known, so that the ideal loss is exact:

>>> from trueness.simulations.feedback import make_clicks
>>> sample = make_clicks(n_users=20, n_items=10, random_state=0)
>>> sample.complete.relevance.shape, sample.complete.propensity.shape
((20, 10), (10,))
"""

from .ideal import KnownRelevance
from .saito2020 import make_saito2020
from .synthetic import make_clicks

__all__ = ["KnownRelevance", "make_clicks", "make_saito2020"]
