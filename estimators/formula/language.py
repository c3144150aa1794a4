"""What the expressions of a formula may say: columns, row-wise functions, learned transforms.

Expressions such as ``log(x)`` or ``poly(x, 2)`` are Python, which formulaic evaluates. They are
read here as syntax trees first, so that only columns of the data and the functions below are ever
reached. Everything allowed works row by row, or learns its constants (means, knots) once: the value
of a row never depends on which other rows are evaluated with it.
"""

from __future__ import annotations

import ast
import functools
import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..validation import did_you_mean

ROW_WISE: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "log1p": np.log1p,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
# Row-wise functions of numpy that are no ufuncs, with the number of arguments before `out`.
NUMPY_FUNCTIONS = {"where": 3, "clip": 3, "round": 2, "isin": 2}
# Functions that are finite wherever their argument is.
TOTAL = ("I", "abs", "np.abs", "exp", "np.exp", "center")
NUMPY_CONSTANTS = ("pi", "e", "inf")
# What formulaic learns on the rows that it sees first.
LEARNED = ("center", "scale", "standardize", "poly", "bs", "cr", "cs", "cc")
CONTRASTS = ("Treatment", "Sum", "Helmert", "Diff", "Poly")
REGISTERED_CONTRASTS = ("treatment", "SAS", "sum", "helmert", "diff", "poly")

_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`""")
_HIDDEN = re.compile(r"__q([0-9a-f]+)__")


class UnusableValues(ValueError):
    """Values that a transform cannot take: what is wrong with them, on which rows, what to do."""

    def __init__(self, problem: str, rows: NDArray[np.bool_], advice: str) -> None:
        super().__init__(problem)
        self.problem, self.rows, self.advice = problem, rows, advice


# ---------------------------------------------------------------------- names in backticks


def hide_names(text: str) -> str:
    """Replace names in backticks by identifiers that spell them in hexadecimal digits.

    formulaic gives such names random aliases as soon as one occurs twice in an expression, and
    then does not find again what a transform has learned.
    """

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:  # a string constant
            return match.group()
        plain = name.isidentifier() and not keyword.iskeyword(name)
        return name if plain else f"__q{name.encode().hex()}__"

    return _QUOTED.sub(replace, text)


def show_names(text: str, quote: str = "") -> str:
    """Undo `hide_names`, with the names between quotes."""

    def replace(match: re.Match[str]) -> str:
        return f"{quote}{bytes.fromhex(match.group(1)).decode()}{quote}"

    return _HIDDEN.sub(replace, text)


# ---------------------------------------------------------------------- reading an expression


@dataclass(frozen=True)
class Expression:
    """What an expression is made of.

    Attributes
    ----------
    columns : tuple of str
        Names in order of appearance, as `hide_names` leaves them.
    functions : frozenset of str
    factor : bool
        Whether the expression is ``C(column)``.
    """

    columns: tuple[str, ...]
    functions: frozenset[str]
    factor: bool = False

    @property
    def is_learned(self) -> bool:
        """Whether a part of it has to be learned on a set of rows."""
        return not self.functions.isdisjoint(LEARNED)


def read_expression(code: str) -> Expression:
    """Read a Python expression without evaluating it.

    Raises
    ------
    ValueError
        If it is not Python, or holds anything but columns, numbers and the functions of this
        module.
    """
    try:
        body = ast.parse(code.strip(), mode="eval").body
    except SyntaxError:
        raise ValueError(f"{_quote(code)} cannot be read.") from None
    reader = _Reader(code)
    if isinstance(body, ast.Call) and ast.unparse(body.func) == "C":
        reader.read_factor(body)
        return Expression(tuple(reader.columns), frozenset(reader.functions), factor=True)
    reader.visit(body)
    if not reader.columns:
        raise ValueError(f"{_quote(code)} holds no column of the data.")
    return Expression(tuple(reader.columns), frozenset(reader.functions))


def _quote(code: str | ast.AST) -> str:
    text = code if isinstance(code, str) else ast.unparse(code)
    return repr(show_names(text, "`"))


class _Reader(ast.NodeVisitor):
    """Collects columns and functions; every kind of syntax not named here is refused."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.columns: dict[str, None] = {}  # an ordered set
        self.functions: set[str] = set()

    def refuse(self, why: str) -> ValueError:
        return ValueError(f"{_quote(self.code)}: {why}")

    def generic_visit(self, node: ast.AST) -> None:
        raise self.refuse(
            f"{_quote(node)} is not possible in a formula; compute a column of the data instead."
        )

    def visit_Name(self, node: ast.Name) -> None:
        self.columns[node.id] = None

    def visit_Constant(self, node: ast.Constant) -> None:
        pass

    def visit_List(self, node: ast.List) -> None:
        for element in node.elts:
            self.visit(element)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.generic_visit(node)
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitXor):
            raise self.refuse("a power is written **, as in x**2; ^ is none.")
        if not isinstance(node.op, (*_OPERATORS, ast.BitAnd, ast.BitOr)):
            self.generic_visit(node)
        self.visit(node.left)
        self.visit(node.right)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) > 1 or not isinstance(node.ops[0], _COMPARISONS):
            self.generic_visit(node)
        for side in (node.left, node.comparators[0]):
            self._check_finite(side)
            self.visit(side)

    def _check_finite(self, condition: ast.expr) -> None:
        """Refuse what may be NaN where it would count as false or true in silence."""
        for node in ast.walk(condition):
            division = isinstance(node, ast.BinOp) and not isinstance(
                node.op, (ast.Add, ast.Sub, ast.Mult, ast.BitAnd, ast.BitOr)
            )
            call = isinstance(node, ast.Call) and ast.unparse(node.func) not in TOTAL
            if division or call:
                raise self.refuse(
                    f"{_quote(node)} may be undefined on some rows, where a comparison would be "
                    "false in silence; compare columns themselves, or compute a column beforehand."
                )

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = ast.unparse(node)
        if name in [f"np.{constant}" for constant in NUMPY_CONSTANTS]:
            return
        raise self.refuse(
            f"{_quote(node)} is not possible in a formula; a column of that name goes into "
            f"backticks: `{name}`."
        )

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name in LEARNED:
            self._read_learned(node, name)
        else:
            self._check_row_wise(node, name)
            if name in ("np.where", "np.isin"):
                self._check_finite(node.args[0])
            for argument in node.args:
                self.visit(argument)
        self.functions.add(name.partition(".")[0] if name.startswith("np.") else name)

    def _read_learned(self, node: ast.Call, name: str) -> None:
        options = _Reader(self.code)
        for option in [*node.args[1:], *(item.value for item in node.keywords)]:
            options.visit(option)
        unpacked = any(item.arg is None or item.arg.startswith("_") for item in node.keywords)
        if not node.args or options.columns or options.functions or unpacked:
            raise self.refuse(
                f"{name}() takes one expression of columns first, and then numbers only."
            )
        self.visit(node.args[0])

    def _check_row_wise(self, node: ast.Call, name: str) -> None:
        most = 1 if name == "I" else _n_arguments(name)
        if most is None:
            raise self._unknown_function(name)
        # The argument after the last input is where numpy would write to.
        if node.keywords or not 0 < len(node.args) <= most:
            words = "one argument" if most == 1 else f"up to {most} arguments"
            raise self.refuse(f"{name}() takes {words}, without keywords.")

    def _unknown_function(self, name: str) -> ValueError:
        if name == "offset":
            return self.refuse("an offset() is not supported.")
        if name == "C":
            return self.refuse(
                "C() cannot stand inside another expression; use it as a term of its own or in an "
                "interaction, as in C(g):x."
            )
        if name.startswith("np.") and hasattr(np, name.removeprefix("np.")):
            return self.refuse(
                f"{name}() is not offered: it does not turn numbers into numbers row by row, so "
                "that a value would depend on other rows, or hide what is undefined. Use center(), "
                "scale() or a spline, which learn their constants once, or compute a column "
                "beforehand."
            )
        known = ["C", "I", *ROW_WISE, *LEARNED]
        return self.refuse(f"no function is named {name!r}.{did_you_mean(name, known)}")

    def read_factor(self, node: ast.Call) -> None:
        """Read ``C(column)`` or ``C(column, contrast)``."""
        self.functions.add("C")
        names = [item.arg for item in node.keywords]
        if names not in ([], ["contrasts"]) or not 0 < len(node.args) + len(names) <= 2:
            raise self.refuse(
                "C() takes the name of a column and a contrast. To order the levels, make the "
                "column a pandas categorical; to choose the reference, write C(g, Treatment('b'))."
            )
        if not node.args or not isinstance(node.args[0], ast.Name):
            raise self.refuse(
                "C() takes the name of a column; compute a column of the categories beforehand."
            )
        self.columns[node.args[0].id] = None
        for contrast in [*node.args[1:], *(item.value for item in node.keywords)]:
            self._check_contrast(contrast)

    def _check_contrast(self, node: ast.expr) -> None:
        if isinstance(node, ast.Call):
            name, arguments = (
                ast.unparse(node.func),
                [*node.args, *(k.value for k in node.keywords)],
            )
        elif isinstance(node, ast.Name | ast.Attribute):
            name, arguments = ast.unparse(node), []
        else:
            name, arguments = CONTRASTS[0], [node]  # weights as a list or dictionary
        known = [*CONTRASTS, *(f"contr.{item}" for item in REGISTERED_CONTRASTS)]
        if name not in known:
            raise self.refuse(f"no contrast is named {name!r}.{did_you_mean(name, known)}")
        self.functions.add(name.partition(".")[0])
        for argument in arguments:
            try:
                ast.literal_eval(argument)
            except ValueError:
                raise self.refuse(f"{_quote(argument)} is not a level or a number.") from None


def _n_arguments(name: str) -> int | None:
    """Return how many inputs a row-wise function takes, or None if there is no such function."""
    short = name.removeprefix("np.")
    function = ROW_WISE.get(name) if short == name else getattr(np, short, None)
    if isinstance(function, np.ufunc) and short not in ("fmax", "fmin"):
        # Row by row from numbers to a number, so that what is undefined stays NaN and is found.
        numeric = f"{'d' * function.nin}->d" in function.types and function.signature is None
        return function.nin if numeric else None
    return NUMPY_FUNCTIONS.get(short) if short != name else None


# ---------------------------------------------------------------------- evaluating expressions


def evaluation_context(levels: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Return all functions that expressions may call.

    Parameters
    ----------
    levels : mapping of str to tuple
        Levels of the columns that stand inside ``C()``, by their names in the evaluated frame.
    """
    from formulaic.transforms import TRANSFORMS

    learned = {name: _checked(name, TRANSFORMS[name]) for name in LEARNED}
    contrasts = {name: TRANSFORMS[name] for name in (*CONTRASTS, "contr")}
    base = {"np": np, "I": TRANSFORMS["I"], "C": functools.partial(_factor, levels)}
    return {**ROW_WISE, **learned, **contrasts, **base}


def _factor(levels: Mapping[str, tuple[Any, ...]], data: Any, contrasts: Any = None) -> Any:
    from formulaic.transforms import C

    if not isinstance(data.dtype, pd.CategoricalDtype):
        data = pd.Series(pd.Categorical(data, categories=list(levels[data.name])))
    known = data.cat.categories.tolist()
    reference = getattr(contrasts, "base", None)
    if isinstance(reference, str | int | float) and reference not in known:
        raise ValueError(f"{reference!r} is not among the levels {', '.join(map(repr, known))}")
    return C(data, contrasts)


def _checked(name: str, transform: Callable[..., Any]) -> Callable[..., Any]:
    """Let a learned transform refuse values that would spoil what it learns."""

    @functools.wraps(transform)
    def checked(data: Any, *args: Any, _state: Any = None, **options: Any) -> Any:
        if not isinstance(data, dict):
            _check_argument(name, data)
        try:
            return transform(data, *args, _state=_state, **options)
        except ValueError:
            _check_bounds(name, data, _state or {})
            raise

    return checked


def _check_argument(name: str, data: Any) -> None:
    values = np.asarray(data, dtype=float)
    bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if bad.any():
        raise UnusableValues(
            f"the argument of {name}() is not finite", bad, "it would spoil what is learned on all"
        )


def _check_bounds(name: str, data: Any, state: Mapping[str, Any]) -> None:
    if "lower_bound" not in state or "upper_bound" not in state:
        return
    lower, upper = float(state["lower_bound"]), float(state["upper_bound"])
    values = np.asarray(data, dtype=float)
    outside = (values < lower) | (values > upper)
    if outside.any():
        raise UnusableValues(
            f"the argument of {name}() lies outside the range [{lower:.6g}, {upper:.6g}] of the "
            "spline",
            outside,
            f"give {name}() a wider range by lower_bound= and upper_bound=, or say "
            "extrapolation='clip' or 'extend'",
        )
