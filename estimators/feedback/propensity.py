r"""Propensities: the probability that a user was exposed to an item.

A click needs both, exposure O and relevance R: with :math:`\theta_{ui} = P(O_{ui} = 1)` and
:math:`\gamma_{ui} = P(R_{ui} = 1)`, independent given the pair,
:math:`P(Y_{ui} = 1) = \theta_{ui} \gamma_{ui}`. Losses weigh clicks by :math:`1/\theta_{ui}`, so
that only :math:`\theta` at the clicks is ever needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

_SHOWN = 3


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


class PropensityModel(BaseEstimator, ABC):
    """A model of exposure that is estimated from training clicks; what all of them share."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate propensities from training clicks.

        Parameters
        ----------
        X : sparse matrix of shape (n_users, n_items)
            Clicks, 1 where there is one. Held-out clicks must not be among them.
        y : object, default=None
            Ignored.
        """
        clicks = sparse.csr_matrix(X)
        self.n_users_, self.n_items_ = clicks.shape
        self._fit(clicks)
        return self

    @abstractmethod
    def _fit(self, X: sparse.csr_matrix) -> None:
        """Estimate from clicks in canonical form."""

    @abstractmethod
    def predict(self, users: ArrayLike, items: ArrayLike) -> Array:
        """Return the propensities of pairs, given by rows and columns of the clicks."""

    @property
    @abstractmethod
    def description(self) -> str:
        """Words for headers."""

    def item_propensities(self) -> Array | None:
        """Return the propensity of every item where it depends on nothing else, or None."""
        return None


class PopularityPropensity(PropensityModel):
    r"""Propensities that grow with the number of clicks, by a power law.

    .. math::

        \theta_i = \Bigl(\frac{n_i + \alpha}{\max_j n_j + \alpha}\Bigr)^{\eta}

    with :math:`n_i` the clicks of item i; of users likewise, or the product of both.

    Parameters
    ----------
    by : {"item", "user", "both"}, default="item"
        What the propensity depends on.
    power : float, default=0.5
        Exponent :math:`\eta`. Where popularity follows a power law with exponent g,
        :math:`\eta = (g + 1)/2` [2]_.
    smoothing : float, default=1.0
        Clicks :math:`\alpha` that are added to all counts, so that items without a click have a
        propensity. With 0, the published estimator, those get the least of the others.
    relative_to : {"max", "all"}, default="max"
        ``"max"`` compares with the largest count, as above, ``"all"`` with the number of users (for
        users, of items) that could have clicked.

    References
    ----------
    .. [1] Saito, Y., Yaginuma, S., Nishino, Y., Sakata, H. and Nakata, K. (2020). Unbiased
       recommender learning from missing-not-at-random implicit feedback. *WSDM '20*, 501-509.
       https://doi.org/10.1145/3336191.3371783
    .. [2] Yang, L., Cui, Y., Xuan, Y., Wang, C., Belongie, S. and Estrin, D. (2018). Unbiased
       offline recommender evaluation for missing-not-at-random implicit feedback. *RecSys '18*,
       279-287. https://doi.org/10.1145/3240323.3240355

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from trueness.feedback.propensity import PopularityPropensity
    >>> clicks = csr_matrix([[1, 1, 0], [1, 0, 0], [1, 0, 0]])
    >>> PopularityPropensity(smoothing=0.0).fit(clicks).item_propensities().round(3).tolist()
    [1.0, 0.577, 0.577]
    """

    def __init__(
        self,
        *,
        by: Literal["item", "user", "both"] = "item",
        power: float = 0.5,
        smoothing: float = 1.0,
        relative_to: Literal["max", "all"] = "max",
    ) -> None:
        self.by = by
        self.power = power
        self.smoothing = smoothing
        self.relative_to = relative_to

    def _fit(self, X: sparse.csr_matrix) -> None:
        n_users, n_items = X.shape
        self.user_factor_ = np.ones(n_users)
        self.item_factor_ = np.ones(n_items)
        if self.by in ("user", "both"):
            self.user_factor_ = self._factor(np.diff(X.indptr), n_items)
        if self.by in ("item", "both"):
            self.item_factor_ = self._factor(np.bincount(X.indices, minlength=n_items), n_users)

    def _factor(self, counts: NDArray[np.integer], n_possible: int) -> Array:
        raised = counts + float(self.smoothing)
        if not raised.all():
            raised[raised == 0] = raised[raised > 0].min(initial=np.inf)
        limit = raised.max() if self.relative_to == "max" else n_possible + self.smoothing
        return np.asarray((raised / limit) ** self.power)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Array:
        """Return the propensities of pairs, given by rows and columns of the clicks."""
        return np.asarray(self.user_factor_[np.asarray(users)] * self.item_factor_[items])

    def item_propensities(self) -> Array | None:
        """Return the propensity of every item where it depends on nothing else, or None."""
        return self.item_factor_ if self.by == "item" else None

    @property
    def description(self) -> str:
        """Words for headers."""
        what = {"item": "items", "user": "users", "both": "users and items"}[self.by]
        return f"clicks of {what} to the power {self.power:g}"


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
