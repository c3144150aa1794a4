"""The two versions of the data that the estimating equation compares: predicted and gold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..validation import column_positions
from .numerics import Sample
from .targets import Target

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
# A change made to the raw covariates (array or frame) before they become a design.
Edit = Callable[[Any], Any]
INTERCEPT = "intercept"


@dataclass(frozen=True)
class Outcome:
    """The left-hand side of a model.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Numbers, or positions of classes; NaN on rows that are not labelled.
    n_classes : int
        More than 2 makes it a matrix of indicators of all classes but the first.
    """

    values: Array
    n_classes: int = 0

    def gold(self, rows: Codes) -> Array:
        """Return the known outcome of some rows, shape (m,) or (m, J - 1)."""
        values = self.values[rows]
        if self.n_classes <= 2:
            return values
        return (values[:, None] == np.arange(1, self.n_classes)).astype(float)

    def predicted(self, target: Target, columns: Array) -> Array:
        """Return the predicted outcome of all rows, shape (n,) or (n, J - 1)."""
        if self.n_classes <= 2:
            return columns[:, 0]
        return target.probabilities(columns)[:, 1:]


class Versions(ABC):
    """Data of one fit, from which both versions of the design and the outcome are made.

    Attributes
    ----------
    targets : tuple of Target
        What is predicted; empty if every row is labelled.
    has_intercept : bool
        Whether column 0 of the design is the constant.
    instrument_names : tuple of str
        Names of the excluded instruments, the last columns of the instruments.
    """

    targets: tuple[Target, ...]
    has_intercept: bool

    instrument_names: tuple[str, ...]

    @property
    @abstractmethod
    def terms(self) -> tuple[str, ...]:
        """Names of the columns of the design."""

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Number of rows."""

    @property
    @abstractmethod
    def shares_design(self) -> bool:
        """Whether nothing but the outcome is predicted, so that both versions share a design."""

    @abstractmethod
    def frame_design(self) -> Array | None:
        """Return the design of all rows if both versions share it."""

    @abstractmethod
    def gold(self, rows: Codes, edit: Edit | None = None) -> Sample:
        """Return rows whose gold values are all known."""

    @abstractmethod
    def predicted(self, predictions: Array, edit: Edit | None = None) -> Sample:
        """Return all rows with predictions, shape (n, n_columns), in the place of gold values."""

    # ------------------------------------------------------------------ changing raw covariates

    @property
    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """Names of the raw covariates."""

    def levels_of(self, variable: str) -> tuple[Any, ...] | None:
        """Return the categories of a variable, the reference first; None for a number."""
        del variable
        return None

    @abstractmethod
    def known_values(self, variable: str) -> Array:
        """Return the known values of a numeric variable."""

    @abstractmethod
    def shifted(self, variable: str, delta: float) -> Edit:
        """Return the edit that adds a number to a numeric variable."""

    @abstractmethod
    def set_to(self, variable: str, value: Any) -> Edit:
        """Return the edit that gives a variable one value on all rows."""

    @abstractmethod
    def design_of(self, rows: Any) -> Array:
        """Return the columns of the model for new raw covariates, everything being known."""

    @abstractmethod
    def is_own(self, rows: Any) -> bool:
        """Whether raw covariates are those of the fit, unknown values included."""

    # ------------------------------------------------------------------ learning and labels

    @property
    def is_ready(self) -> bool:
        """Whether designs can be made; some need to see the predictions first."""
        return True

    def learn(self, predictions: Array) -> Versions:
        """Return these versions after seeing all predictions, shape (n_repeats, n, n_columns)."""
        del predictions
        return self

    @property
    @abstractmethod
    def predicted_covariates(self) -> tuple[str, ...]:
        """Names of the predicted variables that are not the outcome."""

    @abstractmethod
    def variable(self, name: str) -> Any:
        """Return a variable of the data by its name, shape (n,).

        Raises
        ------
        ValueError
            If there is none.
        """

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows have a gold value of every target."""
        known = np.ones(self.n_rows, dtype=bool)
        for target in self.targets:
            known &= target.is_labelled
        return known

    def split(self, predictions: Array) -> dict[str, Array]:
        """Return the columns of predictions of each target."""
        ends = np.cumsum([target.n_columns for target in self.targets])
        parts = np.split(predictions, ends[:-1], axis=1) if len(ends) else []
        return {target.name: part for target, part in zip(self.targets, parts, strict=True)}


@dataclass(frozen=True)
class MatrixVersions(Versions):
    """Covariates as a matrix: every column is a term.

    Attributes
    ----------
    covariates : ndarray of shape (n, p)
        NaN in predicted columns where they are not labelled.
    names : tuple of str
    outcome : Outcome
    targets : tuple of Target
    columns : dict
        Positions of predicted columns, by the name of their target.
    has_intercept : bool
    instruments : ndarray of shape (n, l), or None
        Excluded instruments.
    instrument_names : tuple of str
    endogenous : tuple of int
        Columns that are not instruments for themselves.
    """

    covariates: Array
    names: tuple[str, ...]
    outcome: Outcome
    targets: tuple[Target, ...]
    columns: dict[str, int]
    has_intercept: bool
    instruments: Array | None = None
    instrument_names: tuple[str, ...] = ()
    endogenous: tuple[int, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns of the design."""
        return (INTERCEPT, *self.names) if self.has_intercept else self.names

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.covariates)

    @property
    def shares_design(self) -> bool:
        """Whether nothing but the outcome is predicted."""
        return not self.columns

    @property
    def predicted_covariates(self) -> tuple[str, ...]:
        """Names of the predicted variables that are not the outcome."""
        return tuple(self.columns)

    def variable(self, name: str) -> Array:
        """Return a column of X."""
        return self.covariates[:, column_positions(name, self.names, "X")[0]]

    @cached_property
    def _design(self) -> Array:
        return self._with_intercept(self.covariates)

    def frame_design(self) -> Array | None:
        """Return the design of all rows if both versions share it."""
        return self._design if self.shares_design else None

    def _with_intercept(self, matrix: Array) -> Array:
        if not self.has_intercept:
            return matrix
        return np.hstack([np.ones((len(matrix), 1)), matrix])

    def gold(self, rows: Codes, edit: Edit | None = None) -> Sample:
        """Return rows whose gold values are all known."""
        if edit is None and self.shares_design:
            design = self._design[rows]
        else:
            matrix = self.covariates[rows]
            design = self._with_intercept(matrix if edit is None else edit(matrix))
        excluded = None if self.instruments is None else self.instruments[rows]
        return Sample(design, self.outcome.gold(rows), self._exogenous(design, excluded))

    def predicted(self, predictions: Array, edit: Edit | None = None) -> Sample:
        """Return all rows with predictions in the place of gold values."""
        parts = self.split(predictions)
        if edit is None and self.shares_design:
            design = self._design
        else:
            matrix = self.covariates.copy() if self.columns else self.covariates
            for name, position in self.columns.items():
                matrix[:, position] = parts[name][:, 0]
            design = self._with_intercept(matrix if edit is None else edit(matrix))
        outcome = self._predicted_outcome(parts)
        return Sample(design, outcome, self._exogenous(design, self.instruments))

    def _predicted_outcome(self, parts: dict[str, Array]) -> Array:
        for target in self.targets:
            if target.name not in self.columns:
                return self.outcome.predicted(target, parts[target.name])
        return self.outcome.gold(np.arange(self.n_rows))

    def _exogenous(self, design: Array, excluded: Array | None) -> Array | None:
        if excluded is None:
            return None
        first = int(self.has_intercept)
        kept = np.delete(design, [first + j for j in self.endogenous], axis=1)
        return np.hstack([kept, excluded])

    # ------------------------------------------------------------------ changing raw covariates

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the raw covariates."""
        return self.names

    def known_values(self, variable: str) -> Array:
        """Return the known values of a variable."""
        column = self.covariates[:, self.names.index(variable)]
        return column[~np.isnan(column)]

    def shifted(self, variable: str, delta: float) -> Edit:
        """Return the edit that adds a number to a variable."""
        return self._edited(variable, lambda column: column + delta)

    def set_to(self, variable: str, value: Any) -> Edit:
        """Return the edit that gives a variable one value on all rows."""
        return self._edited(variable, lambda column: np.full_like(column, value))

    def _edited(self, variable: str, change: Callable[[Array], Array]) -> Edit:
        position = self.names.index(variable)

        def edit(matrix: Array) -> Array:
            edited = matrix.copy()
            edited[:, position] = change(matrix[:, position])
            return edited

        return edit

    def design_of(self, rows: Array) -> Array:
        """Return the columns of the model for new covariates, everything being known."""
        return self._with_intercept(rows)

    def is_own(self, rows: Array) -> bool:
        """Whether covariates are those of the fit, unknown values included."""
        return np.array_equal(rows, self.covariates, equal_nan=True)
