"""Both versions of the data from a formula and a frame."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..formula import Designer, Evaluated, ParsedFormula, parse
from ..validation import select_columns, to_pandas
from .numerics import Sample
from .targets import Target
from .versions import Edit, Outcome, Versions

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class SetTo:
    """The edit that gives a variable one value on all rows."""

    variable: str
    value: Any

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with the variable changed."""
        return frame.assign(**{self.variable: self.value})


@dataclass(frozen=True)
class Shift:
    """The edit that adds a number to a numeric variable.

    With ``within_range`` values at the ends are first moved inwards by the step, as splines end
    where the data end.
    """

    variable: str
    delta: float
    within_range: bool

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the frame with the variable changed."""
        values = frame[self.variable].to_numpy(dtype=float)
        if self.within_range:
            margin = abs(self.delta)
            values = np.clip(values, values.min() + margin, values.max() - margin)
        return frame.assign(**{self.variable: values + self.delta})


@dataclass(frozen=True)
class FormulaVersions(Versions):
    """Covariates as a frame that a formula turns into a design.

    All transformations are applied to predictions as to gold values, after predicting. What they
    learn from data (levels, means, knots) is learned once, on all predicted rows stacked with the
    labelled gold rows, so that columns mean the same in both versions and in all repeats.

    Attributes
    ----------
    parsed : ParsedFormula
    frame : DataFrame of n rows
        NaN in predicted columns where they are not labelled.
    targets : tuple of Target
    outcome : Outcome or None
        A categorical outcome; None where the left-hand side is a numeric expression.
    designer, outcome_designer : Designer or None
        None until the predictions are known, if they are needed.
    """

    parsed: ParsedFormula
    frame: pd.DataFrame
    targets: tuple[Target, ...]
    outcome: Outcome | None
    designer: Designer | None = None
    outcome_designer: Designer | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the columns of the design."""
        return self._ready.terms

    @property
    def has_intercept(self) -> bool:  # type: ignore[override]
        """Whether column 0 of the design is the constant."""
        return self._ready.has_intercept

    @property
    def instrument_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the excluded instruments."""
        return self._ready.instrument_terms[self._ready.n_exogenous :]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def shares_design(self) -> bool:
        """Whether nothing but the outcome is predicted."""
        used = {*self.parsed.design_columns, *self.parsed.instrument_columns}
        return not any(target.name in used for target in self.targets)

    @property
    def predicted_covariates(self) -> tuple[str, ...]:
        """Names of the predicted variables that are not the outcome."""
        return tuple(t.name for t in self.targets if t.name not in self.parsed.outcome_columns)

    def variable(self, name: str) -> pd.Series[Any]:
        """Return a column of the data that the formula uses."""
        return select_columns(self.frame, [name], "formula")[name]

    @property
    def is_ready(self) -> bool:
        """Whether designs can be made; some need to see the predictions first."""
        return self.designer is not None

    @property
    def _ready(self) -> Designer:
        if self.designer is None:
            raise RuntimeError("The design is not known before the predictions are.")
        return self.designer

    @property
    def _has_splines(self) -> bool:
        text = f"{self.parsed.regressors} {self.parsed.endogenous}"
        return re.search(r"\b(bs|cs|cc|cr)\(", text) is not None

    @property
    def _levels(self) -> dict[str, tuple[Any, ...]]:
        return {t.name: t.levels for t in self.targets if t.levels is not None}

    def learn(self, predictions: Array) -> FormulaVersions:
        """Return these versions after seeing all predictions, shape (n_repeats, n, n_columns)."""
        gold = self.frame[self.labelled]
        designer, outcome_designer = self.designer, self.outcome_designer
        needs_outcome = self.outcome is None and outcome_designer is None
        if needs_outcome and self.parsed.outcome_column is not None:
            outcome_designer = Designer(_outcome_alone(self.parsed), gold)
            needs_outcome = False
        if designer is None or needs_outcome:
            stacked = pd.concat([*(self._filled(part) for part in predictions), gold])
            if designer is None:
                designer = Designer(self.parsed, stacked, self._levels, outcome=False)
            if needs_outcome:
                outcome_designer = Designer(_outcome_alone(self.parsed), stacked)
        return replace(self, designer=designer, outcome_designer=outcome_designer)

    def learn_now(self) -> FormulaVersions:
        """Return these versions with what can be learned before there are predictions."""
        if not self.shares_design:
            return self
        designer = Designer(self.parsed, self.frame, outcome=False)
        outcome_designer = None
        if self.outcome is None and not self.targets:
            outcome_designer = Designer(_outcome_alone(self.parsed), self.frame)
        return replace(self, designer=designer, outcome_designer=outcome_designer)

    def frame_design(self) -> Array | None:
        """Return the design of all rows if both versions share it."""
        return self._shared.design if self.shares_design else None

    @cached_property
    def _shared(self) -> Evaluated:
        return self._ready.evaluate(self.frame, outcome=False)

    def gold(self, rows: Codes, edit: Edit | None = None) -> Sample:
        """Return rows whose gold values are all known."""
        frame = self.frame.iloc[rows]
        if edit is None and self.shares_design:
            shared = self._shared
            sides = Evaluated(
                None,
                shared.design[rows],
                None if shared.instruments is None else shared.instruments[rows],
            )
        else:
            sides = self._ready.evaluate(frame if edit is None else edit(frame), outcome=False)
        return Sample(sides.design, self._gold_outcome(frame, rows), sides.instruments)

    def _gold_outcome(self, frame: pd.DataFrame, rows: Codes) -> Array:
        if self.outcome is not None:
            return self.outcome.gold(rows)
        if self.outcome_designer is None:  # identification is checked before there are predictions
            return np.zeros(len(frame))
        return _left_side(self.outcome_designer, frame)

    def predicted(self, predictions: Array, edit: Edit | None = None) -> Sample:
        """Return all rows with predictions in the place of gold values."""
        frame = self._filled(predictions)
        if edit is None and self.shares_design:
            sides = self._shared
        else:
            parts = self.split(predictions)
            chances = {
                target.name: target.probabilities(parts[target.name])
                for target in self.targets
                if target.levels is not None
                and target.name in self._ready.levels
                and not (isinstance(edit, SetTo) and edit.variable == target.name)
            }
            edited = frame if edit is None else edit(frame)
            sides = self._ready.evaluate_expected(edited, chances, outcome=False)
        return Sample(sides.design, self._predicted_outcome(frame, predictions), sides.instruments)

    def _predicted_outcome(self, frame: pd.DataFrame, predictions: Array) -> Array:
        if self.outcome is None:
            assert self.outcome_designer is not None
            return _left_side(self.outcome_designer, frame)
        for target, part in zip(self.targets, self.split(predictions).values(), strict=True):
            if target.name in self.parsed.outcome_columns:
                return self.outcome.predicted(target, part)
        return self.outcome.gold(np.arange(self.n_rows))

    def _filled(self, predictions: Array) -> pd.DataFrame:
        """Return the frame with predictions; categories are filled with some known level."""
        parts = self.split(predictions)
        columns = {
            target.name: parts[target.name][:, 0] if target.levels is None else target.levels[0]
            for target in self.targets
        }
        return self.frame.assign(**columns)

    # ------------------------------------------------------------------ changing raw covariates

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the raw covariates."""
        return self.parsed.design_columns

    def levels_of(self, variable: str) -> tuple[Any, ...] | None:
        """Return the categories of a variable, the reference first; None for a number."""
        return self._ready.levels.get(variable)

    def known_values(self, variable: str) -> Array:
        """Return the known values of a numeric variable."""
        return self.frame[variable].dropna().to_numpy(dtype=float)

    def shifted(self, variable: str, delta: float) -> Edit:
        """Return the edit that adds a number to a numeric variable."""
        return Shift(variable, delta, self._has_splines)

    def set_to(self, variable: str, value: Any) -> Edit:
        """Return the edit that gives a variable one value on all rows."""
        return SetTo(variable, value)

    def read_rows(self, X: Any) -> pd.DataFrame:
        """Return new rows as a frame.

        Raises
        ------
        ValueError
            If they are an array without names.
        """
        frame = to_pandas(X)
        if not isinstance(frame, pd.DataFrame):
            raise ValueError(
                "X must be a frame with the variables of the formula "
                f"({', '.join(self.variables)}), got a {type(X).__name__}."
            )
        return frame

    def is_own(self, rows: Any) -> bool:
        """Whether raw covariates are those of the fit, unknown values included."""
        if not isinstance(rows, pd.DataFrame) or len(rows) != self.n_rows:
            return False
        names = list(self.variables)
        if not set(names) <= set(rows.columns):
            return False
        own = self.frame[names].reset_index(drop=True)
        return own.equals(rows[names].reset_index(drop=True))

    def design_of(self, frame: pd.DataFrame) -> Array:
        """Return the columns of the model for new rows, everything being known of them."""
        return self._ready.evaluate(frame, outcome=False, instruments=False).design


def _outcome_alone(parsed: ParsedFormula) -> ParsedFormula:
    return parse(f"{parsed.outcome} ~ 1")


def _left_side(designer: Designer, frame: pd.DataFrame) -> Array:
    outcome = designer.evaluate(frame).outcome
    assert outcome is not None
    return outcome
