"""Scores on labelled rows, each weighted by the inverse of its probability."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import r2_score

from .. import validation

Array = NDArray[np.float64]


def labelled_weights(y: Any, sampling_probability: Any) -> tuple[NDArray[np.bool_], Array]:
    """Return which rows of y are labelled, and the inverse probabilities of these rows."""
    labelled = pd.Series(validation.to_pandas(y)).notna().to_numpy()
    if not labelled.any():
        raise ValueError("No row of y is labelled, so there is nothing to score.")
    if sampling_probability is None:
        return labelled, np.ones(int(labelled.sum()))
    probability = validation.read_probability(sampling_probability, len(labelled))
    return labelled, 1.0 / probability[labelled]


def weighted_r2(y: Any, predicted: Array, sampling_probability: Any) -> float:
    """Return R squared on the labelled rows, weighted by 1 / probability."""
    labelled, weight = labelled_weights(y, sampling_probability)
    known = pd.Series(validation.to_pandas(y))[labelled].to_numpy(dtype=float)
    return float(r2_score(known, predicted[labelled], sample_weight=weight))
