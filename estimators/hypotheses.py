"""Linear hypotheses: reading them, testing them, and derivatives for the delta method."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WaldTest:
    """Outcome of a joint test of linear hypotheses.

    Attributes
    ----------
    null : str
        The hypothesis in words.
    statistic : float
        Chi-squared statistic, or F statistic if ``df_denominator`` is finite.
    df : int
        Number of restrictions.
    df_denominator : float
        Denominator degrees of freedom; infinite for the chi-squared test.
    p_value : float
    """

    null: str
    statistic: float
    df: int
    df_denominator: float
    p_value: float

    def __str__(self) -> str:
        reference = (
            f"chi2({self.df})"
            if np.isinf(self.df_denominator)
            else f"F({self.df}, {self.df_denominator:.4g})"
        )
        return f"H0: {self.null}\n{reference} = {self.statistic:.4f}, p = {self.p_value:.4g}"


def as_constraints(
    hypothesis: str | Sequence[str] | ArrayLike, value: ArrayLike | None, names: tuple[str, ...]
) -> tuple[Array, Array, str]:
    """Read a hypothesis as a matrix R, a vector q and a text.

    Raises
    ------
    ValueError
        If the text cannot be read, names an unknown term, or the matrix has the wrong width.
    """
    if isinstance(hypothesis, str):
        matrix, target = _parse(hypothesis, names)
        return matrix, target, hypothesis
    if all(isinstance(item, str) for item in hypothesis):
        texts = [str(item) for item in hypothesis]
        parts = [_parse(text, names) for text in texts]
        return (
            np.vstack([p[0] for p in parts]),
            np.concatenate([p[1] for p in parts]),
            ", ".join(texts),
        )
    matrix = np.atleast_2d(np.asarray(hypothesis, dtype=float))
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise ValueError(
            f"The matrix of weights has shape {matrix.shape}; it needs {len(names)} columns, one "
            f"for each of {list(names)}."
        )
    target = np.zeros(len(matrix)) if value is None else np.atleast_1d(np.asarray(value, float))
    if target.shape != (len(matrix),):
        raise ValueError(f"{len(matrix)} restrictions need as many values, got {target.shape}.")
    return (
        matrix,
        target,
        " and ".join(_row_text(row, q, names) for row, q in zip(matrix, target, strict=True)),
    )


def _row_text(row: Array, target: float, names: tuple[str, ...]) -> str:
    terms = [f"{weight:+g} {name}" for weight, name in zip(row, names, strict=True) if weight]
    return f"{' '.join(terms) or '0'} = {target:g}"


def _parse(text: str, names: tuple[str, ...]) -> tuple[Array, Array]:
    from formulaic.errors import FormulaicError
    from formulaic.utils.constraints import LinearConstraints

    # The parser reads "a = b = 0" as "a = b" and drops the rest, so chains are refused here.
    if any(part.count("=") > 1 for part in text.split(",")):
        raise ValueError(
            f"{text!r} chains several equations; separate them by commas, as in 'a = b, b = 0'."
        )
    try:
        constraints = LinearConstraints.from_spec(text, variable_names=list(names))
    except KeyError as error:
        unknown = str(error.args[0])
        near = difflib.get_close_matches(unknown, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"{text!r}: no term is named {unknown!r}.{hint} Terms: {list(names)}."
        ) from None
    except (FormulaicError, RuntimeError, SyntaxError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{text!r} is not a linear hypothesis such as 'x1 = x2' ({reason}). Put names that "
            "are not plain words into backticks."
        ) from None
    matrix = np.atleast_2d(np.asarray(constraints.constraint_matrix, dtype=float))
    return matrix, np.atleast_1d(np.asarray(constraints.constraint_values, dtype=float))


def wald_statistic(gap: Array, cov: Array, *, df: float | None, null: str) -> WaldTest:
    """Compute the Wald test of ``gap = 0`` where ``gap`` has covariance ``cov``."""
    rank = np.linalg.matrix_rank(cov, hermitian=True) if np.isfinite(cov).all() else len(gap)
    if rank < len(gap):
        raise ValueError(
            f"The restrictions {null!r} are linearly dependent (rank {rank} of {len(gap)}), or "
            "their covariance is singular; drop the redundant ones."
        )
    statistic = float(gap @ np.linalg.solve(cov, gap)) if np.isfinite(cov).all() else np.nan
    if df is None:
        return WaldTest(
            null, statistic, len(gap), np.inf, float(stats.chi2.sf(statistic, len(gap)))
        )
    statistic /= len(gap)
    return WaldTest(null, statistic, len(gap), df, float(stats.f.sf(statistic, len(gap), df)))


def numerical_jacobian(function: Callable[[Array], ArrayLike], point: Array) -> Array:
    """Differentiate a function by central differences with steps of eps^(1/3)."""
    steps = np.finfo(float).eps ** (1 / 3) * np.maximum(np.abs(point), 1.0)
    columns = []
    for j, step in enumerate(steps):
        offset = np.zeros_like(point)
        offset[j] = step
        up, down = (np.atleast_1d(np.asarray(function(point + s * offset), float)) for s in (1, -1))
        columns.append((up - down) / (2.0 * step))
    return np.column_stack(columns)
