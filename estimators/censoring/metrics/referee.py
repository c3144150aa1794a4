"""The model of censoring that a score rests on: named, fitted, asked for weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ... import validation
from ...validation.frames import check_rows
from ..horizon import Restricted, restrict
from ..models.auto import AutoCensoring
from ..models.kaplan_meier import KaplanMeierCensoring
from ..models.resolve import resolve_model
from ..numerics.curves import entered_before
from ..numerics.scores import survival_weights
from ..targets import CensoredRows, read_target, read_times

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Side = Literal["left", "right"]

KNOWN = "known"


@dataclass(frozen=True)
class Referee:
    """Scored rows and the probability with which each of them could be seen.

    Attributes
    ----------
    name : str
        Words for headers and columns.
    rows : CensoredRows
    X : array, frame or None
        Covariates of the rows, for models that depend on them.
    model : CensoringModel or None
        None if the censoring times themselves are known.
    in_sample : bool
        Whether the model was fitted to the scored rows, which are then left out one by one where
        the model can do so.
    censoring_times : ndarray of shape (n,) or None
    floor : float
        Smaller survival is raised to this.
    """

    name: str
    rows: CensoredRows
    X: Any
    model: Any
    in_sample: bool
    censoring_times: Array | None
    floor: float

    @property
    def is_marginal(self) -> bool:
        """Whether all rows share one curve."""
        return self.model is not None and is_marginal(self.model)

    def own(self, times: Array, side: Side) -> Array:
        """Return the censoring survival of each row at a time of its own."""
        if self.model is None:
            return np.ones(len(self.rows))
        if self.in_sample:
            curve = np.asarray(self.model.training_survival(times, side=side))
        else:
            curve = np.asarray(self.model.survival(self.X, times, side=side))
        return np.maximum(curve, self.floor)

    def grid(self, times: Array, side: Side, rows: NDArray[np.intp]) -> Array:
        """Return the censoring survival of some rows at common times, shape (len(rows), m)."""
        if self.model is None:
            return np.ones((len(rows), len(times)))
        if self.in_sample:
            curve = np.asarray(self.model.training_grid(times, side=side, rows=rows))
        else:
            curve = np.asarray(self._on_grid(times, side, rows))
        return np.maximum(curve, self.floor)

    def _on_grid(self, times: Array, side: Side, rows: NDArray[np.intp]) -> Any:
        X = take_rows(self.X, rows)
        if hasattr(self.model, "survival_grid"):
            return self.model.survival_grid(X, times, side=side)
        return self.model.survival(X, np.broadcast_to(times, (len(rows), len(times))), side=side)

    def scored(self, horizon: float | None, *, beyond: bool = False) -> Mask:
        """Return which rows can be scored: with known censoring times, those long enough.

        A row that was bound to be censored before the horizon says nothing about it, event or
        not; counting it only when it had the event would select events.
        """
        if self.censoring_times is None:
            return np.ones(len(self.rows), dtype=bool)
        if horizon is None:
            raise ValueError(
                'censoring="known" needs a horizon: rows whose censoring time lies before it are '
                "not scored."
            )
        if beyond:
            return self.censoring_times > horizon
        return self.censoring_times >= horizon

    def restricted_weights(self, horizon: float | None) -> tuple[Restricted, Array]:
        r"""Return restricted durations, and :math:`a_i k_i / \{G(z_i- | x_i) H(z_i)\}`.

        H is the chance of having entered before a time, 1 without delayed entry.
        """
        restricted, entry = restrict(self.rows, horizon), self.rows.entry
        known = restricted.known & self.scored(horizon)
        if entry is not None:  # who entered later was not under observation at the row's time
            known = known & (entry < restricted.at)
        weight = np.zeros(len(self.rows))
        if not known.any():
            raise ValueError(
                f"None of the {len(known):,} rows is known, so there is nothing to score"
                + ("." if horizon is None else f" at horizon={horizon:g}; take a shorter one.")
            )
        curve = self.own(restricted.at, "left")
        self._check_positive(curve, known)
        weight[known] = self.rows.case_weight[known] / curve[known]
        if entry is not None:
            rows, at = self.rows, restricted.at[known]
            weight[known] /= entered_before(at, rows.time, rows.event, entry, rows.weight)
        return restricted, weight

    def survival_weights(self, at: float) -> tuple[Array, Array, Array]:
        """Return weights of cases and of controls at a time, and the weights of all scored rows.

        Case weights are in the last only.
        """
        rows = self.rows
        self.check_entry("Scores of survival at a time")
        if not (rows.time > at).any():
            raise ValueError(
                f"No row was under observation after {at:g}, so that survival at it cannot be "
                f"scored; times must lie before the last one, {rows.time.max():g}."
            )
        time = np.minimum(rows.time, at)
        own = self.own(time, "left")
        common = self.own(np.full(len(rows), at), "right")
        cases, controls = rows.event & (rows.time <= at), rows.time > at
        self._check_positive(np.where(controls, common, own), cases | controls)
        with np.errstate(divide="ignore"):
            failed, alive = survival_weights(rows.time, rows.event, at, own, common)
        scored = self.scored(at, beyond=True)
        if not (scored & (rows.case_weight > 0.0)).any():
            raise ValueError(f"No row has a censoring time beyond {at:g}; take an earlier time.")
        return failed, alive, scored * rows.case_weight

    def check_entry(self, scores: str) -> None:
        """Raise if there are entry times, naming the scores that do not know of them.

        Who entered late is among the rows because he had not failed before; pairs and shares of
        survivors would need the chance of that for everybody who never entered.
        """
        if self.rows.entry is not None:
            raise ValueError(
                f"{scores} are not made for entry times (left truncation): rows are seen because "
                "they lived to enter. Scores of durations are (ipcw_mean_squared_error, "
                "CensoredRegressor.score and others); weights for scores of your own are those of "
                "censoring_weights(..., entry=...)."
            )

    def _check_positive(self, curve: Array, needed: Mask) -> None:
        zero = needed & (curve <= 0.0)
        if zero.any():
            raise ValueError(
                f"{self.name}: the chance to be still under observation is zero for "
                f"{zero.sum():,} of {len(zero):,} rows that are known "
                f"({validation.first_rows(zero)}), so they cannot be weighted. Take an earlier "
                "time or horizon, fit the censoring model to more rows, or give a floor, for "
                "example floor=0.05."
            )


def appoint(
    censoring: Any,
    rows: CensoredRows,
    X: Any = None,
    *,
    censoring_times: Any = None,
    floor: float = 0.0,
) -> Referee:
    """Turn what the user said about censoring into a referee.

    Parameters
    ----------
    censoring : str or CensoringModel
        The name of a model or a model that is not fitted is fitted to the scored rows; a fitted
        one is asked as it is; "known" takes ``censoring_times``.
    rows : CensoredRows
    X : array or frame of shape (n, p), default=None
    censoring_times : array of shape (n,), default=None
    floor : float, default=0.0

    Returns
    -------
    Referee

    Raises
    ------
    ValueError
        If the name is unknown, censoring times are missing or not wanted, or the floor is not in
        [0, 1).
    """
    if not 0.0 <= floor < 1.0:
        raise ValueError(f"floor={floor!r} must lie in [0, 1).")
    is_known = isinstance(censoring, str) and censoring == KNOWN
    if is_known != (censoring_times is not None):
        raise ValueError(
            'censoring_times and censoring="known" belong together: the times at which rows would '
            "have been censored at the latest, seen or not."
        )
    if is_known:
        times = read_times(censoring_times, "censoring_times")
        check_rows(len(times), len(rows), "censoring_times")
        early = (times < rows.time) | (~rows.event & (times != rows.time))
        if early.any():
            raise ValueError(
                f"censoring_times contradict the data on {early.sum():,} of {len(rows):,} rows "
                f"({validation.first_rows(early)}): they are never before the observed time, and "
                "equal to it where a row was censored."
            )
        return Referee("known censoring times", rows, X, None, False, times, floor)
    fit_here = not is_fitted(censoring)
    model = censoring
    if fit_here:
        model = resolve_model(censoring, has_covariates=X is not None)
        options = {"entry": rows.entry, "sample_weight": rows.weight, "clusters": rows.clusters}
        given = {name: value for name, value in options.items() if value is not None}
        model.fit(X, rows.time, rows.event, **given)
    in_sample = fit_here and hasattr(model, "training_survival")
    return Referee(model_name(model), rows, X, model, in_sample, None, floor)


def check_horizon(horizon: float | None) -> None:
    """Raise if a horizon is not a positive, finite time."""
    if horizon is not None and not (np.isfinite(horizon) and horizon > 0.0):
        raise ValueError(f"horizon={horizon!r} must be a positive, finite time, or None.")


def is_fitted(model: Any) -> bool:
    """Whether a model of censoring has learned something already."""
    if isinstance(model, str | type):
        return False
    return any(name.endswith("_") and not name.startswith("_") for name in vars(model))


def is_marginal(model: Any) -> bool:
    """Whether a fitted model has one curve for all rows."""
    return isinstance(chosen_model(model), KaplanMeierCensoring)


def chosen_model(model: Any) -> Any:
    """Return the model that a choice among several has fallen on, or the model itself."""
    return model.model_ if isinstance(model, AutoCensoring) else model


def model_name(model: Any) -> str:
    """Return words for a model, also for one that is not of this package."""
    return str(getattr(model, "name", type(model).__name__))


def read_scored(
    y_true: Any,
    event: Any = None,
    *,
    sample_weight: Any = None,
    clusters: Any = None,
) -> CensoredRows:
    """Return the rows to be scored.

    Raises
    ------
    ValueError
        If the input is invalid, or there is no word about events.
    """
    rows, event_given = read_target(y_true, event, sample_weight=sample_weight, clusters=clusters)
    if not event_given:
        raise ValueError(
            "Durations came without events, so that censored times would be scored as if they "
            "were true. Pass a structured array or a frame with 'time' and 'event', or event=; "
            "if nothing is censored, event=np.ones(len(y)) or the scores of scikit-learn."
        )
    return rows


def read_predictions(values: ArrayLike, n_rows: int, role: str) -> Array:
    """Return one finite number for each row.

    Raises
    ------
    ValueError
    """
    predictions = np.asarray(validation.to_array(values), dtype=float)
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        predictions = predictions[:, 0]
    if predictions.shape != (n_rows,):
        raise ValueError(
            f"{role} has shape {predictions.shape}; one number for each of {n_rows:,} rows is "
            "needed."
        )
    validation.check_finite(predictions[:, None], [role], role)
    return predictions


def read_survival(values: ArrayLike, n_rows: int, times: Array) -> Array:
    """Return predicted survival probabilities, shape (n, m).

    Raises
    ------
    ValueError
        If the shape is wrong or a value is outside [0, 1].
    """
    survival = np.asarray(validation.to_array(values), dtype=float)
    if survival.ndim == 1 and len(times) == 1:
        survival = survival[:, None]
    if survival.shape != (n_rows, len(times)):
        raise ValueError(
            f"Predicted survival has shape {survival.shape}; {n_rows:,} rows and {len(times)} "
            f"times need {(n_rows, len(times))}."
        )
    validation.check_finite(survival, [f"{u:g}" for u in times], "predicted survival")
    outside: Mask = np.asarray(((survival < 0.0) | (survival > 1.0)).any(axis=1))
    if outside.any():
        raise ValueError(
            f"Predicted survival lies outside [0, 1] on {outside.sum():,} of {n_rows:,} rows "
            f"({validation.first_rows(outside)})."
        )
    return survival


def read_grid(times: Any) -> Array:
    """Return increasing, positive times at which to score.

    Raises
    ------
    ValueError
    """
    grid = read_times(np.atleast_1d(np.asarray(times, dtype=float)), "times")
    if (np.diff(grid) <= 0.0).any() or not len(grid) or grid[0] <= 0.0:
        raise ValueError("times must be positive and increasing, each of them once.")
    return grid


def take_rows(X: Any, rows: NDArray[np.intp]) -> Any:
    """Return some rows of covariates in any form."""
    if X is None:
        return None
    X = validation.to_pandas(X)
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    return (X if hasattr(X, "shape") else np.asarray(X))[rows]
