r"""Squared loss without biases in closed form: singular values, softly thresholded.

With :math:`W = L \Sigma R'`, the least value of

.. math:: \sum_{u,i} (p_u'q_i - w_{ui})^2 + \lambda (\lVert P\rVert^2 + \lVert Q\rVert^2)

over k factors is at :math:`P = L d, Q = R d` with :math:`d_j = \sqrt{\max(\sigma_j - \lambda, 0)}`
for the k largest singular values. One decomposition serves all :math:`\lambda`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, svds

from .factors import Factors, Solution
from .labels import Labels

Array = NDArray[Any]


class Spectrum(NamedTuple):
    """The largest singular values of the pseudo-labels, falling, and their vectors.

    Attributes
    ----------
    left : ndarray of shape (n_users, k)
    values : ndarray of shape (k,)
    right : ndarray of shape (n_items, k)
    sum_squares : float
        Of all pseudo-labels.
    """

    left: Array
    values: Array
    right: Array
    sum_squares: float

    def factors(self, regularization: float) -> Factors:
        """Return the optimum for one penalty."""
        root = np.sqrt(self.thresholded(regularization)).astype(self.left.dtype)
        return Factors(self.left * root, self.right * root, 0.0, False)

    def solution(self, regularization: float) -> Solution:
        """Return the optimum for one penalty, as other solvers do."""
        return Solution(self.factors(regularization), [self.objective(regularization)], True)

    def objective(self, regularization: float) -> float:
        r"""Return the least value: squares of W less :math:`\sum_j \max(\sigma_j-\lambda, 0)^2`."""
        return float(self.sum_squares - np.sum(self.thresholded(regularization) ** 2))

    def effective_rank(self, regularization: float) -> int:
        """Return how many factors are not zero at the optimum."""
        return int(np.count_nonzero(self.values > regularization))

    def thresholded(self, regularization: float) -> Array:
        """Return singular values less the penalty, where positive."""
        return np.maximum(self.values - regularization, 0.0)


def spectrum(labels: Labels, rank: int, rng: np.random.Generator) -> Spectrum:
    """Return the leading singular values and vectors of the pseudo-labels.

    Parameters
    ----------
    labels : Labels
    rank : int
        How many; as many as there are rows or columns are possible, but only for small matrices.
    rng : Generator
        For the first vector of the iteration. Signs are set afterwards, so that each vector of
        items has its largest entry positive.
    """
    if rank < min(labels.shape):
        first = rng.standard_normal(min(labels.shape)).astype(labels.dtype)
        left, values, right = svds(_operator(labels), k=rank, v0=first)
    else:
        left, values, right = np.linalg.svd(labels.matrix().toarray(), full_matrices=False)
    order = np.argsort(values)[::-1]
    left, values, right = left[:, order], values[order].astype(float), right[order].T
    heaviest = np.abs(right).argmax(axis=0)
    sign = np.where(right[heaviest, np.arange(len(values))] < 0, -1, 1).astype(left.dtype)
    return Spectrum(left * sign, values, right * sign, labels.sum_squares())


def largest_label_value(labels: Labels, rng: np.random.Generator) -> float:
    """Return the largest singular value of the pseudo-labels, to three digits."""
    if min(labels.shape) == 1:
        return float(np.sqrt(labels.sum_squares()))
    # No label is negative, so that the vector is positive and ones are near it.
    first = 1.0 + 0.1 * rng.random(min(labels.shape)).astype(labels.dtype)
    options: dict[str, Any] = {"k": 1, "v0": first, "tol": 1e-4, "return_singular_vectors": False}
    return float(svds(_operator(labels), **options)[0])


def largest_singular_value(matrix: Any, rng: np.random.Generator) -> float:
    """Return the spectral norm of a sparse matrix or operator."""
    if min(matrix.shape) == 1:
        return float(np.sqrt((matrix.power(2)).sum()))
    first = rng.standard_normal(min(matrix.shape))
    return float(svds(matrix, k=1, v0=first, return_singular_vectors=False)[0])


def _operator(labels: Labels) -> Any:
    return LinearOperator(
        labels.shape,
        matvec=lambda v: labels.times(_column(v, labels))[:, 0],
        rmatvec=lambda v: labels.transposed_times(_column(v, labels))[:, 0],
        matmat=lambda V: labels.times(V.astype(labels.dtype)),
        rmatmat=lambda V: labels.transposed_times(V.astype(labels.dtype)),
        dtype=labels.dtype,
    )


def _column(vector: Array, labels: Labels) -> Array:
    return np.asarray(vector, dtype=labels.dtype).reshape(-1, 1)
