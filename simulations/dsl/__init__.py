"""Simulation designs for design-based supervised learning (DSL).

Every function draws a sample whose truth is known. ``observed`` goes to ``fit``, ``by_formula`` to
``fit_formula``, and ``truth`` is what the intervals should cover:

>>> from trueness.dsl import DSLLinearRegression
>>> from trueness.simulations.dsl import make_egami2024
>>> sample = make_egami2024(model="linear", outcome="continuous", random_state=0)
>>> model = DSLLinearRegression(learner="linear", n_repeats=1, random_state=0)
>>> model.fit(**sample.observed).results_.names == tuple(sample.truth)
True
"""

from .counts import make_counts
from .egami2024 import make_egami2024
from .instrument import make_instrument
from .multiclass import make_multiclass
from .panel import make_panel
from .predicted_covariate import make_predicted_covariate

__all__ = [
    "make_counts",
    "make_egami2024",
    "make_instrument",
    "make_multiclass",
    "make_panel",
    "make_predicted_covariate",
]
