"""The model of censoring that predicts left-out rows best."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..diagnostics import CensoringWarning
from ..horizon import choose_horizon
from ..numerics.bandwidth import BrierScore
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side
from .beran import BeranCensoring
from .covariates import take_rows
from .cox import CoxCensoring
from .forest import ForestCensoring
from .kaplan_meier import KaplanMeierCensoring
from .neighbors import NeighborsCensoring
from .selection import Candidate, best, crossfitted, generator, scoring, selection_table

LEAST_CENSORED = 20
LEAST_FOREST_ROWS = 300
LEAST_FOREST_COVARIATES = 2
LARGEST_SCORED = 20_000


class AutoCensoring(CensoringModel):
    r"""The model of censoring with the least Brier score of rows that did not make it.

    Candidates are the Kaplan-Meier curve (leave-one-out), a Cox model (cross-fitted in 5 folds),
    Beran's estimator with several numbers of effective neighbours (leave-one-out) and, with at
    least 300 rows and two covariates, a forest (out of bag). Equal scores go to the simpler, and
    fewer than 20 censorings before the horizon to Kaplan-Meier. With more than 20,000 rows
    nearest neighbours take the place of kernels, and a sample of 20,000 rows is scored.

    Parameters
    ----------
    horizon : float, default=None
        Time up to which candidates are scored; the automatic one if None.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.
    random_state : int, Generator, RandomState or None, default=None
        For folds, trees and the rows that are scored.
    n_jobs : int, default=None
        Processes that grow trees.

    Attributes
    ----------
    model_ : CensoringModel
        The chosen one, fitted to all rows.
    selection_ : DataFrame
        Columns ``candidate``, ``brier`` (see `BeranCensoring`), ``chosen`` and ``note``; one row
        where there was nothing to choose.
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Graf, E., Schmoor, C., Sauerbrei, W. and Schumacher, M. (1999). Assessment and comparison of
    prognostic classification schemes for survival data. *Statistics in Medicine* 18(17-18),
    2529-2545. https://doi.org/10.1002/(SICI)1097-0258(19990915/30)18:17/18<2529::AID-SIM274>3.0.CO;2-5

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import AutoCensoring
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> duration, censored = rng.exponential(size=200), rng.exponential(np.exp(x[:, 0]))
    >>> model = AutoCensoring(random_state=0)
    >>> model.fit(x, np.minimum(duration, censored), duration <= censored).name
    'Cox (chosen automatically)'
    """

    def __init__(
        self,
        *,
        horizon: float | None = None,
        of: Of = "censoring",
        random_state: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.horizon = horizon
        self.of = of
        self.random_state = random_state
        self.n_jobs = n_jobs

    @property
    def name(self) -> str:
        """Words for headers."""
        inner = self.model_.name if hasattr(self, "model_") else "The best model"
        return f"{inner} (chosen automatically)"

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        rng = generator(self.random_state)
        why = self._why_marginal(rows)
        if why:
            only = Candidate("Kaplan-Meier", np.nan, KaplanMeierCensoring(of=self.of), why)
            self.selection_ = selection_table([only], only)
            self.model_ = only.value.fit_rows(X, rows)
            return
        part, among = X, rows
        if len(rows) > LARGEST_SCORED:
            drawn = np.sort(rng.choice(len(rows), LARGEST_SCORED, replace=False))
            part, among = take_rows(X, drawn), rows.take(drawn)
        with warnings.catch_warnings():
            # Of candidates that may not be taken; those of the chosen one come from its last fit.
            warnings.simplefilter("ignore", CensoringWarning)
            candidates = self._candidates(part, among, rng)
        chosen = best(candidates)
        self.selection_ = selection_table(candidates, chosen)
        with warnings.catch_warnings():
            # Constant covariates have been reported for this model already.
            warnings.filterwarnings("ignore", ".*constant covariates", CensoringWarning)
            self.model_ = chosen.value.fit_rows(X, rows)

    def _why_marginal(self, rows: CensoredRows) -> str:
        """Say why there is nothing to choose; nothing if there is."""
        horizon = self.horizon
        if horizon is None:
            horizon = choose_horizon("auto", rows).value
        if horizon is None:
            horizon = float(rows.time.max())
        fell = (rows.event if self.of == "event" else ~rows.event) & (rows.time < horizon)
        n_before = int((fell & (rows.case_weight > 0.0)).sum())
        what = "censored" if self.of == "censoring" else "events"
        if n_before == 0:
            return f"no rows {what} before the horizon" if what == "censored" else f"no {what}"
        if n_before < LEAST_CENSORED:
            return f"only {n_before} {what} before the horizon"
        if not self.covariates_.numeric and not self.covariates_.levels:
            return "no covariate varies"
        return ""

    def _candidates(self, X: Any, rows: CensoredRows, rng: np.random.Generator) -> list[Candidate]:
        score = scoring(rows, self.horizon, self.of, rng)
        local = self._local_model(len(self.rows_))
        local.fit_rows(X, rows)  # with a fixed amount of smoothing: reads, sorts, builds the tree
        marginal = local.marginal_candidate(score)
        found = [marginal._replace(value=KaplanMeierCensoring(of=self.of))]
        seed = int(rng.integers(2**31 - 1))
        found.append(self._attempt("Cox", lambda: self._cox_score(X, rows, score, rng)))
        found += self._local_candidates(local, score, rng)
        n_covariates = len(self.covariates_.numeric) + len(self.covariates_.levels)
        if len(rows) >= LEAST_FOREST_ROWS and n_covariates >= LEAST_FOREST_COVARIATES:
            forest = ForestCensoring(of=self.of, random_state=seed, n_jobs=self.n_jobs)
            found.append(
                self._attempt("Forest", lambda: self._forest_score(forest, X, rows, score))
            )
        return found

    def _local_model(self, n: int) -> Any:
        if n > LARGEST_SCORED:
            return NeighborsCensoring(n_neighbors="rule", of=self.of)
        return BeranCensoring(bandwidth=1.0, of=self.of)

    def _local_candidates(
        self, local: Any, score: BrierScore, rng: np.random.Generator
    ) -> list[Candidate]:
        if isinstance(local, NeighborsCensoring):
            return [
                c._replace(value=NeighborsCensoring(n_neighbors=c.value, of=self.of))
                for c in local.score_candidates(score)
            ]
        return [
            c._replace(value=BeranCensoring(bandwidth=c.value, of=self.of))
            for c in local.score_candidates(score, rng)
        ]

    def _attempt(self, name: str, make: Callable[[], tuple[float, Any]]) -> Candidate:
        try:
            value, model = make()
        except ValueError as error:
            return Candidate(name, np.nan, None, str(error).split(":")[0])
        return Candidate(name, value, model)

    def _cox_score(
        self, X: Any, rows: CensoredRows, score: BrierScore, rng: np.random.Generator
    ) -> tuple[float, Any]:
        times = score.times

        def fit(train: Codes) -> Callable[[Codes], Array]:
            model = CoxCensoring(of=self.of).fit_rows(take_rows(X, train), rows.take(train))

            def predict(chosen: Codes) -> Array:
                at = times if len(times) == 1 else times[np.searchsorted(score.rows, chosen)]
                return model.values_at(take_rows(X, chosen), at)

            return predict

        values = crossfitted(fit, rows, score.rows, times.shape[1], 5, rng)
        return score(values), CoxCensoring(of=self.of)

    def _forest_score(
        self, forest: ForestCensoring, X: Any, rows: CensoredRows, score: BrierScore
    ) -> tuple[float, Any]:
        fitted = forest.fit_rows(X, rows)
        return score(fitted.training_values(score.rows, score.times)), forest

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        return self.model_._curves(X, times, side)

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        return self.model_._training_curves(rows, times, side)
