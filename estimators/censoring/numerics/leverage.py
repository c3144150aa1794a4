r"""Moments without the leverage of their own row or cluster.

The equation :math:`\sum_i (W_i s_i) = 0` with information :math:`c_i x_i x_i'` of the rows and
:math:`J = \sum_i c_i x_i x_i'` is solved with row i among the others, so that its residual is
smaller than that of a row like it which had no say, by

.. math:: 1 - h_i, \qquad h_i = c_i\, x_i' J^{-1} x_i.

The information of a row has its weight in it: a row that stands for ten that were censored has
ten times their leverage. What rows do to the equation through the curve of censoring is not a
residual, and is not adjusted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...covariance import cluster_sums, leverage_adjusted, meat

Array = NDArray[np.float64]
Codes = NDArray[np.intp]

# The power of 1 - h that the moments are divided by.
POWERS = {"HC2": 0.5, "HC3": 1.0, "CR2": 0.5, "CR3": 1.0}
SATURATED = 1e-10


class Meat(NamedTuple):
    """The middle of a sandwich.

    Attributes
    ----------
    total : ndarray of shape (k, k)
    n_saturated : int
        Rows or clusters with leverage 1: they alone determine a coefficient.
    """

    total: Array
    n_saturated: int


def leverage_free_meat(
    own: Array,
    terms: Array,
    design: Array,
    information: Array,
    kind: str,
    clusters: Codes | None = None,
) -> Meat:
    r"""Sum the outer products of the moments of rows or clusters.

    .. math:: \sum_g m_g m_g', \qquad
        m_g = (I - J_g J^{-1})^{-p} \sum_{i \in g} u_i + \sum_{i \in g} t_i

    with p = 0 for HC0 and CR0, 1/2 for HC2 and CR2, 1 for HC3 and CR3, and rows as clusters of one
    for the HC kinds, where the matrix comes to :math:`(1 - h_i)^{-p}`. With p = 1 it is what
    leaving a row or cluster out does to the solution, to first order in what that does to the
    curve.

    Parameters
    ----------
    own : ndarray of shape (n, k)
        :math:`u_i`, weighted scores.
    terms : ndarray of shape (n, k)
        :math:`t_i`, what rows do through the curve of censoring.
    design : ndarray of shape (n, k)
        :math:`x_i`.
    information : ndarray of shape (n,)
        :math:`c_i`, not negative.
    kind : {"HC0", "HC2", "HC3", "CR0", "CR2", "CR3"}
    clusters : ndarray of shape (n,) or (n, 2), default=None
        For the CR kinds; two columns for CR0 only.

    Returns
    -------
    Meat

    References
    ----------
    MacKinnon, J. G. and White, H. (1985). Some heteroskedasticity-consistent covariance matrix
    estimators with improved finite sample properties. Journal of Econometrics 29(3), 305-325.
    https://doi.org/10.1016/0304-4076(85)90158-7

    Bell, R. M. and McCaffrey, D. F. (2002). Bias reduction in standard errors for linear
    regression with multi-stage samples. Survey Methodology 28(2), 169-181.
    """
    if kind not in POWERS:
        return Meat(meat(own + terms, clusters), 0)
    total = (design * information[:, None]).T @ design
    if clusters is None:
        factor, n_saturated = _row_factor(design, information, total, POWERS[kind])
        return Meat(meat(own * factor[:, None] + terms), n_saturated)
    pairs = np.einsum("ij,ik,i->ijk", design, design, information).reshape(len(design), -1)
    blocks = cluster_sums(pairs, clusters).reshape(-1, *total.shape)
    adjusted, n_saturated = leverage_adjusted(
        cluster_sums(own, clusters), blocks, total, power=POWERS[kind]
    )
    return Meat(meat(adjusted + cluster_sums(terms, clusters)), n_saturated)


def _row_factor(design: Array, information: Array, total: Array, power: float) -> tuple[Array, int]:
    """Return (1 - h)^-p of each row, zero where h is 1, and how many those are."""
    leverage = information * np.einsum("ij,ij->i", design @ np.linalg.inv(total), design)
    saturated = leverage > 1.0 - SATURATED
    room = np.where(saturated, 1.0, 1.0 - leverage)
    return np.where(saturated, 0.0, room**-power), int(saturated.sum())
