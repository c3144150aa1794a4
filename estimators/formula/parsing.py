"""Reading a formula: its parts, the columns they use, and what cannot be said."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

import pandas as pd

from ..validation import did_you_mean
from .columns import is_number
from .language import Expression, hide_names, read_expression, show_names

_PLAIN_NAME = re.compile(r"[^\W\d][\w.]*")
_POWERS = ("**", "^")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True)
class FormulaColumns:
    """Columns of the data by their place in a formula, in order of appearance."""

    outcome: tuple[str, ...]
    design: tuple[str, ...]
    instruments: tuple[str, ...]
    fixed_effects: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Every column once."""
        everything = self.outcome + self.design + self.instruments + self.fixed_effects
        return tuple(dict.fromkeys(everything))


@dataclass(frozen=True)
class ParsedFormula:
    """Parts of a formula ``outcome ~ regressors | fixed effects | endogenous ~ instruments``.

    Attributes
    ----------
    text : str
        The whole formula.
    outcome, regressors : str
        The two sides as written. Unlike the right side, the outcome is arithmetic: ``y1 - y2``
        and ``y**2`` are a difference and a square.
    fixed_effects : tuple of tuples of str
        Columns of each effect; ``firm:year`` or ``firm^year`` is one effect of the combinations.
    endogenous, instruments : str
        The two sides of the instrument part as written; empty without one. Regressors are
        instruments too and are not repeated there.
    has_intercept : bool
        False after ``- 1`` or ``0 +``.
    outcome_columns, design_columns, instrument_columns : tuple of str
        Columns in order of appearance; the design stands for regressors and endogenous terms,
        instruments for the excluded ones.
    factor_columns : frozenset of str
        Columns that appear as ``C(column)``.
    """

    text: str
    outcome: str
    regressors: str
    fixed_effects: tuple[tuple[str, ...], ...]
    endogenous: str
    instruments: str
    has_intercept: bool
    outcome_columns: tuple[str, ...]
    design_columns: tuple[str, ...]
    instrument_columns: tuple[str, ...]
    factor_columns: frozenset[str]

    @property
    def fixed_effect_columns(self) -> tuple[str, ...]:
        """Columns of all fixed effects."""
        return tuple(dict.fromkeys(name for effect in self.fixed_effects for name in effect))

    @property
    def outcome_column(self) -> str | None:
        """Name of the outcome where it is a plain column and no expression, else None."""
        (*names,) = self.outcome_columns
        written = show_names(hide_names(self.outcome))
        return written if names == [written] else None

    def columns(self, available: Iterable[str]) -> FormulaColumns:
        """Look the columns of the formula up among those of the data.

        Raises
        ------
        ValueError
            If one does not exist, or there are two of the same name.
        """
        available = list(available)
        found = FormulaColumns(
            self.outcome_columns,
            self.design_columns,
            self.instrument_columns,
            self.fixed_effect_columns,
        )
        for name in found.all:
            self._check_column(name, available)
        return found

    def select(self, frame: pd.DataFrame, column: str) -> pd.Series[Any]:
        """Return a column of the data, or raise if there is none or are two of that name."""
        self._check_column(column, list(frame.columns))
        return frame[column]

    def _check_column(self, name: str, available: list[str]) -> None:
        if name not in available:
            self.refuse(f"the data have no column {name!r}.{did_you_mean(name, available)}")
        if available.count(name) > 1:
            self.refuse(f"{available.count(name)} columns are named {name!r}; rename them.")

    def is_categorical(self, column: str, frame: pd.DataFrame) -> bool:
        """Whether a column stands for categories: it holds no numbers, or appears as ``C()``."""
        return column in self.factor_columns or not is_number(frame[column])

    def refuse(self, why: str) -> NoReturn:
        """Raise an error that quotes the formula."""
        _refuse(self.text, why)


def parse(text: str) -> ParsedFormula:
    """Read a formula.

    Parameters
    ----------
    text : str
        ``"y ~ x1 * x2 + C(g) | firm + year | t ~ z1 + z2"``. The second part (fixed effects) and
        the third (endogenous terms ~ excluded instruments) are optional. The right side is written
        as for R or formulaic: ``a + b``, ``a:b``, ``a * b``, ``(a + b)**2``, ``- 1``, ``I(x**2)``,
        ``log(x)``, ``center(x)``, ``scale(x)``, ``poly(x, 3)``, ``bs(x, df=5)``, ``cr(x, df=5)``,
        ``C(g, Treatment('b'))`` and row-wise functions of numpy such as ``np.maximum(x, 0)``. Names
        that are no plain words stand in backticks.

    Returns
    -------
    ParsedFormula

    Raises
    ------
    ValueError
        If the formula cannot be read; the part at fault is quoted.

    Examples
    --------
    >>> formula = parse("log(wage) ~ age * C(region) | firm + year | school ~ distance")
    >>> formula.outcome, formula.regressors
    ('log(wage)', 'age * C(region)')
    >>> formula.fixed_effects
    (('firm',), ('year',))
    >>> formula.endogenous, formula.instruments
    ('school', 'distance')
    >>> formula.design_columns
    ('age', 'region', 'school')
    """
    if not isinstance(text, str):
        raise TypeError(f"A formula is a text such as 'y ~ x'; got a {type(text).__name__}.")
    parts = [part.strip() for part in _split(hide_names(text), "|")]
    outcome, regressors = _two_sides(text, parts[0])
    effects, endogenous, instruments = _further_parts(text, parts[1:])
    if outcome == ".":
        _refuse(text, "'.' is not supported; name the outcome.")
    left = [_read_python(text, outcome)]
    if left[0].factor:
        _refuse(text, f"the outcome {show_names(outcome, '`')!r} is named without C().")
    right = _read_terms(text, regressors)
    extra, excluded = (_read_terms(text, t, False) for t in (endogenous, instruments))
    parsed = ParsedFormula(
        text=text,
        outcome=show_names(outcome, "`"),
        regressors=show_names(regressors, "`"),
        fixed_effects=effects,
        endogenous=show_names(endogenous, "`"),
        instruments=show_names(instruments, "`"),
        has_intercept=any(str(term) == "1" for term in terms_of(text, regressors)),
        outcome_columns=_columns(left),
        design_columns=_columns(right + extra),
        instrument_columns=_columns(excluded),
        factor_columns=frozenset(_columns([e for e in right + extra + excluded if e.factor])),
    )
    _check_names(parsed, left + right + extra + excluded)
    _check_roles(parsed)
    return parsed


def _refuse(text: str, why: str) -> NoReturn:
    raise ValueError(f"Formula {text!r}: {why}")


# ---------------------------------------------------------------------- parts


def _split(text: str, mark: str) -> list[str]:
    """Split at a mark that stands neither in brackets nor in a string."""
    parts, start, depth, quote = [], 0, 0, ""
    for i, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _BRACKETS:
            depth += _BRACKETS[char]
        elif char == mark and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _two_sides(text: str, part: str) -> tuple[str, str]:
    sides = [side.strip() for side in _split(part, "~")]
    shown = show_names(part, "`")
    if len(sides) != 2:
        count = "no '~'" if len(sides) == 1 else f"{len(sides) - 1} times '~'"
        _refuse(text, f"{shown!r} has {count}; write outcome ~ regressors, as in 'y ~ x1 + x2'.")
    if not sides[0]:
        _refuse(text, f"nothing stands left of '~' in {shown!r}; name the outcome.")
    if not sides[1]:
        _refuse(text, f"nothing stands right of '~' in {shown!r}; write 'y ~ 1' for a mean.")
    return sides[0], sides[1]


def _further_parts(text: str, parts: list[str]) -> tuple[tuple[tuple[str, ...], ...], str, str]:
    is_instruments = ["~" in part for part in parts]
    if is_instruments not in ([], [False], [True], [False, True]):
        _refuse(
            text,
            "after the regressors come, each behind one '|', fixed effects and then instruments, "
            "as in 'y ~ x | firm + year | t ~ z1 + z2'.",
        )
    effects = () if is_instruments in ([], [True]) else _fixed_effects(text, parts[0])
    if not any(is_instruments):
        return effects, "", ""
    endogenous, instruments = (side.strip() for side in _split(parts[-1], "~")[:2])
    if parts[-1].count("~") != 1 or not endogenous or not instruments:
        shown = show_names(parts[-1], "`")
        _refuse(text, f"{shown!r} must be endogenous ~ instruments, as in 't ~ z1 + z2'.")
    return effects, endogenous, instruments


def _fixed_effects(text: str, part: str) -> tuple[tuple[str, ...], ...]:
    effects = []
    for item in part.split("+"):
        names = [name.strip() for name in re.split("[:^]", item)]
        if not all(_PLAIN_NAME.fullmatch(name) for name in names):
            _refuse(
                text,
                f"{show_names(item.strip(), '`')!r} is no fixed effect. Possible are columns "
                "(firm + year) and combinations of columns (firm:year or firm^year); names that "
                "are no plain words stand in backticks.",
            )
        effects.append(tuple(show_names(name) for name in names))
    for i, effect in enumerate(effects):
        if len(set(effect)) < len(effect) or set(effect) in [set(e) for e in effects[:i]]:
            _refuse(text, f"the fixed effect {':'.join(effect)!r} repeats a column or an effect.")
    return tuple(effects)


# ---------------------------------------------------------------------- terms


def terms_of(text: str, side: str) -> list[Any]:
    """Return formulaic's terms of a side of the formula ``text``, lower orders first."""
    from formulaic import Formula, SimpleFormula

    terms = _understand(text, side, Formula)
    if not isinstance(terms, SimpleFormula):
        _refuse(text, f"{show_names(side, '`')!r} cannot be read as a sum of terms.")
    return list(terms)


def _understand(text: str, side: str, reader: Callable[[str], Any]) -> Any:
    from formulaic.errors import FormulaicError

    try:
        return reader(side)
    except (FormulaicError, SyntaxError) as error:
        reason = show_names(str(error).splitlines()[0]).rstrip(".")
        _refuse(text, f"{show_names(side, '`')!r} cannot be read ({reason}).")


def outcome_term(code: str) -> Any:
    """Return formulaic's term of an outcome, which is arithmetic and not a sum of terms."""
    from formulaic.parser.types import Factor, Term

    method = "lookup" if _PLAIN_NAME.fullmatch(code) else "python"
    return Term([Factor(code, eval_method=method)])


def _read_terms(text: str, side: str, intercept: bool = True) -> list[Expression]:
    """Read the expressions of a side, in order of appearance."""
    if not side:
        return []
    from formulaic.parser.algos.tokenize import tokenize

    expressions, before = [], ""
    for token in _understand(text, side, lambda code: list(tokenize(code))):
        kind, word = token.kind.value, token.token
        if kind == "name":
            expressions.append(Expression((word,), frozenset()))
        elif kind == "python":
            expressions.append(_read_python(text, word))
        elif kind == "value" and before not in _POWERS:
            _check_value(text, side, word, intercept)
        elif word in _POWERS and before != ")":
            base = show_names(before, "`")
            _refuse(
                text,
                f"'{base} {word}' is no power among terms, where it would stand for {base} itself; "
                f"write I({base}**2).",
            )
        before = word
    terms_of(text, side)  # the operators between the expressions
    return expressions


def _check_value(text: str, side: str, word: str, intercept: bool) -> None:
    if word == ".":
        _refuse(text, "'.' is not supported; name the columns.")
    if word not in ("0", "1"):
        _refuse(text, f"{word!r} among terms is no factor; write products as in I({word} * x).")
    if not intercept:
        _refuse(text, f"the intercept is not set in {show_names(side, '`')!r}; leave {word!r} out.")


def _read_python(text: str, code: str) -> Expression:
    if _PLAIN_NAME.fullmatch(code):  # may hold a dot, which is none of Python's here
        return Expression((code,), frozenset())
    try:
        return read_expression(code)
    except ValueError as error:
        _refuse(text, str(error))


def _columns(expressions: list[Expression]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(show_names(name) for e in expressions for name in e.columns))


def _check_names(parsed: ParsedFormula, expressions: list[Expression]) -> None:
    functions = {name for expression in expressions for name in expression.functions}
    for name in _columns(expressions):
        if name in functions:
            parsed.refuse(f"{name!r} is a column and a function at once; rename the column.")


def _check_roles(parsed: ParsedFormula) -> None:
    right = {*parsed.design_columns, *parsed.instrument_columns, *parsed.fixed_effect_columns}
    if right.issuperset(parsed.outcome_columns):
        parsed.refuse(f"the outcome {parsed.outcome!r} stands on the right side too.")
    sides = {
        "a regressor": parsed.regressors,
        "endogenous": parsed.endogenous,
        "an excluded instrument": parsed.instruments,
    }
    roles: dict[Any, str] = {}
    for role, side in sides.items():
        for term in terms_of(parsed.text, hide_names(side)) if side else []:
            if term in roles and str(term) != "1":
                parsed.refuse(f"{show_names(str(term))!r} is both {roles[term]} and {role}.")
            roles[term] = role
    if not roles and not parsed.fixed_effects:
        parsed.refuse("no term is left on the right side; write 'y ~ 1' for a mean.")
