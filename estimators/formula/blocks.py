"""Terms of a formula as blocks of columns: what is learned from formulaic, and what it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from .columns import Array, Mask, count_rows
from .language import UnusableValues, evaluation_context, read_expression, show_names

# Columns by the names they have in formulaic's frame.
Values = dict[str, Array | Mask | pd.Categorical]


@dataclass(frozen=True)
class Rows:
    """Columns of a set of rows, their labels for messages, and the levels of the columns."""

    values: Values
    index: pd.Index[Any]
    levels: Mapping[str, tuple[Any, ...]]

    def __len__(self) -> int:
        return len(self.index)

    def first(self, n_rows: int) -> Rows:
        """Return the first rows."""
        values = {name: column[:n_rows] for name, column in self.values.items()}
        return Rows(values, self.index[:n_rows], self.levels)

    def replace(self, values: Values) -> Rows:
        """Return the rows with other values in some columns."""
        return Rows(self.values | values, self.index, self.levels)


@dataclass(frozen=True)
class Block:
    """One term of a formula: the columns that it reads and those of the matrix that it gives.

    Attributes
    ----------
    term : str
    columns : tuple of str
        Columns of the data, as `Rows` names them.
    names : tuple of str
        Columns of the matrix.
    spec : formulaic.ModelSpec
        Of this term only, with everything learned.
    """

    term: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    spec: Any

    def evaluate(self, rows: Rows, possible: Mask | None = None) -> Array:
        """Compute the columns of the term.

        Parameters
        ----------
        rows : Rows
        possible : ndarray of shape (n,), default=None
            Rows that count; the others are set to zero, whatever the term gives there.

        Raises
        ------
        ValueError
            If a cell is not finite or the term cannot be computed.
        """
        cells: Array = np.asarray(
            _materialize(self.spec, self.term, self.columns, rows), dtype=float
        )
        if possible is not None:
            cells[~possible] = 0.0
        finite = np.isfinite(cells)
        if not finite.all():
            bad = np.asarray(~finite.all(axis=1))
            first = int(np.flatnonzero(bad)[0])
            cell = cells[first][~finite[first]][0]
            inputs = ", ".join(
                f"{show_names(name)} = {np.asarray(rows.values[name][first : first + 1])[0]}"
                for name in self.columns
            )
            raise ValueError(
                f"{self.term!r} is not finite on {count_rows(bad, rows.index)}: it is {cell} where "
                f"{inputs}. Remove these rows or change the term."
            )
        return cells


def columns_of(terms: Sequence[Any]) -> tuple[str, ...]:
    """Return the columns that formulaic's terms read, as formulaic sees their names."""
    factors = [factor for term in terms for factor in term.factors]
    return tuple(dict.fromkeys(name for factor in factors for name in _factor_columns(factor)))


def _factor_columns(factor: Any) -> tuple[str, ...]:
    method = factor.eval_method.value
    if method == "literal":
        return ()
    return (factor.expr,) if method == "lookup" else read_expression(factor.expr).columns


def learn_factors(terms: Sequence[Any], rows: Rows) -> dict[str, Any]:
    """Learn means, knots and the like on all rows; return formulaic's state by expression.

    What learns nothing is tried on a few rows, so that an error names it and not a whole formula.
    """
    from formulaic.parser.types import Term

    state: dict[str, Any] = {}
    factors = {factor.expr: factor for term in terms for factor in term.factors}
    for factor in factors.values():
        code = factor.eval_method.value == "python"
        learns = code and read_expression(factor.expr).is_learned
        spec = _specification([Term([factor])], state)
        name, columns = show_names(factor.expr), _factor_columns(factor)
        matrix = _materialize(spec, name, columns, rows if learns else rows.first(2))
        state.update(matrix.model_spec.transform_state)
    return state


def learn_blocks(terms: Sequence[Any], state: dict[str, Any], rows: Rows) -> list[Block]:
    """Learn the coding of all terms of one matrix together.

    Levels are known from the columns and transforms by `learn_factors`, so that a few rows tell
    all about the columns of the matrix.
    """
    if not terms:
        return []
    spec = _specification(terms, state)
    label = " + ".join(show_names(str(term)) for term in terms)
    learned = _materialize(spec, label, columns_of(terms), rows.first(2)).model_spec
    return [_block(learned, entry) for entry in learned.structure if entry.columns]


def _block(learned: Any, entry: Any) -> Block:
    spec = learned.update(formula=_sum([entry.term]), structure=[entry])
    if str(entry.term) == "1":
        return Block("intercept", (), ("intercept",), spec)
    names = tuple(show_names(name) for name in entry.columns)
    return Block(show_names(str(entry.term)), columns_of([entry.term]), names, spec)


def _sum(terms: Sequence[Any]) -> Any:
    from formulaic import SimpleFormula

    return SimpleFormula(terms, _ordering="none")


def _specification(terms: Sequence[Any], state: dict[str, Any]) -> Any:
    from formulaic import ModelSpec

    # Nothing is ignored: columns are complete, arguments of what is learned are checked, and cells
    # too, with the names of rows that formulaic's own check does not give.
    return ModelSpec(_sum(terms), na_action="ignore", output="numpy", transform_state=dict(state))


def _materialize(spec: Any, term: str, columns: Sequence[str], rows: Rows) -> Any:
    from formulaic.materializers import PandasMaterializer

    # formulaic aligns by labels, which rows of a user may share.
    index = pd.RangeIndex(len(rows))
    frame = pd.DataFrame({name: rows.values[name] for name in columns}, index=index, copy=False)
    try:
        with np.errstate(all="ignore"):  # what is not finite is found in the result
            context = evaluation_context(rows.levels)
            return PandasMaterializer(frame, context=context).get_model_matrix(spec)
    except Exception as error:  # a formula may call anything; people need its term and rows
        raise ValueError(f"{term!r} {_reason(error, rows.index)}") from error


def _reason(error: Exception, index: pd.Index[Any]) -> str:
    cause = error.__cause__ or error
    if isinstance(cause, UnusableValues):
        return f"fails: {cause.problem} on {count_rows(cause.rows, index)}; {cause.advice}."
    words = show_names(str(cause)).partition("\n")[0].rstrip(".")
    return f"cannot be computed ({type(cause).__name__}: {words})."
