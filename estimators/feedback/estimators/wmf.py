"""Weighted matrix factorisation, the usual model of clicks."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from ..clicks import read_clicks
from ..numerics.factors import Factors, start_factors
from ..numerics.labels import Labels, make_labels
from ..numerics.weighted import fold_in_weighted, weighted_least_squares
from .base import FeedbackModel
from .options import MOST_ITERATIONS, check_common, check_number, check_rank
from .solving import automatic_penalty


class WMF(FeedbackModel):
    r"""Weighted matrix factorisation (iALS): clicks count more than other pairs.

    .. math::

        \sum_{u,i} \{c\,Y_{ui}(1 - s_{ui})^2 + (1 - Y_{ui})s_{ui}^2\}
        + \lambda\,(\lVert P\rVert^2 + \lVert Q\rVert^2 + \lVert a\rVert^2 + \lVert b\rVert^2),
        \qquad s_{ui} = \mu + a_u + b_i + p_u'q_i

    Exposure is not in the model: the expected loss of a pair differs from that of its relevance by
    :math:`\gamma(c\theta - 1)\delta_1 + \gamma(1 - \theta)\delta_0`, whatever c is. It is here for
    comparison, and is what other packages call alternating least squares for implicit feedback.

    Parameters
    ----------
    n_factors : int, default=20
        Columns of P and Q.
    click_weight : float, default=10.0
        c, positive.
    regularization : float or "auto", default="auto"
        :math:`\lambda`, positive. "auto" is 0.1 of the value from which on all factors are zero, c
        times the largest singular value of the clicks.
    fit_bias : bool, default=False
        Whether there are :math:`\mu`, a and b; the intercept is not penalised.
    max_iter : int, default=None
        Most sweeps over users and items; None is 100.
    tol : float, default=1e-5
        Sweeps stop early when one changes the objective by less than this share.
    dtype : {"float32", "float64"}, default="float32"
        Of factors; systems are solved in double precision.
    random_state : int, Generator or None, default=None
        For the factors to start from.
    n_jobs : int, default=None
        Threads of linear algebra; None is 1, -1 all.
    progress : bool, default=False
        Whether to show a bar.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, k), (n_items, k)
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
    intercept_ : float
    clicks_ : csr_matrix of shape (n_users, n_items)
    regularization_ : float
    user_names_, item_names_ : Index, or None
    objective_ : list of float
    n_iter_ : int
    converged_ : bool
    diagnostics_ : FitDiagnostics

    References
    ----------
    Hu, Y., Koren, Y. and Volinsky, C. (2008). Collaborative filtering for implicit feedback
    datasets. *ICDM 2008*, 263-272. https://doi.org/10.1109/ICDM.2008.22

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from trueness.feedback import WMF
    >>> clicks = csr_matrix([[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1], [0, 0, 1, 1]])
    >>> model = WMF(2, regularization=1.0, random_state=0).fit(clicks)
    >>> model.recommend([2], 1).found.tolist()
    [[2]]
    """

    def __init__(
        self,
        n_factors: int = 20,
        *,
        click_weight: float = 10.0,
        regularization: float | Literal["auto"] = "auto",
        fit_bias: bool = False,
        max_iter: int | None = None,
        tol: float = 1e-5,
        dtype: Literal["float32", "float64"] = "float32",
        random_state: int | np.random.Generator | None = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.n_factors = n_factors
        self.click_weight = click_weight
        self.regularization = regularization
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, *, propensity: None = None) -> Self:
        """Fit to clicks.

        Parameters
        ----------
        X : ClickMatrix, sparse matrix or array of shape (n_users, n_items)
            1 where the user clicked on the item, 0 elsewhere.
        propensity : None
            There is none in this model; for the interface.

        Returns
        -------
        WMF
            Itself.

        Raises
        ------
        ValueError
            If an option is not allowed, X is not a matrix of zeros and ones with a click, or a
            propensity is given.

        Warns
        -----
        RankWarning
            If there are more factors than users or items with clicks.
        SolverWarning
            If the objective had not settled after the last sweep.
        """
        check_common(self)
        check_number("click_weight", self.click_weight, 0.0, above=True)
        self._no_propensity(propensity)
        clicks = read_clicks(X)
        check_rank(self.n_factors, clicks, can_fill=self.fit_bias)
        n_sweeps = self.max_iter or MOST_ITERATIONS["als"]
        with self._threads() as n_threads, self._sweeps(n_sweeps) as report:
            labels = make_labels(clicks, dtype=self.dtype, n_threads=n_threads)
            rng = np.random.default_rng(self.random_state)
            self.click_weight_ = float(self.click_weight)
            self.regularization_ = self._penalty(labels, rng)
            start = start_factors(
                labels.shape,
                self.n_factors,
                fit_bias=self.fit_bias,
                intercept=labels.mean(),
                dtype=self.dtype,
                rng=rng,
            )
            solution = weighted_least_squares(
                labels,
                start,
                click_weight=self.click_weight_,
                regularization=self.regularization_,
                max_iter=n_sweeps,
                tol=self.tol,
                report=report,
            )
        self._store(solution, clicks, X)
        self.item_propensities_ = None
        self._describe(labels, "none", may_stop=False)
        return self

    @property
    def _is_logistic(self) -> bool:
        return False

    @property
    def _needs_propensity(self) -> bool:
        return False

    def _penalty(self, labels: Labels, rng: np.random.Generator) -> float:
        if self.regularization != "auto":
            return float(self.regularization)
        return automatic_penalty(labels, "squared", self.click_weight_, self.fit_bias, rng)

    def _no_propensity(self, propensity: Any) -> None:
        if propensity is not None:
            raise ValueError("WMF has no propensities; use RelMF, or leave propensity=None.")

    def _fold(self, clicks: Any, propensity: Any, items: Factors) -> Factors:
        self._no_propensity(propensity)
        labels: Labels = make_labels(clicks, dtype=self.dtype)
        fold_in_weighted(labels, items, (self.click_weight_, 1.0), self.regularization_)
        return items
