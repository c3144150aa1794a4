"""Averages of functions of the parameters, stacked with the moments of the model."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
class StackedProblem(Problem):
    r"""The moments of a model beside those of averages of functions of its parameters.

    .. math:: \tilde m_i(\beta, \tau) = a_i \{(1 - w_i)\, [m, h - \tau](\hat D_i; \beta)
        + w_i\, [m, h - \tau](D_i; \beta)\}

    Valid at the root of the model, where h has been evaluated. With the derivative

    .. math:: J = \begin{pmatrix} J_\beta & 0 \\ -\overline{\partial \tilde h / \partial \beta'}
        & I \end{pmatrix}

    row i has the influence value :math:`a_i (\tilde h_i - \tau) + \overline{\partial \tilde h /
    \partial \beta'}\, J_\beta^{-1} \tilde m_i` on :math:`\tau`.

    Attributes
    ----------
    averages : Averages
    root : Root
        Of the model alone.
    """

    averages: Averages
    root: Root

    @classmethod
    def of(cls, problem: Problem, root: Root, averages: Averages) -> StackedProblem:
        """Return a problem with averages added."""
        given = {item.name: getattr(problem, item.name) for item in fields(problem)}
        return cls(**given, averages=averages, root=root)

    @property
    def n_averages(self) -> int:
        """Number of averages, q."""
        return len(self.averages.gradient)

    def solution(self) -> Root:
        """Return the joint root of coefficients and averages."""
        predicted, gold, gradient = self.averages
        total = self.combine(predicted, gold).sum(axis=0)
        theta = np.append(self.root.beta, total / self.analysis_weight.sum())
        p, q = len(self.root.beta), self.n_averages
        jacobian = np.zeros((p + q, p + q))
        jacobian[:p, :p], jacobian[p:, :p] = self.root.jacobian, -gradient
        jacobian[p:, p:] = np.eye(q) * self.analysis_weight.mean()
        return self.root._replace(beta=theta, moments=self.moments(theta), jacobian=jacobian)

    def moments(self, beta: Array) -> Array:
        r"""Return :math:`\tilde m_i`, shape (n, p + q)."""
        beta, tau = np.split(beta, [-self.n_averages])
        predicted, gold, _ = self.averages
        return np.hstack([super().moments(beta), self.combine(predicted - tau, gold - tau)])

    def errors(self, beta: Array) -> Array:
        """Return errors of the labelled rows, whose draw is random, shape (n_labelled, p + q)."""
        beta, _ = np.split(beta, [-self.n_averages])
        gap = self.averages.gold - self.share * self.averages.predicted[self.labelled]
        gap = gap * self.analysis_weight[self.labelled, None]
        return np.hstack([super().errors(beta), gap])
