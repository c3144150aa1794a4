"""Losses and rankings by true relevance, which only a simulation knows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from trueness.feedback.numerics.losses import Loss, ideal_risk

Array = NDArray[np.float64]


class KnownRelevance:
    r"""The relevance of every pair, and what a table of scores is worth by it.

    Parameters
    ----------
    relevance : array-like of shape (n_users, n_items)
        :math:`\gamma_{ui}`, the probability that the item is relevant to the user.

    Examples
    --------
    >>> truth = KnownRelevance([[0.9, 0.1], [0.2, 0.4]])
    >>> round(truth.loss([[0.9, 0.1], [0.2, 0.4]]), 4)  # no score does better
    0.145
    >>> round(truth.dcg([[2.0, 1.0], [2.0, 1.0]], k=1), 4)
    0.55
    """

    def __init__(self, relevance: ArrayLike) -> None:
        self.relevance: Array = np.asarray(relevance, dtype=float)

    def loss(self, scores: ArrayLike, loss: Loss = "squared", *, items: Any = None) -> float:
        r"""Return the ideal loss, exactly.

        .. math::

            L = |D|^{-1} \sum_{ui} \gamma_{ui} \delta_1(s_{ui}) + (1 - \gamma_{ui}) \delta_0(s_{ui})

        Parameters
        ----------
        scores : array-like of shape (n_users, n_items)
        loss : {"squared", "squared_sigmoid", "cross_entropy"}, default="squared"
        items : index of columns, default=None
            None means all of them.
        """
        chosen = slice(None) if items is None else items
        return ideal_risk(self.relevance[:, chosen], self._table(scores)[:, chosen], loss)

    def dcg(
        self, scores: ArrayLike, k: int = 5, *, items: Any = None, exclude: Any = None
    ) -> float:
        r"""Return the mean over users of the expected discounted gain of the k highest scores.

        .. math::

            U^{-1} \sum_u \sum_{i:\, r_{ui} \le k} \frac{\gamma_{ui}}{\log_2(r_{ui} + 1)}

        Parameters
        ----------
        scores : array-like of shape (n_users, n_items)
            Among equal ones the lower column ranks first.
        k : int, default=5
        items : index of columns, default=None
            What is ranked; None means all items.
        exclude : sparse matrix of shape (n_users, n_items), default=None
            Pairs that are not ranked, such as training clicks.
        """
        table, gamma = self._table(scores), self.relevance
        if exclude is not None:
            rows, columns = sparse.coo_matrix(exclude).coords
            table, gamma = table.copy(), gamma.copy()
            table[rows, columns] = -np.inf
            gamma[rows, columns] = 0.0
        chosen = slice(None) if items is None else items
        table, gamma = table[:, chosen].copy(), gamma[:, chosen].copy()
        everyone, total = np.arange(len(table)), 0.0
        for rank in range(1, min(k, table.shape[1]) + 1):  # k passes are faster than sorting
            best = table.argmax(axis=1)
            total += float(gamma[everyone, best].mean()) / np.log2(rank + 1)
            table[everyone, best] = -np.inf
            gamma[everyone, best] = 0.0  # a user with nothing left gains nothing
        return float(total)

    def _table(self, scores: ArrayLike) -> Array:
        table = np.asarray(scores, dtype=float)
        if table.shape != self.relevance.shape:
            raise ValueError(
                f"scores have shape {table.shape}; give one for every user and item, shape "
                f"{self.relevance.shape}."
            )
        if np.isnan(table).any():
            raise ValueError("scores: some are missing (NaN), and cannot be ranked or judged.")
        return table
