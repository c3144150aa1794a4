"""Models of users: anything with ``fit`` and ``survival``."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from sklearn.base import clone

from ..numerics.curves import Of
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Side
from .covariates import n_rows, take_rows
from .selection import folds_of, generator


class CrossFittedCensoring(CensoringModel):
    r"""Any model of censoring, cross-fitted.

    The model needs ``fit(X, time, event)``, with event 1 for the event of interest though it is
    censoring that is modelled, and ``survival(X, times)`` that returns :math:`P(C > t | x)` for
    one time for each row. If it takes ``side``, it is asked for :math:`P(C \ge t | x)` with
    ``side="left"``; otherwise it is asked at the largest number below t.

    Parameters
    ----------
    model : object
        Left untouched; copies of it are fitted.
    n_folds : int, default=5
        Training rows, or clusters, are predicted by a copy that was fitted without their fold.
    of : {"censoring", "event"}, default="censoring"
        What the model's survival is of; passed to it if it has such a parameter.
    random_state : int, Generator, RandomState or None, default=None

    Attributes
    ----------
    model_ : object
        Fitted to all rows.
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import CrossFittedCensoring
    >>> class Exponential:
    ...     def fit(self, X, time, event):
    ...         self.rate_ = np.mean(1 - event) / np.mean(time)
    ...         return self
    ...
    ...     def survival(self, X, times):
    ...         return np.exp(-self.rate_ * times)
    >>> rng = np.random.default_rng(0)
    >>> x, time, event = rng.normal(size=(50, 1)), rng.exponential(size=50), np.arange(50) % 2
    >>> model = CrossFittedCensoring(Exponential(), random_state=0).fit(x, time, event)
    >>> model.training_survival(time).shape
    (50,)
    """

    _needs_covariates = False

    def __init__(
        self, model: Any, *, n_folds: int = 5, of: Of = "censoring", random_state: Any = None
    ) -> None:
        self.model = model
        self.n_folds = n_folds
        self.of = of
        self.random_state = random_state

    @property
    def name(self) -> str:
        """Words for headers."""
        inner = getattr(self.model, "name", None)
        word = inner if isinstance(inner, str) else type(self.model).__name__
        return f"{word}, cross-fitted"

    def fit_rows(self, X: Any, rows: CensoredRows) -> CrossFittedCensoring:
        """Fit copies of the model to all rows and without each fold.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame, or None
        rows : CensoredRows

        Returns
        -------
        CrossFittedCensoring
            The fitted model itself.
        """
        self._X = X
        super().fit_rows(X, rows)
        return self

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        X = self._X
        rng = generator(self.random_state)
        self.model_ = self._fitted(X, rows)
        self._folds = []
        for predict, train in folds_of(rows, self.n_folds, rng):
            part = None if X is None else take_rows(X, train)
            self._folds.append((predict, self._fitted(part, rows.take(train))))

    def _fitted(self, X: Any, rows: CensoredRows) -> Any:
        is_estimator = hasattr(self.model, "get_params")
        model = clone(self.model) if is_estimator else copy.deepcopy(self.model)
        if hasattr(model, "set_params") and "of" in model.get_params():
            model.set_params(of=self.of)
        named = inspect.signature(model.fit).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in named.values())
        aligned = {"entry": rows.entry, "sample_weight": rows.weight, "clusters": rows.clusters}
        more = {}
        for name, values in aligned.items():
            if values is None or (name == "clusters" and not (name in named or takes_any)):
                continue
            if not (name in named or takes_any):
                raise ValueError(
                    f"{name} was given, but {type(self.model).__name__}.fit does not take it."
                )
            more[name] = values
        model.fit(X, rows.time, rows.event.astype(int), **more)
        return model

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        return Curves(_ask(self.model_, X, times, side))

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        values = np.empty((len(rows), times.shape[1]))
        for predict, model in self._folds:
            here = np.flatnonzero(np.isin(rows, predict))
            if len(here):
                part = None if self._X is None else take_rows(self._X, rows[here])
                at = times if len(times) == 1 else times[here]
                values[here] = _ask(
                    model, part, np.broadcast_to(at, (len(here), at.shape[1])), side
                )
        return Curves(values)

    def _one_row(self, x: Any) -> Any:
        if x is None or np.ndim(x) == 2:
            return x
        return np.asarray(x, dtype=float).reshape(1, -1)


def _ask(model: Any, X: Any, times: Array, side: Side) -> Array:
    """Ask a user's model column by column, and check what it says."""
    n = times.shape[0] if X is None else n_rows(X)
    times = np.broadcast_to(times, (n, times.shape[1]))
    if isinstance(model, CensoringModel):
        # Fitted without a fold it may end earlier, which is no news to anybody.
        return np.broadcast_to(model.values_at(X, times, side), times.shape)
    has_side = "side" in inspect.signature(model.survival).parameters
    values = np.empty(times.shape)
    for j, column in enumerate(times.T):
        if has_side:
            found = model.survival(X, column.copy(), side=side)
        else:
            at = column if side == "right" else np.nextafter(column, -np.inf)
            found = model.survival(X, at.copy())
        found = np.asarray(found, dtype=float)
        if found.shape != (n,):
            raise ValueError(
                f"{type(model).__name__}.survival returned an array of shape {found.shape} for "
                f"{n:,} rows with one time each; it must return one value for each row."
            )
        wrong = ~((found >= 0.0) & (found <= 1.0))
        if wrong.any():
            raise ValueError(
                f"{type(model).__name__}.survival returned {found[wrong][0]:g}; a survival "
                "probability lies between 0 and 1."
            )
        values[:, j] = found
    return values
