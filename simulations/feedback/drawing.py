"""From probabilities of relevance and exposure to clicks and what is known of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import Bunch

from ..streams import Rng
from .ideal import KnownRelevance

Array = NDArray[np.float64]


def draw_clicks(
    relevance: Array, exposure: Array, propensity: Array, for_relevance: Rng, for_exposure: Rng
) -> Bunch:
    """Draw R, O and Y = OR, and return them beside their probabilities.

    Parameters
    ----------
    relevance, exposure : ndarray of shape (n_users, n_items)
    propensity : ndarray
        Exposure as ``fit`` takes it.
    for_relevance, for_exposure : Generator

    Returns
    -------
    Bunch
        Keys ``observed``, ``complete``, ``truth``, ``ideal`` and ``rare``; see `make_clicks`.
    """
    relevant = for_relevance.random(relevance.shape) < relevance
    exposed = for_exposure.random(relevance.shape) < exposure
    return Bunch(
        observed={"X": sparse.csr_matrix((relevant & exposed).astype(float))},
        complete=Bunch(
            relevance=relevance,
            exposure=exposure,
            propensity=propensity,
            relevant=sparse.csr_matrix(relevant.astype(float)),
            exposed=sparse.csr_matrix(exposed.astype(float)),
        ),
        truth={
            "relevance": float(relevance.mean()),
            "exposure": float(exposure.mean()),
            "clicks": float((relevance * exposure).sum()),
            "least_loss": float(np.mean(relevance * (1.0 - relevance))),
        },
        ideal=KnownRelevance(relevance),
        rare=_least_half(exposure.mean(axis=0)),
    )


def _least_half(rates: Array) -> NDArray[np.bool_]:
    """Return a mask of the half with the least values, ties by position."""
    least: Any = np.zeros(len(rates), dtype=bool)
    least[np.argsort(rates, kind="stable")[: len(rates) // 2]] = True
    return least
