"""Models of censoring, all with one protocol."""

from .auto import AutoCensoring
from .base import CensoringModel, Curves
from .beran import BeranCensoring
from .cox import CoxCensoring
from .forest import ForestCensoring
from .kaplan_meier import KaplanMeierCensoring
from .neighbors import NeighborsCensoring
from .resolve import resolve_model
from .user import CrossFittedCensoring

__all__ = [
    "AutoCensoring",
    "BeranCensoring",
    "CensoringModel",
    "CoxCensoring",
    "CrossFittedCensoring",
    "Curves",
    "ForestCensoring",
    "KaplanMeierCensoring",
    "NeighborsCensoring",
    "resolve_model",
]
