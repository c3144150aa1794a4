"""What may be asked of a model of clicks, and what it says where that cannot be done."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alarms import RankWarning
from .solving import SOLVERS

Array = NDArray[Any]

MOST_ITERATIONS = {"als": 100, "svd": 1, "mm": 200, "lbfgs": 500, "adam": 1000}


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raise unless a value is one of those allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(repr, allowed))}.")


def check_number(
    name: str,
    value: Any,
    least: float,
    most: float = np.inf,
    *,
    advice: str = "",
    above: bool = False,
) -> None:
    """Raise unless a number lies between two others, both of which are allowed."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number = float(value) if is_number else np.nan
    if np.isfinite(number) and (least < number <= most or (number == least and not above)):
        return
    if most < np.inf:
        where = f"between {least:g} and {most:g}"
    else:
        where = f"a number above {least:g}" if above else f"a number, at least {least:g}"
    raise ValueError(f"{name}={value!r} must be {where}.{advice}")


def check_whole(name: str, value: Any, least: int = 1) -> None:
    """Raise unless a number is whole and not too small."""
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not is_whole or int(value) < least:
        raise ValueError(f"{name}={value!r} must be a whole number, at least {least}.")


def check_common(model: Any) -> None:
    """Raise unless the options that all models have are allowed."""
    check_whole("n_factors", model.n_factors)
    if model.regularization != "auto":
        advice = " It is a penalty on the scale of a sum over all pairs, or 'auto'."
        check_number("regularization", model.regularization, 0.0, advice=advice)
    check_number("tol", model.tol, 0.0)
    if model.max_iter is not None:
        check_whole("max_iter", model.max_iter)
    check_choice("dtype", model.dtype, ("float32", "float64"))


def check_rank(n_factors: int, clicks: Any, can_fill: bool) -> None:
    """Raise if there are more factors than rows or columns; warn if some must stay empty.

    Parameters
    ----------
    n_factors : int
    clicks : csr_matrix
    can_fill : bool
        Whether users and items without a click can use factors, too.
    """
    least = min(clicks.shape)
    if n_factors > least:
        raise ValueError(
            f"n_factors={n_factors} is above {least:,}, the number of "
            f"{'users' if clicks.shape[0] == least else 'items'}: scores cannot have a higher rank "
            f"than that. Choose n_factors={least} or fewer."
        )
    if can_fill:
        return
    n_items = int(np.count_nonzero(np.bincount(clicks.indices, minlength=clicks.shape[1])))
    rank = min(int(np.count_nonzero(np.diff(clicks.indptr))), n_items)
    if n_factors > rank:
        warnings.warn(
            f"n_factors={n_factors}, but the clicks of {np.count_nonzero(np.diff(clicks.indptr)):,}"
            f" users on {n_items:,} items have rank {rank} at most; the other "
            f"{n_factors - rank} factors stay zero.",
            RankWarning,
            stacklevel=4,
        )


def resolve_solver(model: Any) -> str:
    """Return the solver of a loss, or raise if it cannot do what is asked."""
    check_choice("loss", model.loss, tuple(SOLVERS))
    allowed = SOLVERS[model.loss]
    solver = allowed[0] if model.solver == "auto" else model.solver
    if solver not in allowed:
        raise ValueError(
            f"solver={solver!r} does not minimise loss={model.loss!r}; choose 'auto' or one of "
            f"{', '.join(map(repr, allowed))}."
        )
    if model.class_balance and solver in ("svd", "mm"):
        others = ", ".join(repr(name) for name in allowed if name not in ("svd", "mm"))
        raise ValueError(
            f"solver={solver!r} cannot weigh clicks by class_balance; choose one of {others}."
        )
    if solver == "svd" and model.fit_bias:
        raise ValueError("solver='svd' has no biases; choose fit_bias=False or solver='als'.")
    if model.item_weighted and (solver != "als" or model.class_balance):
        raise ValueError(
            "item_weighted=True needs loss='squared', solver='als' and class_balance=False; the "
            "other solvers have no weights of items."
        )
    return solver
