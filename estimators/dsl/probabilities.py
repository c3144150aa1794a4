"""The sampling probabilities behind the weights."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from ..validation import first_rows
from .diagnostics import DesignWarning

Array = NDArray[np.float64]

# |log| of the factor by which stated probabilities may miss the number of labels in silence.
LARGEST_LOG_FACTOR = 0.2


def sampling_probability(
    stated: Array | None, labelled: NDArray[np.bool_], *, design: str, normalize: bool
) -> tuple[Array, float]:
    """Return the probabilities behind the weights, and the factor by which they were rescaled.

    Without stated probabilities they are constant, n / N. Stated ones are multiplied, if
    ``normalize``, so that they sum to the number of labels; rows with probability one stay, as
    nothing about them is random.

    Raises
    ------
    ValueError
        If a row with probability one is not labelled, or unequal or other probabilities than
        n / N are stated for a simple random sample.

    Warns
    -----
    DesignWarning
        If the factor is far from 1 (more than about 20 percent).
    """
    n_rows, n_labelled = len(labelled), int(labelled.sum())
    if stated is None:
        return np.full(n_rows, n_labelled / n_rows), 1.0
    missed = (stated == 1.0) & ~labelled
    if missed.any():
        raise ValueError(
            f"sampling_probability is 1 on {missed.sum():,} rows that have no gold label "
            f"({first_rows(missed)}). A certain row must be labelled."
        )
    if design == "srswor" and np.ptp(stated) > 1e-8 * stated[0]:
        raise ValueError(
            'design="srswor" (simple random sampling) has equal probabilities, but '
            f"sampling_probability ranges from {stated.min():g} to {stated.max():g}; use "
            'design="poisson" for independent draws with unequal probabilities.'
        )
    random = stated < 1.0
    if not random.any():
        return stated, 1.0
    factor = float(labelled[random].sum() / stated[random].sum())
    if not normalize:
        if design == "srswor" and abs(factor - 1.0) > 1e-6:
            raise ValueError(
                f'design="srswor" with {n_labelled:,} labels of {n_rows:,} rows means a '
                f"probability of {n_labelled / n_rows:g}, but {stated[0]:g} is stated; leave it "
                "out or use normalize=True."
            )
        return stated, 1.0
    if factor > 0.0 and abs(np.log(factor)) > LARGEST_LOG_FACTOR:
        warnings.warn(
            f"sampling_probability adds up to {stated.sum():,.1f} expected labels, but "
            f"{n_labelled:,} rows are labelled; the probabilities were multiplied by {factor:.3g}. "
            "They may not describe how these labels were drawn.",
            DesignWarning,
            stacklevel=4,
        )
    return np.where(random, factor * stated, stated), factor
