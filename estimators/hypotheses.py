"""Linear hypotheses: reading them, testing them, and derivatives for the delta method."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Constraints(NamedTuple):
    """Linear restrictions ``matrix @ params = target``, as texts, and whether given as such."""

    matrix: Array
    target: Array
    texts: tuple[str, ...]
    is_text: bool


def read_constraints(
    hypothesis: Any, value: ArrayLike | None, names: tuple[str, ...]
) -> Constraints:
    """Read a hypothesis given as text, texts, or a matrix and its values.

    Raises
    ------
    ValueError
        If the text cannot be read, names an unknown term, or the matrix has the wrong width.
    """
    if isinstance(hypothesis, str):
        hypothesis = [hypothesis]
    if isinstance(hypothesis, Sequence) and any(isinstance(item, str) for item in hypothesis):
        if value is not None:
            raise ValueError("Write the value into the text, as in 'x1 = 1'; value= is for arrays.")
        parts = [_parse(text, names) for text in hypothesis]
        matrix, target = np.vstack([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
        return Constraints(matrix, target, tuple(hypothesis), is_text=True)
    if np.size(hypothesis) == 0:
        raise ValueError("The hypothesis is empty; write a restriction such as 'x1 = 0'.")
    matrix = np.atleast_2d(np.asarray(hypothesis, dtype=float))
    if matrix.ndim != 2 or matrix.shape[1] != len(names):
        raise ValueError(
            f"The matrix of weights has shape {matrix.shape}; it needs {len(names)} columns, one "
            f"for each of {list(names)}."
        )
    target = np.zeros(len(matrix)) if value is None else np.atleast_1d(np.asarray(value, float))
    if target.shape != (len(matrix),):
        raise ValueError(f"{len(matrix)} restrictions need as many values, got {target.shape}.")
    texts = tuple(_row_text(row, q, names) for row, q in zip(matrix, target, strict=True))
    return Constraints(matrix, target, texts, is_text=False)


def _row_text(row: Array, target: float, names: tuple[str, ...]) -> str:
    terms = [f"{weight:+g} {name}" for weight, name in zip(row, names, strict=True) if weight]
    return f"{' '.join(terms) or '0'} = {target:g}"


def unquoted(text: str) -> str:
    """Return a text without the names in backticks."""
    return re.sub(r"`[^`]*`", "", text)


def _parse(text: str, names: tuple[str, ...]) -> tuple[Array, Array]:
    from formulaic.errors import FormulaicError
    from formulaic.utils.constraints import LinearConstraints

    plain = unquoted(text)
    if not text.strip():
        raise ValueError("The hypothesis is empty; write a restriction such as 'x1 = 0'.")
    # The parser reads "a = b = 0" as "a = b" and drops the rest, so chains are refused here.
    if any(part.count("=") > 1 for part in plain.split(",")):
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
    rank, statistic = len(gap), np.nan
    if np.isfinite(cov).all():
        # Scaled to unit diagonal, neither rank nor solution depends on the units.
        scale = np.sqrt(np.abs(np.diag(cov)))
        scale[scale == 0.0] = 1.0
        correlation = cov / np.outer(scale, scale)
        rank = int(np.linalg.matrix_rank(correlation, hermitian=True))
        if rank < len(gap):
            raise ValueError(
                f"The restrictions {null!r} are linearly dependent (rank {rank} of {len(gap)}), or "
                "their covariance is singular; drop the redundant ones."
            )
        statistic = float(gap / scale @ np.linalg.solve(correlation, gap / scale))
    if df is None:
        p_value = float(stats.chi2.sf(statistic, rank))
        return WaldTest(null, statistic, rank, np.inf, p_value)
    statistic /= rank
    return WaldTest(null, statistic, rank, df, float(stats.f.sf(statistic, rank, df)))


def numerical_jacobian(
    function: Callable[[Array], ArrayLike], point: Array, std_errors: Array
) -> Array:
    """Differentiate a function by central differences.

    Steps are eps^(1/3) of the larger of value and standard error, so that they follow the units
    of a parameter, and ten times smaller as long as the function is not finite at either end.
    """
    sizes = np.maximum(np.abs(point), np.nan_to_num(std_errors))
    steps = np.finfo(float).eps ** (1 / 3) * np.where(sizes > 0.0, sizes, 1.0)
    return np.column_stack([_slope(function, point, j, step) for j, step in enumerate(steps)])


def _slope(function: Callable[[Array], ArrayLike], point: Array, j: int, step: float) -> Array:
    offset = np.zeros_like(point)
    slope = np.array([np.nan])
    for _ in range(8):
        offset[j] = step
        with np.errstate(all="ignore"):
            ends = [np.asarray(function(point + s * offset), dtype=float) for s in (1, -1)]
            slope = np.atleast_1d((ends[0] - ends[1]) / (2.0 * step))
        if np.isfinite(slope).all():
            break
        step /= 10.0
    return slope
