"""What all models of clicks share: scores, recommendations, neighbours, new users, files."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import isabstract
from os import PathLike
from typing import Any, Self

import numpy as np
import pandas as pd
from joblib import effective_n_jobs
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..alarms import SolverWarning
from ..clicks import ClickMatrix, read_clicks
from ..numerics.factors import Factors, Report, Solution
from ..numerics.labels import Labels
from ..numerics.ranking import top_columns
from .lookup import (
    Recommendations,
    check_same_items,
    excluded_cells,
    named,
    pair_positions,
    positions,
)
from .storage import read_model, write_model
from .summary import FitDiagnostics, describe

Array = NDArray[Any]


class FeedbackModel(BaseEstimator, ABC):
    r"""Base class of models of low rank that score pairs of a user and an item.

    .. math:: s_{ui} = \mu + a_u + b_i + p_u'q_i.

    Attributes
    ----------
    user_factors_ : ndarray of shape (n_users, k)
        P.
    item_factors_ : ndarray of shape (n_items, k)
        Q.
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
        a and b, zero without biases.
    intercept_ : float
        :math:`\mu`, zero without biases.
    user_names_, item_names_ : Index, or None
        Names, if the model was fitted to the result of `clicks_to_matrix`.
    clicks_ : csr_matrix of shape (n_users, n_items)
        Clicks of the fit, which recommendations leave out.
    objective_ : list of float
        The objective after every iteration.
    n_iter_ : int
        Number of iterations.
    converged_ : bool
        Whether the objective settled within the tolerance.
    """

    n_jobs: int | None
    progress: bool
    tol: float
    click_weight_: float
    regularization_: float
    item_propensities_: Array | None
    diagnostics_: FitDiagnostics

    @abstractmethod
    def fit(self, X: Any, *, propensity: Any = None) -> Self:
        """Fit to clicks."""

    @property
    @abstractmethod
    def _is_logistic(self) -> bool:
        """Whether the logistic function turns scores into relevance."""

    def predict(self, pairs: Any) -> Array:
        """Return the relevance score of pairs.

        Parameters
        ----------
        pairs : array-like of shape (m, 2), frame with two columns, or tuple of two arrays
            Users and items, by name if the model knows names, else by row and column.

        Returns
        -------
        ndarray of shape (m,)
            Estimated relevance: a probability for the losses that use the logistic function; for
            squared loss a least-squares estimate of it, which may lie outside [0, 1].

        Raises
        ------
        ValueError
            If a user or item is unknown or out of range, or there are not two columns.
        """
        check_is_fitted(self)
        users, items = pair_positions(pairs, self.user_names_, self.item_names_, self.clicks_.shape)
        scores = np.einsum("ij,ij->i", self.user_factors_[users], self.item_factors_[items])
        scores += self.user_biases_[users] + self.item_biases_[items] + self._intercept
        return self._relevance(scores)

    def recommend(
        self,
        users: Any = None,
        n: int = 10,
        *,
        items: Any = None,
        exclude: Any = None,
        exclude_seen: bool = True,
    ) -> Recommendations:
        """Return the n best items of each user.

        Parameters
        ----------
        users : array-like of shape (m,), default=None
            Names or rows; all users by default.
        n : int, default=10
            Length of each list.
        items : array-like, default=None
            Names or columns to choose from; all by default.
        exclude : array-like of items, or sparse matrix of shape (m, n_items), default=None
            Items that nobody gets, or, where a matrix is not zero, items that the asked user of
            its row does not get.
        exclude_seen : bool, default=True
            Leave out what the user clicked on in the fit.

        Returns
        -------
        Recommendations
            Equal scores are in the order of the items' columns. ``to_frame()`` makes a table.

        Raises
        ------
        ValueError
            If n is not positive, or a user or item is unknown.
        """
        check_is_fitted(self)
        n_users, n_items = self.clicks_.shape
        rows = None if users is None else positions(users, self.user_names_, n_users, "users")
        asked = np.arange(n_users) if rows is None else rows
        chosen = None
        if items is not None:
            chosen = np.unique(positions(items, self.item_names_, n_items, "items"))
        matrix = exclude if sparse.issparse(exclude) else None
        banned = None
        if exclude is not None and matrix is None:
            banned = positions(exclude, self.item_names_, n_items, "exclude")
            if chosen is not None:
                banned = np.flatnonzero(np.isin(chosen, banned))
        seen = self.clicks_ if exclude_seen else None
        cells = excluded_cells(seen, rows, matrix, chosen, (len(asked), n_items))
        queries, candidates = self._extended()
        found, scores = self._top(
            queries if rows is None else queries[rows],
            candidates if chosen is None else candidates[chosen],
            n,
            excluded=cells,
            banned=banned,
        )
        if chosen is not None:
            found = np.where(found >= 0, chosen[found], -1)
        return Recommendations(
            named(asked, self.user_names_), named(found, self.item_names_), self._relevance(scores)
        )

    def similar_items(self, items: Any = None, n: int = 10) -> Recommendations:
        """Return the n items whose factors have the largest cosine with those of each item.

        Parameters
        ----------
        items : array-like of shape (m,), default=None
            Names or columns; all items by default. No item is its own neighbour.
        n : int, default=10

        Returns
        -------
        Recommendations
            Scores are cosines, 0 for an item without factors.
        """
        check_is_fitted(self)
        return self._neighbours(self.item_factors_, self.item_names_, items, n, "item")

    def similar_users(self, users: Any = None, n: int = 10) -> Recommendations:
        """Return the n users whose factors have the largest cosine with those of each user.

        Parameters
        ----------
        users : array-like of shape (m,), default=None
            Names or rows; all users by default. No user is their own neighbour.
        n : int, default=10

        Returns
        -------
        Recommendations
            Scores are cosines, 0 for a user without factors.
        """
        check_is_fitted(self)
        return self._neighbours(self.user_factors_, self.user_names_, users, n, "user")

    def fold_in(self, X: Any, *, propensity: Any = None) -> Self:
        """Return a model of new users with the items of this one.

        Factors of new users are the optimum given those of the items, which stay as they are; for
        the users of the fit these are their own.

        Parameters
        ----------
        X : ClickMatrix, sparse matrix or array of shape (n_new_users, n_items)
            Clicks of the new users on the items of the fit.
        propensity : optional
            As in ``fit``; by default the items' propensities of the fit, whether from a model or
            given.

        Returns
        -------
        FeedbackModel
            Fitted, of the class of this one; its users are the new ones.

        Raises
        ------
        ValueError
            If items differ from those of the fit, or there was no propensity of items in the fit
            and none is given.
        """
        check_is_fitted(self)
        clicks = read_clicks(X)
        check_same_items(self, X, clicks.shape[1])
        if propensity is None:
            propensity = self.item_propensities_
            if propensity is None and self._needs_propensity:
                raise ValueError(
                    "propensity: those of the fit depend on users, so they say nothing of new "
                    "ones; give the propensities of the new users' clicks."
                )
        factors = self._fold(clicks, propensity, self._items_alone(clicks.shape[0]))
        new = self._with()
        new._store(Solution(factors, list(self.objective_), self.converged_), clicks, X)
        for name in ("item_names_", "click_weight_", "regularization_"):
            setattr(new, name, getattr(self, name))
        new.item_propensities_ = self.item_propensities_
        new.diagnostics_ = self.diagnostics_
        return new

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to an .npz file: arrays and JSON, no pickle.

        Parameters
        ----------
        path : str or path
            It must end in .npz. Clicks go with it, as recommendations leave them out; a
            ``random_state`` that is not a number does not.

        Raises
        ------
        ValueError
            If the name ends otherwise, or names of users or items are of mixed kinds.
        """
        check_is_fitted(self)
        write_model(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        FeedbackModel
            ``RelMF.load`` reads a `RelMF` only, ``FeedbackModel.load`` any model.

        Raises
        ------
        ValueError
            If the file holds no such model.
        """
        classes = {c.__name__: c for c in (cls, *cls.__subclasses__()) if not isabstract(c)}
        model: Self = read_model(path, classes)
        return model

    @property
    def _intercept(self) -> Any:
        return self.user_factors_.dtype.type(self.intercept_)

    def _relevance(self, scores: Array) -> Array:
        scores = np.where(np.isneginf(scores), np.nan, scores)
        return np.asarray(expit(scores)) if self._is_logistic else scores

    def _extended(self) -> tuple[Array, Array]:
        if not (self.intercept_ or self.user_biases_.any() or self.item_biases_.any()):
            return self.user_factors_, self.item_factors_
        ones = np.ones((len(self.user_factors_), 1), dtype=self.user_factors_.dtype)
        levels = self.item_biases_[:, None] + self._intercept
        return (
            np.hstack([self.user_factors_, self.user_biases_[:, None], ones]),
            np.hstack([self.item_factors_, np.ones_like(levels), levels]),
        )

    def _top(self, rows: Array, columns: Array, n: int, **options: Any) -> tuple[Array, Array]:
        if n < 1 or n != int(n):
            raise ValueError(f"n={n} must be a positive whole number, the length of each list.")
        with self._threads() as n_threads:
            return top_columns(rows, columns, int(n), n_threads=n_threads, **options)

    def _neighbours(
        self, factors: Array, names: pd.Index[Any] | None, asked: Any, n: int, kind: str
    ) -> Recommendations:
        rows = np.arange(len(factors))
        if asked is not None:
            rows = positions(asked, names, len(factors), f"{kind}s")
        length = np.linalg.norm(factors, axis=1, keepdims=True)
        unit = np.divide(factors, length, out=np.zeros_like(factors), where=length > 0)
        itself = np.arange(len(rows) + 1), rows
        found, scores = self._top(unit[rows], unit, n, excluded=itself)
        scores = np.where(np.isneginf(scores), np.nan, scores)
        return Recommendations(
            named(rows, names), named(found, names), scores, (kind, f"similar_{kind}")
        )

    @contextmanager
    def _threads(self) -> Iterator[int]:
        n_threads = effective_n_jobs(self.n_jobs)
        with threadpool_limits(n_threads):
            yield n_threads

    @contextmanager
    def _sweeps(self, most: int) -> Iterator[Report]:
        name = type(self).__name__
        with tqdm(total=most, desc=name, disable=not self.progress) as bar:
            yield lambda: (bar.update(), None)[1]

    @abstractmethod
    def _fold(self, clicks: Any, propensity: Any, items: Factors) -> Factors:
        """Set the users of factors to their optimum given the items."""

    @property
    def _needs_propensity(self) -> bool:
        return True

    def _with(self, **changes: Any) -> Self:
        """Return an unfitted model with some parameters changed."""
        new: Self = clone(self)
        return new.set_params(**changes)

    def _items_alone(self, n_users: int) -> Factors:
        dtype, rank = self.item_factors_.dtype, self.item_factors_.shape[1]
        has_bias = bool(getattr(self, "fit_bias", False))
        users = np.zeros((n_users, rank + 2 * has_bias), dtype=dtype)
        if not has_bias:
            return Factors(users, self.item_factors_, 0.0, False)
        users[:, -1] = 1.0
        levels = (self.item_biases_ + self._intercept)[:, None]
        items = np.hstack([self.item_factors_, np.ones_like(levels), levels])
        return Factors(users, items, self.intercept_, True)

    def _describe(self, labels: Labels, propensity: str, may_stop: bool) -> None:
        """Store diagnostics; warn if the solver stopped before the objective had settled."""
        self.diagnostics_ = describe(
            labels, propensity, n_iter=self.n_iter_, converged=self.converged_
        )
        if not (self.converged_ or may_stop):
            warnings.warn(
                f"The objective had not settled within {self.tol:g} after {self.n_iter_} "
                "iterations. Raise max_iter, or tol if this is near enough.",
                SolverWarning,
                stacklevel=3,
            )

    def _store(self, solution: Solution, clicks: Any, X: Any) -> None:
        self._store_factors(solution.factors)
        self.objective_ = solution.objective
        self.n_iter_ = len(solution.objective)
        self.converged_ = solution.converged
        self.clicks_ = clicks
        self.n_features_in_ = clicks.shape[1]
        has_names = isinstance(X, ClickMatrix)
        self.user_names_ = X.users if has_names else None
        self.item_names_ = X.items if has_names else None

    def _store_factors(self, factors: Factors) -> None:
        self.user_factors_ = np.ascontiguousarray(factors.user_factors)
        self.item_factors_ = np.ascontiguousarray(factors.item_factors)
        self.user_biases_ = np.array(factors.user_biases)
        self.item_biases_ = np.array(factors.item_biases)
        self.intercept_ = factors.intercept
