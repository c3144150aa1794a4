r"""Propensities: the probability that a user was exposed to an item.

A click needs both, exposure O and relevance R: with :math:`\theta_{ui} = P(O_{ui} = 1)` and
:math:`\gamma_{ui} = P(R_{ui} = 1)`, independent given the pair,
:math:`P(Y_{ui} = 1) = \theta_{ui} \gamma_{ui}`. Losses weigh clicks by :math:`1/\theta_{ui}`, so
that only :math:`\theta` at the clicks is ever needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from .exposure_models import NaiveBayesPropensity, PopularityPropensity, PropensityModel

Array = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]

_SHOWN = 3

__all__ = [
    "NaiveBayesPropensity",
    "PopularityPropensity",
    "Propensity",
    "PropensityModel",
    "resolve_propensity",
]


@dataclass(frozen=True)
class Propensity:
    """Propensities at the clicks of a matrix.

    Attributes
    ----------
    at_clicks : ndarray of shape (n_clicks,)
        In the order of the matrix in compressed rows: by user, then by item. Made when asked for
        where the items say it all.
    items : ndarray of shape (n_items,), or None
        Where the propensity depends on the item only, that of every item.
    description : str
        Where they come from, in words.
    """

    items: Array | None
    description: str
    _columns: NDArray[np.integer] = field(repr=False)
    _values: Array | None = field(default=None, repr=False)

    @cached_property
    def at_clicks(self) -> Array:  # noqa: D102
        if self._values is not None:
            return self._values
        assert self.items is not None
        return self.items[self._columns]


_NAMED: dict[str, Callable[[], PropensityModel]] = {
    "popularity": PopularityPropensity,
    "item": lambda: PopularityPropensity(power=1.0),
    "user": lambda: PopularityPropensity(by="user", power=1.0),
    "both": lambda: PopularityPropensity(by="both", power=1.0),
}


def resolve_propensity(propensity: Any, X: sparse.csr_matrix) -> Propensity:
    """Return propensities at the clicks, whatever they are given as.

    Parameters
    ----------
    propensity : None, str, float, array, PropensityModel or callable
        None stands for `PopularityPropensity`, whose other forms have the names ``"item"``,
        ``"user"`` and ``"both"``; a model is cloned and fitted to X. A number, or an array of shape
        (n_items,), (n_users, 1) or (n_users, n_items), is taken as it is. A function is called with
        the users and items of all clicks and returns their propensities.
    X : csr_matrix of shape (n_users, n_items)
        Training clicks in canonical form.

    Returns
    -------
    Propensity

    Raises
    ------
    ValueError
        If a name is unknown, a shape does not fit, or a propensity is not in (0, 1].
    TypeError
        If the object cannot be a propensity.
    """
    if propensity is None:
        propensity = PopularityPropensity()
    if isinstance(propensity, str):
        if propensity not in _NAMED:
            raise ValueError(
                f"propensity={propensity!r} is unknown; choose one of "
                f"{', '.join(map(repr, _NAMED))}, or give numbers."
            )
        propensity = _NAMED[propensity]()
    if isinstance(propensity, PropensityModel):
        model = clone(propensity).fit(X)
        by_item, description = model.item_propensities(), model.description
        found = None if by_item is not None else model.predict(_users(X), X.indices)
    elif callable(propensity):
        by_item, description = None, "a given function"
        found = _called(propensity, _users(X), X.indices)
    else:
        by_item, found = _given(propensity, X)
        description = "given" if np.ndim(propensity) else f"{float(propensity):g} for all pairs"
    return Propensity(by_item, description, X.indices, found)


def _users(X: sparse.csr_matrix) -> Codes:
    """Return the user of every click."""
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))


def _called(function: Callable[..., Any], users: Codes, items: Codes) -> Array:
    found = np.asarray(function(users, items), dtype=float)
    if found.shape != users.shape:
        raise ValueError(
            "propensity: the function was called with the users and items of "
            f"{len(users):,} clicks and returned shape {found.shape}; it must return one number "
            "for each."
        )
    _check(found, "of a click")
    return found


def _given(values: Any, X: sparse.csr_matrix) -> tuple[Array | None, Array | None]:
    """Return propensities of items, or else those at the clicks."""
    n_users, n_items = X.shape
    numbers = isinstance(values, Real | list | tuple) or hasattr(values, "__array__")
    if isinstance(values, bool) or not numbers:
        raise TypeError(
            "propensity must be None, a name, a number, an array, a PropensityModel or a function "
            f"of users and items, got {type(values).__name__}."
        )
    given = np.asarray(values, dtype=float)
    if given.ndim == 0:
        _check(given[None], "given")
        return np.full(n_items, float(given)), None
    if given.shape == (n_items,):
        _check(given, "of an item")
        return given.copy(), None
    if given.shape == (n_users, n_items):
        _check(given.ravel(), "of a pair")
        return None, given[_users(X), X.indices]
    if given.shape == (n_users, 1):
        _check(given[:, 0], "of a user")
        return None, given[_users(X), 0]
    raise ValueError(
        f"propensity has shape {given.shape}, but there are {n_users:,} users and {n_items:,} "
        f"items: give a number, or shape ({n_items},), ({n_users}, 1) or ({n_users}, {n_items})."
    )


def _check(values: Array, whose: str) -> None:
    """Raise unless all propensities are in (0, 1]."""
    wrong = ~((values > 0) & (values <= 1))
    if wrong.any():
        where = np.flatnonzero(wrong)
        shown = ", ".join(f"{values[k]:g} at {k}" for k in where[:_SHOWN])
        more = ", ..." if len(where) > _SHOWN else ""
        raise ValueError(
            f"propensity: {len(where):,} of {len(values):,} values are not in (0, 1] ({shown}"
            f"{more}). A propensity {whose} is a probability; where it is 0 nothing can be learned "
            "of relevance: give the least value that is credible, and let clip limit the weights."
        )
