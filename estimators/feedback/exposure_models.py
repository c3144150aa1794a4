"""Models of exposure that are estimated from training clicks."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator

from .alarms import FeedbackWarning
from .clicks import read_clicks

Array = NDArray[np.float64]


class PropensityModel(BaseEstimator, ABC):
    """A model of exposure that is estimated from training clicks; what all of them share."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Estimate propensities from training clicks.

        Parameters
        ----------
        X : ClickMatrix or sparse matrix of shape (n_users, n_items)
            Clicks, 1 where there is one. Held-out clicks must not be among them.
        y : object, default=None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If an option is not allowed, or X is no matrix of zeros and ones or has no click.
        """
        clicks = read_clicks(X)
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

    Attributes
    ----------
    user_factor_ : ndarray of shape (n_users,)
    item_factor_ : ndarray of shape (n_items,)
        The propensity of a pair is the product of its two factors.

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
    >>> from trueness.feedback import PopularityPropensity
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
        _check_choice("by", self.by, ("item", "user", "both"))
        _check_choice("relative_to", self.relative_to, ("max", "all"))
        for name in ("power", "smoothing"):
            value = getattr(self, name)
            if not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r} is not allowed; give a number of at least 0.")
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
            raised[raised == 0] = raised[raised > 0].min()
        limit = raised.max() if self.relative_to == "max" else n_possible + self.smoothing
        return np.asarray((raised / limit) ** self.power)

    def predict(self, users: ArrayLike, items: ArrayLike) -> Array:
        """Return the propensities of pairs, given by rows and columns of the clicks."""
        return self.user_factor_[np.asarray(users)] * self.item_factor_[np.asarray(items)]

    def item_propensities(self) -> Array | None:
        """Return the propensity of every item where it depends on nothing else, or None."""
        return self.item_factor_ if self.by == "item" else None

    @property
    def description(self) -> str:
        """Words for headers."""
        what = {"item": "items", "user": "users", "both": "users and items"}[self.by]
        return f"clicks of {what} to the power {self.power:g}"


class NaiveBayesPropensity(PropensityModel):
    r"""Propensities by rating, from a small sample of pairs that were rated at random.

    .. math::

        P(O = 1 \mid r) = \frac{P(O = 1, r)}{P(r)}
            = \frac{c_r / |D|}{(m_r + \alpha) / (m + K\alpha)}

    with :math:`c_r` the clicks among the pairs D that carry the rating r, and :math:`m_r` the pairs
    with this rating among m that were drawn at random, whatever users would have chosen; K is the
    number of different ratings. Clicks without ratings all carry the same one, *relevant*.

    Parameters
    ----------
    random_ratings : array-like of shape (m,), default=None
        Ratings of pairs drawn at random; without ``ratings`` 1 for relevant and 0 for not. None
        says that all ratings are equally frequent: propensities are then known up to a factor only,
        and :math:`c_r / \max c` is taken.
    ratings : sparse matrix or array of shape (n_users, n_items), default=None
        Ratings r of the clicked pairs; other entries are not looked at.
    smoothing : float, default=1.0
        Number :math:`\alpha` that is added to every count of random ratings.

    Attributes
    ----------
    levels_ : ndarray of shape (n_levels,)
        The ratings that clicks carry.
    propensities_ : ndarray of shape (n_levels,)
        Their propensities.

    Warns
    -----
    FeedbackWarning
        If a rating is more frequent among clicks than the random sample allows; its propensity is
        then 1.

    References
    ----------
    Schnabel, T., Swaminathan, A., Singh, A., Chandak, N. and Joachims, T. (2016). Recommendations
    as treatments: debiasing learning and evaluation. *ICML 2016*, 1670-1679.
    https://doi.org/10.48550/arXiv.1602.05352

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from trueness.feedback import NaiveBayesPropensity
    >>> clicks = csr_matrix([[1, 0, 0, 0], [0, 1, 0, 0]])  # on a quarter of the pairs
    >>> model = NaiveBayesPropensity([1, 0, 1, 0], smoothing=0.0).fit(clicks)
    >>> model.predict([0], [0])  # a half of all pairs is relevant
    array([0.5])
    """

    def __init__(
        self, random_ratings: Any = None, *, ratings: Any = None, smoothing: float = 1.0
    ) -> None:
        self.random_ratings = random_ratings
        self.ratings = ratings
        self.smoothing = smoothing

    def _fit(self, X: Any) -> None:
        if not 0 <= self.smoothing < np.inf:
            raise ValueError(
                f"smoothing={self.smoothing!r} is not allowed; give a number of at least 0."
            )
        users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        self._table = None if self.ratings is None else _read_ratings(self.ratings, X.shape)
        carried = self._ratings_of(users, X.indices)
        if not np.isfinite(carried).all():
            raise ValueError("ratings: missing or infinite at a click; every click needs one.")
        self.levels_, counts = np.unique(carried, return_counts=True)
        if self.random_ratings is None:
            if len(self.levels_) == 1:
                raise ValueError(
                    "Without random_ratings propensities differ by rating only, and all clicks "
                    "have the same: give ratings, random_ratings or another model."
                )
            self.propensities_ = counts / counts.max()
            return
        found = counts / (X.shape[0] * X.shape[1]) / self._shares()
        if (found > 1.0).any():
            worst = self.levels_[np.argmax(found)]
            warnings.warn(
                f"{(found > 1.0).sum()} of {len(found)} ratings are more frequent among clicks "
                f"than random_ratings allow (rating {worst:g}: propensity {found.max():.3g}); 1 is "
                "taken. Is the sample really random, and large enough?",
                FeedbackWarning,
                stacklevel=3,
            )
        self.propensities_ = np.minimum(found, 1.0)

    def _shares(self) -> Array:
        """Return the share of every level among random ratings."""
        drawn = np.asarray(self.random_ratings, dtype=float)
        if drawn.ndim != 1 or not len(drawn) or not np.isfinite(drawn).all():
            raise ValueError(
                "random_ratings must be one finite number for each pair of a random sample, got "
                f"shape {drawn.shape}."
            )
        levels = np.unique(np.concatenate([drawn, self.levels_]))
        counts = np.array([np.sum(drawn == level) for level in self.levels_])
        if self.smoothing == 0.0 and not counts.all():
            missing = self.levels_[counts == 0][0]
            raise ValueError(
                f"random_ratings: none is {missing:g}, which clicks carry; give a larger sample or "
                "smoothing above 0."
            )
        n_levels = max(len(levels), 2)  # what is not relevant may happen not to be drawn
        return np.asarray((counts + self.smoothing) / (len(drawn) + n_levels * self.smoothing))

    def _ratings_of(self, users: Any, items: Any) -> Array:
        if self._table is None:
            return np.ones(len(users))
        return np.asarray(self._table[users, items], dtype=float).ravel()

    def predict(self, users: ArrayLike, items: ArrayLike) -> Array:
        """Return the propensities of clicked pairs, given by rows and columns of the clicks.

        Raises
        ------
        ValueError
            If a pair has a rating that no click had.
        """
        carried = self._ratings_of(np.asarray(users), np.asarray(items))
        places = np.minimum(np.searchsorted(self.levels_, carried), len(self.levels_) - 1)
        if (self.levels_[places] != carried).any():
            raise ValueError("A pair has a rating that no click had, so that nothing is known.")
        return np.asarray(self.propensities_[places])

    def item_propensities(self) -> Array | None:
        """Return the propensity of every item where it depends on nothing else, or None."""
        if self._table is not None:
            return None
        return np.full(self.n_items_, float(self.propensities_[0]))

    @property
    def description(self) -> str:
        """Words for headers."""
        return "naive Bayes" + ("" if self.random_ratings is None else ", with random ratings")


def _read_ratings(ratings: Any, shape: tuple[int, int]) -> Any:
    given: Any = ratings
    table: Any = sparse.csr_matrix(given) if sparse.issparse(ratings) else np.asarray(given)
    if table.shape != shape:
        raise ValueError(f"ratings have shape {table.shape}, the clicks {shape}.")
    return table


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(
            f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, choices))}."
        )
