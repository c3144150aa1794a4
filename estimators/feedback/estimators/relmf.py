"""Matrix factorisation for relevance, by clipped unbiased losses."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import pandas as pd

from ..clicks import read_clicks
from ..diagnostics import check_clip
from ..numerics.factors import Factors, start_factors
from ..numerics.labels import Labels, make_labels
from ..numerics.spectral import spectrum
from ..propensity import Propensity, resolve_propensity
from .base import FeedbackModel
from .options import (
    MOST_ITERATIONS,
    check_common,
    check_number,
    check_rank,
    check_whole,
    resolve_solver,
)
from .solving import (
    Problem,
    automatic_penalty,
    balancing_weight,
    new_users,
    sample_size,
    solve,
    warn_if_unbounded,
)


class RelMF(FeedbackModel):
    r"""Relevance matrix factorisation: what users want, from clicks on what they were shown.

    A click :math:`Y_{ui}` needs exposure, with probability :math:`\theta_{ui}`, and relevance, with
    probability :math:`\gamma_{ui}`. With :math:`\bar\theta = \max(\theta, M)` and the pseudo-labels
    :math:`w = Y / \bar\theta`, RelMF minimises over all pairs

    .. math::

        \sum_{u,i} \{w_{ui}\,\delta_1(s_{ui}) + (1 - w_{ui})\,\delta_0(s_{ui})\} + \lambda\,\Omega,
        \qquad s_{ui} = \mu + a_u + b_i + p_u'q_i

    where :math:`\delta_1, \delta_0` are the losses if the pair is relevant and if it is not. For
    clip M = 0 and the true propensities, this is an unbiased estimate of the loss that known
    relevance would give; a larger M trades bias for variance, and M = 1 is the naive loss, which
    takes every pair without a click for irrelevant.

    =================  ==============================================  ======================
    loss               loss of a score s under the pseudo-label w      penalty :math:`\Omega`
    =================  ==============================================  ======================
    squared            :math:`(s - w)^2`, up to a constant             squared norms
    cross_entropy      :math:`\log(1 + e^s) - ws`                      half the squared norms
    squared_sigmoid    :math:`(\sigma(s) - w)^2`, up to a constant     half the squared norms
    =================  ==============================================  ======================

    The norms of factors and biases are penalised, the intercept is not. Scores of the squared loss
    estimate :math:`\gamma` itself, those of the others its logit.

    Parameters
    ----------
    n_factors : int, default=20
        Columns of P and Q.
    clip : float, default=0.3
        M, in [0, 1].
    regularization : float or "auto", default="auto"
        :math:`\lambda`, on the scale of a sum over all pairs. With squared loss and no biases it is
        compared with singular values of W: those below it are dropped. "auto" is 0.3 of the largest
        one (with ``class_balance``, 0.1 of it times the weight of clicks); for cross-entropy no
        less than what surely bounds it; for "squared_sigmoid" the published 0.0001 of the total
        weight of pairs.
    loss : {"squared", "cross_entropy", "squared_sigmoid"}, default="squared"
        Squared loss is convex in the scores and bounded for any weights, and its cost depends on
        the number of clicks only. The others cost time per pair, clicked or not. Cross-entropy is
        unbounded where weights exceed 1, unless clip or penalty holds it (a warning says so).
        "squared_sigmoid", trained by Adam with ``class_balance``, is the published method [1]_.
    solver : str, default="auto"
        For squared loss "als" (default) or "svd" (closed form, no biases); for cross-entropy "mm";
        for all losses "lbfgs" and "adam", the latter the default of "squared_sigmoid".
    fit_bias : bool, default=False
        Whether there are :math:`\mu`, a and b.
    item_weighted : bool, default=False
        Instead of shrinking the labels of clicks with :math:`\theta_i < M`, weigh all pairs of
        their items by :math:`c_i = \min(1, \theta_i / M)`: no label is biased, and none counts more
        than 1/M. Needs squared loss and propensities of items.
    class_balance : bool, default=False
        Weigh clicks by :math:`(UI - n)/n`, so that they count as much as all other pairs together,
        as training on samples with half clicks does.
    max_iter : int, default=None
        Most iterations; None is 100 for "als", 200 for "mm", 500 for "lbfgs", 1000 for "adam".
    tol : float, default=1e-5
        Iterations stop early when one changes the objective by less than this share.
    learning_rate : float, default=0.005
        Of Adam.
    batch_size : int, "auto" or None, default="auto"
        Pairs per step of Adam; None takes all, "auto" all up to 5 million and 32,768 otherwise.
        The published penalty, on the mean loss of balanced samples, times :math:`2(UI - n)` is
        ``regularization``.
    dtype : {"float32", "float64"}, default="float32"
    random_state : int, Generator or None, default=None
        For the factors to start from and the samples of Adam.
    n_jobs : int, default=None
        Threads of linear algebra and compiled kernels; None is 1, -1 all. Sums of single rows do
        not depend on it; matrix products do, by rounding.
    progress : bool, default=False
        Whether to show a bar.

    Attributes
    ----------
    user_factors_, item_factors_ : ndarray of shape (n_users, k), (n_items, k)
    user_biases_, item_biases_ : ndarray of shape (n_users,), (n_items,)
    intercept_ : float
    clicks_ : csr_matrix of shape (n_users, n_items)
    regularization_ : float
        The penalty of the fit.
    item_propensities_ : ndarray of shape (n_items,), or None
        Propensities of the fit before clipping, if they depend on the item only.
    user_names_, item_names_ : Index, or None
    objective_ : list of float
        After every iteration.
    n_iter_ : int
    converged_ : bool
    diagnostics_ : FitDiagnostics

    See Also
    --------
    WMF : clicks weighted by one number, whatever was shown.
    trueness.feedback.weight_diagnostics : what weights are worth at any clip.

    References
    ----------
    .. [1] Saito, Y., Yaginuma, S., Nishino, Y., Sakata, H. and Nakata, K. (2020). Unbiased
       recommender learning from missing-not-at-random implicit feedback. *WSDM '20*, 501-509.
       https://doi.org/10.1145/3336191.3371783

    Examples
    --------
    >>> from trueness.feedback import RelMF, clicks_to_matrix
    >>> users = ["ann", "ann", "bob", "bob", "cat", "cat", "dan", "dan", "dan"]
    >>> items = ["tea", "milk", "tea", "milk", "rum", "gin", "rum", "gin", "tea"]
    >>> clicks = clicks_to_matrix(users, items)
    >>> model = RelMF(2, regularization=0.1, random_state=0).fit(clicks)
    >>> model.recommend(["cat"], 2).to_frame().round(2)
      user  item  rank  score
    0  cat   tea     1   0.25
    1  cat  milk     2  -0.23
    >>> [round(float(score), 2) for score in model.predict([("ann", "tea"), ("ann", "rum")])]
    [1.01, -0.01]
    """

    def __init__(
        self,
        n_factors: int = 20,
        *,
        clip: float = 0.3,
        regularization: float | Literal["auto"] = "auto",
        loss: Literal["squared", "cross_entropy", "squared_sigmoid"] = "squared",
        solver: Literal["auto", "als", "svd", "mm", "lbfgs", "adam"] = "auto",
        fit_bias: bool = False,
        item_weighted: bool = False,
        class_balance: bool = False,
        max_iter: int | None = None,
        tol: float = 1e-5,
        learning_rate: float = 0.005,
        batch_size: int | Literal["auto"] | None = "auto",
        dtype: Literal["float32", "float64"] = "float32",
        random_state: int | np.random.Generator | None = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.n_factors = n_factors
        self.clip = clip
        self.regularization = regularization
        self.loss = loss
        self.solver = solver
        self.fit_bias = fit_bias
        self.item_weighted = item_weighted
        self.class_balance = class_balance
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress

    def fit(self, X: Any, *, propensity: Any = None) -> Self:
        r"""Fit to clicks.

        Parameters
        ----------
        X : ClickMatrix, sparse matrix or array of shape (n_users, n_items)
            1 where the user clicked on the item, 0 elsewhere. Users and items without a click are
            allowed; their factors are zero.
        propensity : None, str, float, array, PropensityModel or callable, default=None
            :math:`\theta`: a model that is fitted to X, by default `PopularityPropensity`; a
            number, or an array of shape (n_items,), (n_users, 1) or (n_users, n_items); or a
            function of the users and items of the clicks.

        Returns
        -------
        RelMF
            Itself.

        Raises
        ------
        ValueError
            If an option is not allowed, X is not a matrix of zeros and ones with a click, or a
            propensity is not in (0, 1] or has a wrong shape.

        Warns
        -----
        UnboundedLossWarning
            If cross-entropy may have no least value.
        RankWarning
            If there are more factors than users or items with clicks.
        SolverWarning
            If the objective had not settled after the last iteration; not where Adam samples.
        """
        solver = self._check()
        clicks = read_clicks(X)
        check_rank(self.n_factors, clicks, can_fill=self.loss != "squared" or self.fit_bias)
        found = resolve_propensity(propensity, clicks)
        self.click_weight_ = balancing_weight(clicks) if self.class_balance else 1.0
        rng = np.random.default_rng(self.random_state)
        most = self.max_iter or MOST_ITERATIONS[solver]
        with self._threads() as n_threads, self._sweeps(most) as report:
            labels = self._labels(clicks, found, n_threads)
            self.regularization_ = self._penalty(labels, rng)
            problem = self._problem(solver, found)
            if self.loss == "cross_entropy":
                warn_if_unbounded(labels, found, problem, self.clip, rng)
            start = self._start(labels, rng)
            self._store(solve(problem, labels, start, rng, report), clicks, X)
        self.item_propensities_ = found.items
        samples = solver == "adam" and sample_size(self.batch_size, labels) is not None
        self._describe(labels, found.description, may_stop=samples)
        return self

    def fit_path(
        self, X: Any, regularizations: Any, *, propensity: Any = None
    ) -> tuple[list[RelMF], pd.DataFrame]:
        r"""Fit for many penalties by one singular value decomposition.

        Parameters
        ----------
        X : ClickMatrix, sparse matrix or array of shape (n_users, n_items)
        regularizations : array-like of float
            Values of :math:`\lambda`. From the largest singular value on, nothing is left.
        propensity : optional
            As in ``fit``.

        Returns
        -------
        models : list of RelMF
            Fitted, in the order of ``regularizations``.
        path : DataFrame
            Columns regularization, objective, effective_rank (factors that are not zero).

        Raises
        ------
        ValueError
            As ``fit``, and unless the loss is squared, without biases, weights of items and class
            balance.
        """
        penalties = np.atleast_1d(np.asarray(regularizations, dtype=float))
        base = self._with(solver="svd", regularization=float(penalties[0]))
        base._check()
        for penalty in penalties:
            check_number("regularizations", float(penalty), 0.0)
        clicks = read_clicks(X)
        check_rank(self.n_factors, clicks, can_fill=False)
        found = resolve_propensity(propensity, clicks)
        with self._threads() as n_threads:
            labels = self._labels(clicks, found, n_threads)
            rng = np.random.default_rng(self.random_state)
            leading = spectrum(labels, self.n_factors, rng)
        models = []
        for penalty in penalties:
            model = base._with(regularization=float(penalty))
            model.click_weight_, model.regularization_ = 1.0, float(penalty)
            model._store(leading.solution(float(penalty)), clicks, X)
            model.item_propensities_ = found.items
            model._describe(labels, found.description, may_stop=True)
            models.append(model)
        columns = {
            "regularization": penalties,
            "objective": [leading.objective(value) for value in penalties],
            "effective_rank": [leading.effective_rank(value) for value in penalties],
        }
        return models, pd.DataFrame(columns)

    @property
    def _is_logistic(self) -> bool:
        return self.loss != "squared"

    def _check(self) -> str:
        check_common(self)
        check_clip(self.clip)
        check_number("learning_rate", self.learning_rate, 0.0, above=True)
        if self.batch_size is not None and self.batch_size != "auto":
            check_whole("batch_size", self.batch_size, 2)
        return resolve_solver(self)

    def _problem(self, solver: str, found: Propensity) -> Problem:
        weights = None
        if self.item_weighted:
            if found.items is None:
                raise ValueError(
                    "item_weighted=True needs propensities of items; those given depend on the "
                    f"user, too ({found.description})."
                )
            weights = np.minimum(1.0, found.items / self.clip) if self.clip else None
        return Problem(
            loss=self.loss,
            solver=solver,
            regularization=self.regularization_,
            fit_bias=self.fit_bias,
            balanced=self.class_balance,
            click_weight=self.click_weight_,
            item_weights=weights,
            max_iter=self.max_iter or MOST_ITERATIONS[solver],
            tol=self.tol,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
        )

    def _labels(self, clicks: Any, found: Propensity, n_threads: int) -> Labels:
        if found.items is not None:
            weights = {"item_weights": 1.0 / np.maximum(found.items, self.clip)}
        else:
            weights = {"click_weights": 1.0 / np.maximum(found.at_clicks, self.clip)}
        return make_labels(clicks, dtype=self.dtype, n_threads=n_threads, **weights)

    def _penalty(self, labels: Labels, rng: np.random.Generator) -> float:
        if self.regularization != "auto":
            return float(self.regularization)
        return automatic_penalty(labels, self.loss, self.click_weight_, self.fit_bias, rng)

    def _start(self, labels: Labels, rng: np.random.Generator) -> Factors:
        level = labels.mean()
        if self._is_logistic:
            level = min(max(level, 1e-6), 1.0 - 1e-6)
            level = float(np.log(level / (1.0 - level)))
        return start_factors(
            labels.shape,
            self.n_factors,
            fit_bias=self.fit_bias,
            intercept=level,
            dtype=self.dtype,
            rng=rng,
        )

    def _fold(self, clicks: Any, propensity: Any, items: Factors) -> Factors:
        found = resolve_propensity(propensity, clicks)
        problem = self._problem(resolve_solver(self), found)
        with self._threads() as n_threads:
            labels = self._labels(clicks, found, n_threads)
            return new_users(problem, labels, items)
