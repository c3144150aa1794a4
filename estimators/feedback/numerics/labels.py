r"""Sparse pseudo-labels: clicks divided by their clipped propensities."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse

from .kernels import in_threads, kernels_for

Array = NDArray[Any]


@dataclass(frozen=True)
class Labels:
    r"""Pseudo-labels :math:`w_{ui} = Y_{ui} v_{ui}` of all pairs, zero where there is no click.

    Clicks are kept by rows and by columns. Where the weight of a click depends on its item only,
    :math:`W = Y\,\mathrm{diag}(v)` and no weight is stored per click.

    Attributes
    ----------
    shape : tuple of int
        Users, items.
    indptr, indices : ndarray of int
        Clicks by user, as in a compressed sparse row matrix.
    item_indptr, item_indices : ndarray of int
        Clicks by item, as in a compressed sparse column matrix.
    item_values : ndarray of shape (n_items,), or None
        Weights v of items, if they are all there is.
    values, values_by_item : ndarray of shape (n_clicks,), or None
        Weights in both orders otherwise.
    dtype : dtype
        Of the products.
    n_threads : int
        Threads of compiled kernels.
    """

    shape: tuple[int, int]
    indptr: Array
    indices: Array
    item_indptr: Array
    item_indices: Array
    item_values: Array | None
    values: Array | None
    values_by_item: Array | None
    dtype: np.dtype[Any]
    n_threads: int = 1

    @property
    def n_clicks(self) -> int:
        """Number of clicks."""
        return len(self.indices)

    @cached_property
    def _ones(self) -> Array:
        return np.ones(self.n_clicks, dtype=self.dtype)

    def times(self, Q: Array) -> Array:
        """Return W Q, of shape (n_users, k)."""
        if self.item_values is not None:
            Q = Q * self.item_values[:, None]
        return self._product(self.indptr, self.indices, self.values, Q, self.shape[0])

    def transposed_times(self, P: Array) -> Array:
        """Return W'P, of shape (n_items, k)."""
        values, n_items = self.values_by_item, self.shape[1]
        product = self._product(self.item_indptr, self.item_indices, values, P, n_items)
        if self.item_values is not None:
            product *= self.item_values[:, None]
        return product

    def total(self) -> float:
        """Return the sum of all pseudo-labels."""
        return float(self._sum_powers(1))

    def mean(self) -> float:
        """Return the mean of all pseudo-labels, over all pairs."""
        return self.total() / self.shape[0] / self.shape[1]

    def sum_squares(self) -> float:
        """Return the sum of squares of all pseudo-labels."""
        return float(self._sum_powers(2))

    def click_values(self) -> Array:
        """Return the weight of every click, in the order of rows."""
        if self.values is not None:
            return self.values
        assert self.item_values is not None
        return np.asarray(self.item_values[self.indices])

    def matrix(self) -> Any:
        """Return W as a sparse matrix in compressed rows."""
        return sparse.csr_array((self.click_values(), self.indices, self.indptr), shape=self.shape)

    def _sum_powers(self, power: int) -> Any:
        if self.values is not None:
            return np.sum(self.values**power, dtype=float)
        assert self.item_values is not None
        return np.diff(self.item_indptr) @ self.item_values.astype(float) ** power

    def _product(
        self, indptr: Array, indices: Array, values: Array | None, dense: Array, n_rows: int
    ) -> Array:
        kernels = kernels_for(self.n_clicks * dense.shape[1])
        if kernels is None:
            data = self._ones if values is None else values
            shape = (n_rows, len(dense))
            return np.asarray(sparse.csr_array((data, indices, indptr), shape=shape) @ dense)
        out = np.empty((n_rows, dense.shape[1]), dtype=self.dtype)
        kernel, weights = (
            (kernels.times, ()) if values is None else (kernels.times_values, (values,))
        )
        arguments = (indptr, indices, *weights, np.ascontiguousarray(dense), out)
        in_threads(kernel, arguments, n_rows, self.n_threads)
        return out


def make_labels(
    clicks: Any,
    *,
    item_weights: Array | None = None,
    click_weights: Array | None = None,
    dtype: DTypeLike = np.float64,
    n_threads: int = 1,
) -> Labels:
    """Return pseudo-labels from clicks in canonical compressed rows.

    Parameters
    ----------
    clicks : csr_array or csr_matrix of shape (n_users, n_items)
        Its index arrays are shared, its data ignored.
    item_weights : ndarray of shape (n_items,), default=None
        Weight of the clicks of every item.
    click_weights : ndarray of shape (n_clicks,), default=None
        Weight of every click; without either all are 1.
    dtype : dtype, default=float64
    n_threads : int, default=1
    """
    dtype = np.dtype(dtype)
    values = values_by_item = item_values = None
    if click_weights is not None:
        values = np.asarray(click_weights, dtype=dtype)
        columns = _by_columns(clicks, values)
        values_by_item = columns.data
    else:
        # One byte per click is enough to transpose what has no values.
        columns = _by_columns(clicks, np.ones(clicks.nnz, dtype=np.int8))
        given = np.ones(clicks.shape[1]) if item_weights is None else item_weights
        item_values = np.asarray(given, dtype=dtype)
    return Labels(
        clicks.shape,
        clicks.indptr,
        clicks.indices,
        columns.indptr,
        columns.indices,
        item_values,
        values,
        values_by_item,
        dtype,
        n_threads,
    )


def _by_columns(clicks: Any, data: Array) -> Any:
    return sparse.csr_array((data, clicks.indices, clicks.indptr), shape=clicks.shape).tocsc()
