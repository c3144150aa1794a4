"""Averages of functions of the parameters over the rows, estimated after the parameters."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .equation import Problem
from .solver import Root

Array = NDArray[np.float64]


class Averages(NamedTuple):
    r"""What is averaged, at the root of the model.

    ``predicted`` and ``gold`` hold :math:`h(\hat D_i; \hat\beta)`, shape (n, q), and
    :math:`h(D_i; \hat\beta)` of the labelled rows; ``gradient`` is the mean of
    :math:`\partial \tilde h_i / \partial \beta'`, shape (q, p).
    """

    predicted: Array
    gold: Array
    gradient: Array


@dataclass(frozen=True, kw_only=True)
class AverageProblem(Problem):
    r"""The equation of averages :math:`\tau` of a function h of data and parameters.

    Stacked with the moments of the model it reads

    .. math:: \sum_i a_i \{(1 - w_i)\, [m, h - \tau](\hat D_i; \beta)
        + w_i\, [m, h - \tau](D_i; \beta)\} = 0.

    Its derivative is block triangular, so that the parameters can be concentrated out:
    :math:`\tau` alone has the moments

    .. math:: a_i (\tilde h_i - \tau) + G J^{-1} \tilde m_i, \qquad
        G = \frac1N \sum_i a_i\, \partial \tilde h_i / \partial \beta',

    and the derivative 1 (analysis weights have mean 1).

    Attributes
    ----------
    averages : Averages
    root : Root
        Of the model.
    """

    averages: Averages
    root: Root

    @classmethod
    def of(cls, problem: Problem, root: Root, averages: Averages) -> AverageProblem:
        """Return the equation of averages over the rows of a problem."""
        given = {item.name: getattr(problem, item.name) for item in fields(problem)}
        return cls(**given, averages=averages, root=root)

    def of_model(self) -> Problem:
        """Return the equation of the model alone."""
        return Problem(*(getattr(self, item.name) for item in fields(Problem)))

    def solution(self) -> Root:
        """Return the averages as a root."""
        predicted, gold, gradient = self.averages
        total = self.combine(predicted, gold).sum(axis=0)
        tau = total / self.analysis_weight.sum()
        identity = np.eye(len(gradient))
        return self.root._replace(beta=tau, moments=self.moments(tau), jacobian=identity)

    @cached_property
    def _loading(self) -> Array:
        inverse = np.linalg.inv(self.root.jacobian)
        return inverse.T @ self.averages.gradient.T

    def moments(self, beta: Array) -> Array:
        r"""Return the moments at :math:`\tau` = ``beta``, shape (n, q)."""
        predicted, gold, _ = self.averages
        of_model = super().moments(self.root.beta)
        return self.combine(predicted - beta, gold - beta) + of_model @ self._loading

    def errors(self, beta: Array) -> Array:
        """Return the errors of the labelled rows, whose draw is random, shape (n_labelled, q)."""
        del beta  # it cancels
        gap = self.averages.gold - self.share * self.averages.predicted[self.labelled]
        of_model = super().errors(self.root.beta)
        return gap * self.analysis_weight[self.labelled, None] + of_model @ self._loading
