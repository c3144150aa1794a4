"""Design matrices of a formula: learned on one set of rows, evaluated on any other."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from .blocks import Block, Rows, columns_of, learn_blocks, learn_factors
from .columns import Array, Column
from .language import hide_names, show_names
from .parsing import ParsedFormula, outcome_term, terms_of


@dataclass(frozen=True)
class Evaluated:
    """Arrays of a formula on n rows.

    Attributes
    ----------
    outcome : ndarray of shape (n,) or None
    design : ndarray of shape (n, k)
        Regressors, then endogenous columns.
    instruments : ndarray of shape (n, l) or None
        Regressors, then excluded instruments.
    """

    outcome: Array | None
    design: Array
    instruments: Array | None


class Designer:
    r"""Builds outcome, design and instruments of a formula with one shared specification.

    Whatever depends on a sample (levels of factors, means, knots and bounds of splines,
    orthogonal polynomials) is learned once, on ``frame``. Each later evaluation gives the same
    columns with the same meaning, or raises an error.

    Parameters
    ----------
    parsed : ParsedFormula
    frame : DataFrame
        Rows to learn from; no column that is used may have missing values.
    levels : mapping of str to sequence, default=None
        Levels of columns where they are known beforehand, whether or not they occur, in the order
        of the probabilities that `evaluate_expected` takes. Levels of other columns are those that
        occur in ``frame``: in the order of a pandas categorical, sorted otherwise. The first level
        is the reference.
    outcome : bool, default=True
        Whether to build the outcome too. Without it, ``frame`` needs no such column, and the column
        need not hold numbers.

    Attributes
    ----------
    terms : tuple of str
        Names of the k columns of the design, as formulaic gives them; the intercept, if any, is
        the first and called ``"intercept"``.
    instrument_terms : tuple of str
        Names of the l columns of the instruments; empty without an instrument part.
    has_intercept : bool
        Never true with fixed effects, which stand for it; factors are then coded as if there were
        one.
    n_exogenous : int
        How many columns design and instruments share: those of the regressors, first in both.
    levels : dict of str to tuple
        Levels of every column that has any.

    Raises
    ------
    ValueError
        If a column does not exist or cannot be used, a value is missing, or a function fails; the
        message names the column or the term, and rows by the labels of the frame.

    Examples
    --------
    >>> from trueness.formula import Designer, parse
    >>> frame = pd.DataFrame({"y": [1.0, 2.0, 4.0], "x": [0.0, 1.0, 5.0], "g": ["a", "b", "a"]})
    >>> designer = Designer(parse("log(y) ~ center(x) + C(g)"), frame)
    >>> designer.terms
    ('intercept', 'center(x)', 'C(g)[T.b]')
    >>> designer.evaluate(frame[:1]).design
    array([[ 1., -2.,  0.]])

    Probabilities of the levels in the place of one level:

    >>> designer.evaluate_expected(frame[:1], {"g": [[0.25, 0.75]]}).design
    array([[ 1.  , -2.  ,  0.75]])
    """

    def __init__(
        self,
        parsed: ParsedFormula,
        frame: pd.DataFrame,
        levels: Mapping[str, Sequence[Hashable]] | None = None,
        *,
        outcome: bool = True,
    ) -> None:
        if not len(frame):
            parsed.refuse("the frame has no rows to learn from.")
        self.parsed = parsed
        self.has_intercept = parsed.has_intercept and not parsed.fixed_effects
        regressors = _regressors(parsed)
        sides = _sides(parsed, regressors, outcome)
        self._columns = self._learn_columns(columns_of(_all(sides)), frame, levels)
        self.levels = {c.name: c.levels for c in self._columns.values() if c.levels is not None}
        self._blocks = self._learn_blocks(sides, frame)
        self.terms = self._names("design")
        self.instrument_terms = self._names("instruments")
        own = {show_names(str(term)) for term in regressors} | {"intercept"}
        self.n_exogenous = sum(len(b.names) for b in self._blocks["design"] if b.term in own)

    def evaluate(
        self, frame: pd.DataFrame, *, outcome: bool = True, instruments: bool = True
    ) -> Evaluated:
        """Evaluate the formula on the rows of a frame.

        Parameters
        ----------
        frame : DataFrame of n rows
        outcome, instruments : bool, default=True
            Whether to evaluate them; without them, their columns are not needed.

        Returns
        -------
        Evaluated
            Dense arrays of float64.

        Raises
        ------
        ValueError
            If a value is missing, a level was not learned, a cell is not finite, or a value lies
            outside the range of a spline.
        """
        return self.evaluate_expected(frame, {}, outcome=outcome, instruments=instruments)

    def evaluate_expected(
        self,
        frame: pd.DataFrame,
        probabilities: Mapping[str, ArrayLike],
        *,
        outcome: bool = True,
        instruments: bool = True,
    ) -> Evaluated:
        r"""Evaluate the expectation of the formula over categories known by their probabilities.

        .. math:: \sum_l p_{il} \, x_i(l),

        where :math:`x_i(l)` is row i of a matrix with the column at level l; with several such
        columns the sum runs over all combinations of levels, with products of probabilities
        (independence given the row). Dummies then hold probabilities, and interactions with x hold
        :math:`p_{il} x_i`. The sum is formed term by term, so that only levels which meet in one
        term are combined.

        Parameters
        ----------
        frame : DataFrame of n rows
            Its columns that ``probabilities`` names are not looked at.
        probabilities : mapping of str to array of shape (n, L)
            By column, in the order of ``levels[column]``. Each row should sum to one.
        outcome, instruments : bool, default=True
            As in `evaluate`.

        Returns
        -------
        Evaluated

        Raises
        ------
        ValueError
            As in `evaluate`; or if probabilities have a wrong shape or belong to a column without
            levels. At a level of probability zero a cell need not be finite.
        """
        sides = ["design", *["outcome"] * outcome, *["instruments"] * instruments]
        blocks = {side: self._blocks[side] for side in sides if side in self._blocks}
        rows = self._read(frame, blocks.values(), probabilities)
        arrays = {side: self._matrix(of, rows, probabilities) for side, of in blocks.items()}
        left = arrays.get("outcome")
        return Evaluated(
            outcome=None if left is None else left[:, 0],
            design=arrays["design"],
            instruments=arrays.get("instruments"),
        )

    # ------------------------------------------------------------------ learning

    def _learn_columns(
        self,
        names: Iterable[str],
        frame: pd.DataFrame,
        levels: Mapping[str, Sequence[Hashable]] | None,
    ) -> dict[str, Column]:
        columns = {}
        for name in names:
            shown = show_names(name)
            columns[name] = Column.learn(
                self.parsed.select(frame, shown),
                levels=(levels or {}).get(shown),
                is_factor=shown in self.parsed.factor_columns,
            )
        return columns

    def _learn_blocks(
        self, sides: Mapping[str, list[Any]], frame: pd.DataFrame
    ) -> dict[str, list[Block]]:
        values = {name: c.read(frame[c.name]) for name, c in self._columns.items()}
        rows = Rows(values, frame.index, self._levels())
        state = learn_factors(_all(sides), rows)
        blocks = {side: learn_blocks(terms, state, rows) for side, terms in sides.items()}
        if sum(len(block.names) for block in blocks.get("outcome", [])) > 1:
            self.parsed.refuse(
                f"the outcome {self.parsed.outcome!r} must be one column of numbers, but holds "
                "categories or several columns."
            )
        if self.parsed.fixed_effects:
            # The constant was there for the coding of the factors; the effects stand for it.
            blocks = {s: [b for b in of if b.term != "intercept"] for s, of in blocks.items()}
        return blocks

    def _levels(self) -> dict[str, tuple[Any, ...]]:
        return {name: c.levels for name, c in self._columns.items() if c.levels is not None}

    def _names(self, side: str) -> tuple[str, ...]:
        return tuple(name for block in self._blocks.get(side, []) for name in block.names)

    # ------------------------------------------------------------------ evaluating

    def _read(
        self,
        frame: pd.DataFrame,
        sides: Iterable[Sequence[Block]],
        probabilities: Mapping[str, ArrayLike],
    ) -> Rows:
        for name, given in probabilities.items():
            self._check_probabilities(name, given, len(frame))
        needed = {name for blocks in sides for block in blocks for name in block.columns}
        values = {
            name: column.read(self.parsed.select(frame, column.name))
            for name, column in self._columns.items()
            if name in needed and column.name not in probabilities
        }
        return Rows(values, frame.index, self._levels())

    def _check_probabilities(self, name: str, given: ArrayLike, n_rows: int) -> None:
        levels = self.levels.get(name)
        if levels is None:
            self.parsed.refuse(f"probabilities of {name!r}, which is no column with levels here.")
        shape, needed = np.shape(given), (n_rows, len(levels))
        if shape != needed:
            self.parsed.refuse(
                f"probabilities of {name!r} have shape {shape}, but {needed[0]:,} rows and "
                f"{needed[1]} levels {levels} need {needed}."
            )
        if not np.isfinite(np.asarray(given, dtype=float)).all():
            self.parsed.refuse(f"probabilities of {name!r} are missing or infinite on some rows.")

    def _matrix(
        self, blocks: Sequence[Block], rows: Rows, probabilities: Mapping[str, ArrayLike]
    ) -> Array:
        # Filled term by term: a whole matrix from formulaic would need twice the memory.
        matrix = np.empty((len(rows), sum(len(block.names) for block in blocks)))
        start = 0
        for block in blocks:
            stop = start + len(block.names)
            matrix[:, start:stop] = self._expectation(block, rows, probabilities)
            start = stop
        return matrix

    def _expectation(
        self, block: Block, rows: Rows, probabilities: Mapping[str, ArrayLike]
    ) -> Array:
        uncertain = [name for name in block.columns if show_names(name) in probabilities]
        if not uncertain:
            return block.evaluate(rows)
        shares = [np.asarray(probabilities[show_names(name)], dtype=float) for name in uncertain]
        total = np.zeros((len(rows), len(block.names)))
        for choice in itertools.product(*(range(share.shape[1]) for share in shares)):
            weights = [share[:, level] for share, level in zip(shares, choice, strict=True)]
            weight = np.prod(weights, axis=0)
            constants = {
                name: self._columns[name].constant(level, len(rows))
                for name, level in zip(uncertain, choice, strict=True)
            }
            cells = block.evaluate(rows.replace(constants), possible=weight != 0.0)
            total += weight[:, None] * cells
        return total


# ---------------------------------------------------------------------- sides of a formula


def _regressors(parsed: ParsedFormula) -> list[Any]:
    """Return the terms of the regressors, with a constant first where factors are coded for one."""
    constant = terms_of(parsed.text, "1") if parsed.has_intercept or parsed.fixed_effects else []
    terms = terms_of(parsed.text, hide_names(parsed.regressors))
    return [*constant, *(term for term in terms if str(term) != "1")]


def _sides(parsed: ParsedFormula, regressors: list[Any], outcome: bool) -> dict[str, list[Any]]:
    """Return formulaic's terms of each matrix."""
    endogenous, excluded = (
        [t for t in terms_of(parsed.text, hide_names(side)) if str(t) != "1"] if side else []
        for side in (parsed.endogenous, parsed.instruments)
    )
    sides = {"design": regressors + endogenous}
    if excluded:
        sides["instruments"] = regressors + excluded
    if outcome:
        sides["outcome"] = [outcome_term(hide_names(parsed.outcome))]
    return sides


def _all(sides: Mapping[str, list[Any]]) -> list[Any]:
    return [term for terms in sides.values() for term in terms]
