"""What passes through a fit: what was read, what it was fitted to, and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..crossfit import CrossFit
from .data import LabelledData
from .engine import Fit
from .reading import Aligned
from .versions import Versions

Array = NDArray[np.float64]


class Inputs(NamedTuple):
    """Validated input of one fit, and the columns that only a learner sees."""

    data: LabelledData
    aligned: Aligned
    learner_columns: Array


@dataclass(frozen=True)
class Fitted:
    """What a fit leaves behind for questions asked later.

    Attributes
    ----------
    inputs : Inputs
    predictions : ndarray of shape (n_repeats, n, n_columns)
    crossfit : CrossFit or None
    fit : Fit
    """

    inputs: Inputs
    predictions: Array
    crossfit: CrossFit | None
    fit: Fit

    @property
    def data(self) -> LabelledData:
        """The data that were fitted."""
        return self.inputs.data


@dataclass(frozen=True)
class Read:
    """What a model makes of X and y.

    Attributes
    ----------
    versions : Versions
    learner_columns : ndarray of shape (n, p)
        Fully observed columns that help to predict.
    class_names, parameter_names : tuple of str
        As in `LabelledData`.
    facts, rows_lost : dict
        As in `LabelledData`.
    """

    versions: Versions
    learner_columns: Array
    class_names: tuple[str, ...] = ()
    parameter_names: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)
    rows_lost: dict[str, int] = field(default_factory=dict)
