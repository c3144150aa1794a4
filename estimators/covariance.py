"""Covariance matrices from per-row contributions: sandwiches, clusters, designs, leverage.

Everything here is a pure function of arrays. A *contribution* is a row of an ``(n, k)`` array
whose outer products sum to a covariance (up to the scale stated by each function).
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .reference import DegreesOfFreedom, described

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class CovarianceWarning(UserWarning):
    """A covariance matrix had to be repaired or rests on very few units."""


def cluster_sums(contributions: Array, codes: Codes) -> Array:
    """Sum the contributions within each cluster.

    Parameters
    ----------
    contributions : ndarray of shape (n, k)
    codes : ndarray of shape (n,)
        Cluster numbers 0, ..., G-1.

    Returns
    -------
    ndarray of shape (G, k)
    """
    n_clusters = int(codes.max()) + 1
    columns = [
        np.bincount(codes, weights=column, minlength=n_clusters) for column in contributions.T
    ]
    return np.column_stack(columns)


def renumbered(codes: Codes) -> Codes:
    """Return codes 0, 1, ... of what is left after rows were taken out, shape (n,) or (n, m)."""
    columns = [
        np.unique(column, return_inverse=True)[1] for column in codes.reshape(len(codes), -1).T
    ]
    numbers = np.column_stack(columns).astype(np.intp)
    return numbers if codes.ndim == 2 else numbers[:, 0]


def intersection(clusters: Codes) -> Codes:
    """Return codes of the distinct pairs of two cluster variables."""
    pairs = clusters[:, 0] * (int(clusters[:, 1].max()) + 1) + clusters[:, 1]
    return np.unique(pairs, return_inverse=True)[1].astype(np.intp)


def n_clusters(clusters: Codes) -> int:
    """Count the clusters; for two-way clusters, those of the smaller dimension."""
    return int((clusters.reshape(len(clusters), -1).max(axis=0) + 1).min())


def small_sample_factor(n_groups: int, n_rows: int, n_params: int) -> float:
    """Return the CR1 factor ``G / (G - 1) x (N - 1) / (N - k)``."""
    return n_groups / (n_groups - 1) * (n_rows - 1) / (n_rows - n_params)


def meat(
    contributions: Array,
    clusters: Codes | None = None,
    *,
    correction: Literal["CR0", "CR1"] = "CR0",
    n_params: int | None = None,
) -> Array:
    r"""Sum the outer products of contributions, by rows or by clusters.

    One-way: :math:`\sum_g s_g s_g'` with :math:`s_g` the sum within cluster g. Two-way
    (Cameron, Gelbach and Miller 2011): first + second - intersection; an indefinite result is
    repaired by setting its negative eigenvalues to zero, with a warning. ``CR1`` multiplies each
    term by its own ``G/(G-1) x (N-1)/(N-k)``.

    Parameters
    ----------
    contributions : ndarray of shape (n, k)
    clusters : ndarray of shape (n,) or (n, 2), default=None
        Cluster codes; None treats every row as its own cluster (HC0).
    correction : {"CR0", "CR1"}, default="CR0"
    n_params : int, default=None
        k of the CR1 factor; the number of columns if None.

    Returns
    -------
    ndarray of shape (k, k)
    """
    if clusters is None:
        return contributions.T @ contributions
    n_rows = len(contributions)
    k = contributions.shape[1] if n_params is None else n_params

    def one_way(codes: Codes) -> Array:
        sums = cluster_sums(contributions, codes)
        factor = small_sample_factor(len(sums), n_rows, k) if correction == "CR1" else 1.0
        return factor * (sums.T @ sums)

    if clusters.ndim == 1:
        return one_way(clusters)
    two_way = one_way(clusters[:, 0]) + one_way(clusters[:, 1]) - one_way(intersection(clusters))
    return clip_negative_eigenvalues(two_way)


def clip_negative_eigenvalues(matrix: Array) -> Array:
    """Return the matrix, or its positive semi-definite part with a warning if it is indefinite."""
    values, vectors = np.linalg.eigh(matrix)
    if values[0] >= -1e-12 * max(float(np.abs(values).max()), np.finfo(float).tiny):
        return matrix
    warnings.warn(
        "The two-way clustered covariance is not positive semi-definite (few clusters in one "
        "dimension); its negative eigenvalues were set to zero.",
        CovarianceWarning,
        stacklevel=4,
    )
    return (vectors * np.maximum(values, 0.0)) @ vectors.T


def nearest_positive_definite(cov: Array) -> Array:
    """Return the nearest positive semi-definite matrix with the same diagonal, if it is not one.

    Alternating projections with Dykstra's correction on the correlation scale (Higham 2002,
    https://doi.org/10.1093/imanum/22.3.329). A matrix with a non-finite entry or a variance of
    zero is returned as it is.
    """
    if not np.isfinite(cov).all() or (np.diag(cov) <= 0).any():
        return cov
    scale = np.sqrt(np.diag(cov))
    current = cov / np.outer(scale, scale)
    if np.linalg.eigvalsh(current)[0] >= 0:
        return cov
    correction = np.zeros_like(current)
    for _ in range(1000):
        shifted = current - correction
        values, vectors = np.linalg.eigh(shifted)
        projected = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = projected - shifted
        previous, current = current, projected.copy()
        np.fill_diagonal(current, 1.0)
        if np.abs(current - previous).max() < 1e-10:
            break
    # The last projection restored the diagonal; rescaling keeps it and the definiteness.
    size = np.sqrt(np.diag(projected))
    return projected / np.outer(size, size) * np.outer(scale, scale)


def leverage_adjusted(
    moments: Array, information: Array, total: Array, *, power: float
) -> tuple[Array, int]:
    r"""Adjust the moments of units for their leverage.

    Returns :math:`(I - J_u J^{-1})^{-p} m_u` for every unit u (a row or a cluster), where
    :math:`J = \sum_u J_u`. With p = 1 and rows this is HC3, with p = 1/2 HC2 for rows and CR2
    (Bell and McCaffrey 2002, working independence) for clusters. For
    :math:`J = L^{-T} L^{-1}` the matrix function equals
    :math:`L^{-T} (I - L' J_u L)^{-p} L'`, so only k x k matrices are decomposed, whatever the
    size of the cluster.

    A unit that alone determines some direction has leverage 1 there; its moment is zero along
    it, and the generalised inverse leaves it at zero.

    Parameters
    ----------
    moments : ndarray of shape (u, k)
    information : ndarray of shape (u, k, k)
        Symmetric :math:`J_u`.
    total : ndarray of shape (k, k)
        Symmetric positive definite :math:`J`.
    power : float
        The exponent p: 0.5 or 1.

    Returns
    -------
    adjusted : ndarray of shape (u, k)
    n_saturated : int
        How many units have leverage 1 in some direction.
    """
    root = np.linalg.inv(np.linalg.cholesky(total)).T
    shares, axes = np.linalg.eigh(root.T @ information @ root)
    room = 1.0 - shares
    saturated = room < 1e-10
    factor = np.where(saturated, 0.0, np.where(saturated, 1.0, room) ** -power)
    rotated = np.einsum("uij,ui->uj", axes, moments @ root)
    scaled = np.einsum("uij,uj->ui", axes, factor * rotated)
    return scaled @ np.linalg.inv(root), int(saturated.any(axis=1).sum())


def describe_covariance(kind: str, clusters: Codes | None, df: DegreesOfFreedom) -> str:
    """Put the covariance and the reference distribution into words for a header."""
    text = kind
    if clusters is not None:
        counts = clusters.reshape(len(clusters), -1).max(axis=0) + 1
        text += ", clustered (" + " x ".join(f"{count:,}" for count in counts) + " clusters)"
    return f"{text}, {described(df)}"
