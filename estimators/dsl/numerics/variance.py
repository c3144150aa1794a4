"""Covariance of the root for both targets and every sampling design."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...covariance import cluster_sums, meat
from .design import SamplingDesign
from .equation import Problem
from .leverage import leverage_free
from .models import row_blocks
from .solver import Root

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Parts(NamedTuple):
    r"""What the variance of one root is made of.

    Attributes
    ----------
    moments : ndarray of shape (n, p)
        :math:`\tilde m_i`.
    jacobian : ndarray of shape (p, p)
        J.
    errors : ndarray of shape (n_labelled, p)
        :math:`e_i = a_i (m_i - \Gamma \hat m_i)` of the labelled rows.
    labelled : ndarray of int of shape (n_labelled,)
    correction : ndarray of shape (U, p), or None
        What the small-sample correction adds to the errors of the drawn units.
    """

    moments: Array
    jacobian: Array
    errors: Array
    labelled: Codes
    correction: Array | None = None

    @classmethod
    def of(cls, problem: Problem, root: Root, correction: Array | None = None) -> Parts:
        """Return the parts of a root."""
        errors = problem.errors(root.beta)
        return cls(root.moments, root.jacobian, errors, problem.labelled, correction)


class Variance(NamedTuple):
    r"""Covariance of the root, and what its influence values :math:`J^{-1} \tilde m_i` are made of.

    Attributes
    ----------
    cov : ndarray of shape (p, p)
    moments : ndarray of shape (n, p), or None
        None where no single value of each row has this covariance (two-stage samples of a finite
        population).
    inverse : ndarray of shape (p, p)
        The inverse of J.
    n_saturated : int
        Rows or clusters with leverage 1.
    from_labels : ndarray of shape (p,), or None
        Share of each variance that rows or clusters with labels contribute; None if it has no
        such parts.
    """

    cov: Array
    moments: Array | None
    inverse: Array
    n_saturated: int = 0
    from_labels: Array | None = None

    @property
    def influence(self) -> Array:
        """Influence values, shape (n, p)."""
        assert self.moments is not None
        return self.moments @ self.inverse.T

    def add_influence(self, total: Array) -> None:
        """Add the influence values to an array, in place and without another one of its size."""
        assert self.moments is not None
        for rows in row_blocks(len(total)):
            total[rows] += self.moments[rows] @ self.inverse.T


def superpopulation_variance(
    parts: Parts,
    design: SamplingDesign,
    *,
    kind: str,
    clusters: Codes | None,
    n_absorbed: int = 0,
    leverage_of: tuple[Problem, Root] | None = None,
) -> Variance:
    r"""Covariance for the coefficients of the superpopulation behind the rows.

    .. math:: V = J^{-1} \Big[\sum_c \tilde m_c \tilde m_c'\Big] J^{-T} / N^2

    with :math:`\tilde m_c` the sums of `design_moments` within clusters (or rows).

    Parameters
    ----------
    parts : Parts
    design : SamplingDesign
        Clusters contain whole sampling units, at least in one of two dimensions.
    kind : {"HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2"}
    clusters : ndarray of int of shape (n,) or (n, 2), default=None
        Needed for the CR kinds.
    n_absorbed : int, default=0
        Parameters that were concentrated out (fixed effects); HC1 and CR1 count them.
    leverage_of : (Problem, Root), default=None
        Needed for HC2, HC3 and CR2.
    """
    inverse = np.linalg.inv(parts.jacobian).astype(np.float64)
    moments = adjusted = design_moments(parts, design)
    n_saturated = 0
    if leverage_of is not None:
        adjusted, n_saturated = leverage_free(*leverage_of, moments, kind, clusters)
    n_params = moments.shape[1] + n_absorbed
    correction: Literal["CR0", "CR1"] = "CR1" if kind == "CR1" else "CR0"
    middle = meat(adjusted, clusters, correction=correction, n_params=n_params)
    if kind == "HC1":
        middle = middle * len(moments) / (len(moments) - n_params)
    cov = inverse @ middle @ inverse.T / len(moments) ** 2
    share = None
    if kind in ("HC0", "CR0") and (clusters is None or clusters.ndim == 1):
        own = _labels_part(moments, inverse, parts.labelled, clusters)
        total = np.diag(cov) * len(moments) ** 2
        share = np.where(total > 0.0, own / np.where(total > 0.0, total, 1.0), 1.0)
    return Variance(cov, moments, inverse, n_saturated, share)


def _labels_part(moments: Array, inverse: Array, labelled: Codes, clusters: Codes | None) -> Array:
    """Return what rows or clusters with labels contribute to the sums of squares, shape (p,)."""
    if clusters is None:
        own = moments[labelled]
    else:
        own = cluster_sums(moments, clusters)[np.unique(clusters[labelled])]
    part: Array = ((own @ inverse.T) ** 2).sum(axis=0)
    return part


def design_moments(parts: Parts, design: SamplingDesign) -> Array:
    r"""Return the moments whose outer products count the draw rightly.

    With :math:`e_i = m_i - \Gamma \hat m_i` the moment of a row is
    :math:`\Gamma \hat m_i + R_i e_i / \pi_i`. Where the number of units drawn from each group is
    fixed, :math:`\sum_{i \in g} (R_i - \pi_i) = 0`, and for any :math:`A_g` the moments

    .. math:: \Gamma \hat m_i + \pi_i A_g + R_i (e_i / \pi_i - A_g)

    have the same sum. With :math:`A_g` of `design.Draw.centre` the draw's part is uncorrelated with
    the number drawn, so that outer products of these moments estimate the variance under the
    fixed number, also summed within clusters; with :math:`A_g = 0` they would count a number that
    does not vary. Three changes to the last term turn its design variance into :math:`C_D`: the
    factor :math:`\sqrt{1 + c_u - (1 - \pi_u)}`, the small-sample correction times
    :math:`1 - \pi_u`, and units of several rows, whose value is spread over them.
    """
    is_plain = not design.is_fixed and parts.correction is None
    if not len(parts.labelled) or is_plain:
        return parts.moments
    draw = design.draw(parts.labelled)
    errors, chance = draw.totals(parts.errors), 1.0 - draw.probability
    deviation, centre = draw.deviations(errors), draw.centre(errors)
    scale = np.sqrt(1.0 + draw.factor - chance)
    shift = (scale - 1.0)[:, None] * deviation - centre
    if parts.correction is not None:
        corrected = draw.deviations(errors + parts.correction)
        shift += chance[:, None] * (corrected - deviation)
    if design.is_fixed:
        moments = parts.moments + design.expected(centre, draw)
    else:
        moments = parts.moments.copy()
    moments[parts.labelled] += draw.spread(shift)
    return moments


def population_variance(parts: Parts, design: SamplingDesign) -> Variance:
    r"""Covariance for the coefficients that full labelling of these very rows would give.

    Only the draw of the labelled rows is random: :math:`V = J^{-1} C_D(e, e) J^{-T} / N^2`, with
    the second stage added where rows were drawn within units. The influence values are the
    contributions to :math:`C_D`, zero on unlabelled rows.
    """
    n, inverse = len(parts.moments), np.linalg.inv(parts.jacobian).astype(np.float64)
    moments = np.zeros_like(parts.moments)
    if not len(parts.labelled):
        return Variance(np.zeros_like(inverse), moments, inverse)
    draw = design.draw(parts.labelled)
    errors = draw.totals(parts.errors)
    if parts.correction is not None:
        errors = errors + parts.correction
    draws = draw.contributions(errors)
    middle = draws.T @ draws
    if design.unit_probability is not None and (draw.within < 1.0).any():
        within = draw.contributions_within(parts.errors)
        middle = middle + within.T @ within
        return Variance(inverse @ middle @ inverse.T / n**2, None, inverse)
    first = np.unique(draw.units, return_index=True)[1]
    moments[parts.labelled[first]] = draws
    return Variance(inverse @ middle @ inverse.T / n**2, moments, inverse)
