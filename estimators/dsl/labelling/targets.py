"""Which coefficients matter, and what a label costs: what users say, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...hypotheses import read_constraints
from ...validation import did_you_mean
from ..gold_sample.frame import read_numbers

Array = NDArray[np.float64]


def read_targets(target: Any, names: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """Return the combinations of coefficients that matter, shape (q, p), and their names.

    Parameters
    ----------
    target : None, str, sequence of str, or array of shape (p,) or (q, p)
        Terms, or combinations such as ``"x1 - x2"``; None stands for all terms.
    names : tuple of str
        The terms.

    Raises
    ------
    ValueError
        If one is unknown, or is no combination.

    Examples
    --------
    >>> read_targets("b - a", ("a", "b"))
    (array([[-1.,  1.]]), ('b - a',))
    """
    if target is None:
        return np.eye(len(names)), names
    if not isinstance(target, str | Sequence) or isinstance(target, bytes):
        matrix = read_constraints(target, None, names).matrix
        return matrix, tuple(f"combination {i + 1}" for i in range(len(matrix)))
    if not isinstance(target, str) and not any(isinstance(one, str) for one in target):
        return read_targets(np.asarray(target, dtype=float), names)
    texts = [target] if isinstance(target, str) else list(target)
    rows = []
    for text in texts:
        if text in names:
            rows.append(np.eye(len(names))[names.index(text)])
            continue
        try:
            found = read_constraints(text, None, names)
        except ValueError as error:
            if all(sign not in text for sign in "+-*/"):
                raise ValueError(
                    f"There is no coefficient {text!r}.{did_you_mean(text, names)}"
                ) from None
            raise ValueError(f"target={text!r}: {error}") from None
        if np.any(found.target != 0) or "=" in text or not found.matrix.any():
            raise ValueError(f"target={text!r} is no combination of coefficients.")
        rows.append(found.matrix[0])
    return np.array(rows), tuple(texts)


def read_cost(cost: Any, n_rows: int) -> Array | None:
    """Return the cost of a label of each row, or None if all cost the same."""
    if cost is None:
        return None
    costs = np.full(n_rows, cost, dtype=float) if np.ndim(cost) == 0 else cost
    costs = read_numbers(costs, "cost", n_rows)
    if not costs.all():
        raise ValueError("cost is 0 on some rows; it must be positive.")
    return costs


def check_labels(n: Any, n_rows: int, what: str = "n") -> float:
    """Return a number of labels that is possible."""
    if np.ndim(n) > 0 or isinstance(n, str | bool) or not 2 <= float(n) <= n_rows:
        raise ValueError(
            f"{what}={n!r} labels are not possible with {n_rows:,} rows to draw from; it takes 2 "
            "at least, and no more than there are rows."
        )
    return float(n)
