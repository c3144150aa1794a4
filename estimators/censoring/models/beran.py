"""Censoring given covariates by kernel weights: the conditional product-limit estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..numerics.bandwidth import BrierScore, bandwidths_for, normal_reference, probe_rows
from ..numerics.kernels import KERNELS, Form, Points, kernel_weights
from ..numerics.local import dense_curves, effective_number, other_groups, sort_rows
from ..targets import CensoredRows
from .base import Array, CensoringModel, Codes, Curves, Of, Side
from .kaplan_meier import KaplanMeierCensoring
from .selection import Candidate, best, generator, scoring, selection_table

EFFECTIVE_NEIGHBORS = (15, 30, 60, 120, 240, 480)


class BeranCensoring(CensoringModel):
    r"""Beran's estimator: a Kaplan-Meier curve of censoring with kernel weights.

    .. math::

        \hat G(u- | x) = \prod_{v < u} \Bigl(1 -
        \frac{\sum_j b_j(x) 1\{t_j = v, d_j = 0\}}
        {\sum_j b_j(x) (1\{t_j \ge v\} - 1\{t_j = v, d_j = 1\})}\Bigr)

    with :math:`b_j(x) = K(\|(x - x_j) / h\|)`, or a product of kernels over covariates, times
    ``mismatch`` for every category in which x and x_j differ.

    Parameters
    ----------
    bandwidth : {"brier", "effective", "rule"}, float or array-like, default="brier"
        "brier" takes from ``candidates``, and from the curve without covariates, what predicts
        rows best that are left out; "effective" gives the median row ``n_effective`` effective
        neighbours; "rule" is the normal reference, of use up to three covariates; a number, or
        one for each numeric covariate, is in standard deviations (in the units of the covariates
        with ``standardize=False``).
    kernel : str, default="gaussian"
        One of ``"gaussian"``, ``"epanechnikov"``, ``"uniform"``,
        ``"triangular"``, ``"biweight"`` and ``"tricube"``.
    form : {"radial", "product"}, default="radial"
        Kernel of the Euclidean distance, or product of kernels of the coordinates.
    categorical : sequence of column names or positions, default=None
        Columns that are categories though they are numbers; text always is.
    mismatch : float, default=0.0
        Weight of rows with another category, of Aitchison and Aitken: 0 takes only rows with the
        same category, 1 ignores it.
    standardize : bool, default=True
        Whether covariates are divided by their standard deviations.
    leave_one_out : bool, default=True
        Whether a training row's own curve is made without the row, or its cluster.
    n_effective : float, default=None
        For ``bandwidth="effective"``; max(30, n^(2/3)) if None.
    candidates : sequence of float, default=(15, 30, 60, 120, 240, 480)
        Effective neighbours to choose from with ``bandwidth="brier"``.
    horizon : float, default=None
        Time up to which candidates are scored; the automatic one if None.
    of : {"censoring", "event"}, default="censoring"
        Whose survival is estimated.
    random_state : int, Generator, RandomState or None, default=None
        For the rows on which candidates are scored, where there are more than 1,000.

    Attributes
    ----------
    bandwidth_ : float or ndarray
        Infinite if the curve without covariates was chosen.
    n_effective_ : float
        Median effective number of neighbours at training rows.
    selection_ : DataFrame or None
        Scores of the candidates.
    last_time_ : float
        Last time of which the data say anything.
    rows_ : CensoredRows
        What the model was fitted to.

    References
    ----------
    Beran, R. (1981). Nonparametric regression with randomly censored survival data. Technical
    report, University of California, Berkeley.

    Ausset, G., Clémençon, S. and Portier, F. (2022). Empirical risk minimization under random
    censorship. *Journal of Machine Learning Research* 23, 1-59. https://jmlr.org/papers/v23/19-450.html

    Aitchison, J. and Aitken, C. G. G. (1976). Multivariate binary discrimination by the kernel
    method. *Biometrika* 63(3), 413-420. https://doi.org/10.1093/biomet/63.3.413

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.censoring import BeranCensoring
    >>> x = np.array([[0.0], [0.5], [1.0], [1.5], [2.0], [2.5]])
    >>> time, event = [3, 1, 4, 2, 5, 2], [1, 0, 1, 0, 1, 1]
    >>> model = BeranCensoring(bandwidth=1.0, kernel="uniform", standardize=False)
    >>> model.fit(x, time, event).survival(x[:1], [3.0], side="left").round(4).tolist()
    [0.6667]
    """

    def __init__(
        self,
        *,
        bandwidth: Any = "brier",
        kernel: str = "gaussian",
        form: Form = "radial",
        categorical: Sequence[int | str] | None = None,
        mismatch: float = 0.0,
        standardize: bool = True,
        leave_one_out: bool = True,
        n_effective: float | None = None,
        candidates: Sequence[float] = EFFECTIVE_NEIGHBORS,
        horizon: float | None = None,
        of: Of = "censoring",
        random_state: Any = None,
    ) -> None:
        self.bandwidth = bandwidth
        self.kernel = kernel
        self.form = form
        self.categorical = categorical
        self.mismatch = mismatch
        self.standardize = standardize
        self.leave_one_out = leave_one_out
        self.n_effective = n_effective
        self.candidates = candidates
        self.horizon = horizon
        self.of = of
        self.random_state = random_state

    @property
    def name(self) -> str:
        """Words for headers."""
        if not hasattr(self, "bandwidth_"):
            return "Beran"
        if self._is_marginal:
            return "Beran (all rows alike: Kaplan-Meier)"
        return f"Beran ({self.kernel}, {self.n_effective_:.0f} effective neighbours)"

    @property
    def _is_marginal(self) -> bool:
        return np.ndim(self.bandwidth_) == 0 and np.isinf(self.bandwidth_)

    def _fit(self, X: Any, rows: CensoredRows) -> None:
        self._check_options()
        rng = generator(self.random_state)
        self.prepare(X, rows)
        self.selection_ = None
        if isinstance(self.bandwidth, str) and self.bandwidth == "brier":
            score = scoring(rows, self.horizon, self.of, rng)
            found = [self.marginal_candidate(score), *self.score_candidates(score, rng)]
            chosen = best(found)
            self.selection_ = selection_table(found, chosen)
            self.bandwidth_ = chosen.value
        else:
            self.bandwidth_ = self._given(rng)
        self.n_effective_ = float(len(rows))
        if not self._is_marginal:
            probes = probe_rows(len(rows), rng)
            self.n_effective_ = self._median_neighbors(self.bandwidth_, probes)

    def prepare(self, X: Any, rows: CensoredRows) -> None:
        """Read covariates and sort rows; what comes before the choice of a bandwidth.

        Parameters
        ----------
        X : array-like of shape (n, p) or frame
        rows : CensoredRows
        """
        self._order = sort_rows(rows.time, rows.event, rows.weight, rows.entry, self.of)
        self._points = self._as_points(X)
        self._sorted = self._points.take(self._order.order)
        self._ranks = self._order.ranks()

    def _as_points(self, X: Any) -> Points:
        learned = self.covariates_
        return Points(learned.scaled(X, self.standardize), learned.codes(X))

    # ---------------------------------------------------------------------- bandwidth

    def marginal_candidate(self, score: BrierScore) -> Candidate:
        """Score the leave-one-out curve without covariates.

        Parameters
        ----------
        score : BrierScore

        Returns
        -------
        Candidate
        """
        model = KaplanMeierCensoring(leave_one_out=True, of=self.of).fit_rows(None, self.rows_)
        values = model.training_values(score.rows, score.times)
        return Candidate("Kaplan-Meier", score(values), np.inf)

    def score_candidates(self, score: BrierScore, rng: np.random.Generator) -> list[Candidate]:
        """Score bandwidths with wanted effective neighbours, the widest first.

        Parameters
        ----------
        score : BrierScore
        rng : Generator

        Returns
        -------
        list of Candidate
        """
        probes = probe_rows(len(self.rows_), rng)
        if not self._points.numbers.shape[1]:
            found = {0.0: 1.0}  # categories only: there is nothing to smooth over
        else:
            found = bandwidths_for(
                lambda h: self._median_neighbors(h, probes), sorted(map(float, self.candidates))
            )
        candidates = []
        for target, bandwidth in reversed(found.items()):
            curves = self._local_curves(
                self._points.take(score.rows), score.times, "right", bandwidth, score.rows
            )
            label = f"{target:g} effective neighbours" if target else "exact match"
            candidates.append(Candidate(f"Beran, {label}", score(curves.values), bandwidth))
        return candidates

    def _given(self, rng: np.random.Generator) -> Any:
        n, d = len(self.rows_), self._points.numbers.shape[1]
        if not isinstance(self.bandwidth, str):
            return self._given_numbers(d)
        if d == 0:
            return 1.0
        if self.bandwidth == "rule":
            return normal_reference(n, d)
        wanted = self.n_effective if self.n_effective is not None else max(30.0, n ** (2 / 3))
        probes = probe_rows(n, rng)
        found = bandwidths_for(lambda h: self._median_neighbors(h, probes), [float(wanted)])
        return found.get(float(wanted), np.inf)

    def _given_numbers(self, d: int) -> Any:
        bandwidth = np.asarray(self.bandwidth, dtype=float)
        if bandwidth.ndim > 1 or (bandwidth.ndim == 1 and len(bandwidth) != d):
            raise ValueError(
                f"bandwidth has shape {bandwidth.shape}; pass one number, or one for each of the "
                f"{d} numeric covariates that vary."
            )
        if not (bandwidth > 0.0).all():
            raise ValueError(f"bandwidth={self.bandwidth!r} must be positive.")
        return float(bandwidth) if bandwidth.ndim == 0 else bandwidth

    def _median_neighbors(self, bandwidth: Any, probes: Codes) -> float:
        numbers = np.empty(len(probes))
        order = self._order
        step = max(1, 400_000 // len(order))
        for start in range(0, len(probes), step):
            rows = probes[start : start + step]
            local = self._weights(self._points.take(rows), bandwidth, rows)
            if order.weight is not None:
                local *= order.weight
            numbers[start : start + step] = effective_number(local)
        return float(np.median(numbers))

    # ------------------------------------------------------------------------- curves

    def _weights(self, points: Points, bandwidth: Any, own: Codes | None) -> Array:
        """Return weights of the rows in order, without each point's own row or cluster."""
        local = kernel_weights(
            points, self._sorted, bandwidth, self.kernel, self.form, self.mismatch
        )
        if own is None or not self.leave_one_out:
            return local
        clusters = self.rows_.clusters
        if clusters is None:
            local[np.arange(len(own)), self._ranks[own]] = 0.0
        else:
            local *= other_groups(clusters[self._order.order], clusters[own])
        return local

    def _local_curves(
        self, points: Points, times: Array, side: Side, bandwidth: Any, own: Codes | None
    ) -> Curves:
        def weights_of(part: slice) -> Array:
            rows = None if own is None else own[part]
            return self._weights(points.take(part), bandwidth, rows)

        n_points = len(points.codes)
        return Curves(*dense_curves(self._order, weights_of, times, n_points, side))

    def _curves(self, X: Any, times: Array, side: Side) -> Curves:
        if self._is_marginal:
            return Curves(self.marginal(times, side))
        return self._local_curves(self._as_points(X), times, side, self.bandwidth_, None)

    def _training_curves(self, rows: Codes, times: Array, side: Side) -> Curves:
        if self._is_marginal:
            return Curves(self.marginal(times, side))
        return self._local_curves(self._points.take(rows), times, side, self.bandwidth_, rows)

    def _check_options(self) -> None:
        for name, value, choices in (
            ("kernel", self.kernel, tuple(KERNELS)),
            ("form", self.form, ("radial", "product")),
        ):
            if value not in choices:
                raise ValueError(
                    f"{name}={value!r} must be one of {', '.join(map(repr, choices))}."
                )
        words = ("brier", "effective", "rule")
        if isinstance(self.bandwidth, str) and self.bandwidth not in words:
            raise ValueError(
                f"bandwidth={self.bandwidth!r} must be one of {', '.join(map(repr, words))}, a "
                "number, or one for each numeric covariate."
            )
        if not 0.0 <= self.mismatch <= 1.0:
            raise ValueError(f"mismatch={self.mismatch} must lie between 0 and 1.")
