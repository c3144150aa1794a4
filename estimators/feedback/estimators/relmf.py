"""Matrix factorisation for relevance, by clipped unbiased losses."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np

from ..clicks import read_clicks
from ..numerics.factors import start_factors
from ..numerics.labels import make_labels
from ..numerics.squared import alternating_least_squares
from ..propensity import resolve_propensity
from .base import FeedbackModel


class RelMF(FeedbackModel):
    """Relevance matrix factorisation.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.feedback import RelMF
    >>> clicks = (np.random.default_rng(0).random((30, 20)) < 0.2).astype(float)
    >>> model = RelMF(n_factors=3, random_state=0).fit(clicks)
    >>> model.recommend([0], 2).found.shape
    (1, 2)
    """

    def __init__(
        self,
        n_factors: int = 20,
        *,
        clip: float = 0.1,
        regularization: float = 10.0,
        loss: Literal["squared", "cross_entropy", "squared_sigmoid"] = "squared",
        fit_bias: bool = False,
        max_iter: int = 50,
        tol: float = 1e-4,
        dtype: str = "float32",
        random_state: Any = None,
        n_jobs: int | None = None,
        progress: bool = False,
    ) -> None:
        self.n_factors = n_factors
        self.clip = clip
        self.regularization = regularization
        self.loss = loss
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.tol = tol
        self.dtype = dtype
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress

    @property
    def _is_logistic(self) -> bool:
        return self.loss != "squared"

    def fit(self, X: Any, *, propensity: Any = None) -> Self:
        """Fit to clicks."""
        clicks = read_clicks(X)
        found = resolve_propensity(propensity, clicks)
        weights = {}
        if found.items is not None:
            weights["item_weights"] = 1.0 / np.maximum(found.items, self.clip)
        else:
            weights["click_weights"] = 1.0 / np.maximum(found.at_clicks, self.clip)
        with self._threads() as n_threads, self._sweeps() as report:
            labels = make_labels(clicks, dtype=self.dtype, n_threads=n_threads, **weights)
            start = start_factors(
                clicks.shape,
                self.n_factors,
                fit_bias=self.fit_bias,
                intercept=labels.total() / np.prod(clicks.shape),
                dtype=self.dtype,
                rng=np.random.default_rng(self.random_state),
            )
            solution = alternating_least_squares(
                labels,
                start,
                regularization=self.regularization,
                max_iter=self.max_iter,
                tol=self.tol,
                report=report,
            )
        self._store(solution, clicks, X)
        return self
