"""Cells of a simulation study: what a grid may hold, and the identity of each cell."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from .schema import RESERVED

Value: TypeAlias = "bool | int | float | str | tuple[Value, ...] | None"
Grid: TypeAlias = Mapping[str, Iterable[Any]] | Sequence[Mapping[str, Any]] | None

_SCALARS = (bool, int, float, str, type(None))
_ADVICE = (
    "A value of a grid becomes a column of the frame and part of the seed, so it is a number, a "
    "text, True, False, None, or a tuple of these."
)


@dataclass(frozen=True)
class Cell:
    """One combination of parameters.

    Attributes
    ----------
    params : dict
        Arguments of the generator.
    digest : str
        32 hexadecimal digits that depend on names, types and values of the parameters only.
    """

    params: Mapping[str, Value]
    digest: str


def expand(grid: Grid) -> tuple[Cell, ...]:
    """Return the cells of a grid in its order.

    Parameters
    ----------
    grid : dict of str to list, list of dict, or None
        The product of the lists, the last one running fastest; the cells themselves; or a single
        cell without parameters.

    Raises
    ------
    TypeError
        If a value is not one that a cell can hold.
    ValueError
        If a name is reserved, a list is empty, cells differ in their names, or two are the same.

    Examples
    --------
    >>> from trueness.simulations.study.grid import expand
    >>> [dict(cell.params) for cell in expand({"n": [50, 100], "tail": ["normal", "t"]})]
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'n': 50, 'tail': 'normal'}, {'n': 50, 'tail': 't'},
     {'n': 100, 'tail': 'normal'}, {'n': 100, 'tail': 't'}]
    """
    cells = tuple(Cell(params, digest(params)) for params in _combinations(grid))
    repeated = labels(cells).duplicated(keep=False) if cells[0].params else pd.Series([False])
    if repeated.any():
        first = next(cell for cell, again in zip(cells, repeated, strict=True) if again)
        raise ValueError(
            f"The grid holds the cell {describe(first.params)} {int(repeated.sum())} times, or "
            "cells that look the same in a column of the frame (1, 1.0 and '1'); keep one of them."
        )
    return cells


def digest(params: Mapping[str, Value]) -> str:
    """Hash parameters by content: the order of the names does not matter, types do."""
    content = [[name, canonical(params[name])] for name in sorted(params)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def canonical(value: Value) -> list[Any]:
    """Return a value with its type, as JSON can write it."""
    if isinstance(value, tuple):
        return ["tuple", [canonical(item) for item in value]]
    return [type(value).__name__, repr(value)]


def labels(cells: Sequence[Cell]) -> pd.DataFrame:
    """Return the parameters as columns, one row per cell.

    A column of booleans, of integers, of numbers or of texts has that type. One that mixes types,
    as ``[None, 200]``, or holds tuples, is text, which can be grouped by and written anywhere.
    """
    names = list(cells[0].params)
    columns = {name: _column([cell.params[name] for cell in cells]) for name in names}
    return pd.DataFrame(columns, index=range(len(cells)))


def describe(params: Mapping[str, Value]) -> str:
    """Return parameters as a reader writes them."""
    return ", ".join(f"{name}={value!r}" for name, value in params.items()) or "without parameters"


def _column(values: list[Value]) -> pd.Series[Any]:
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and kinds <= {bool, str}:
        return pd.Series(values)
    if kinds == {int} and all(abs(int(str(value))) < 2**63 for value in values):
        return pd.Series(values, dtype="int64")
    if kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series([str(value) for value in values])


def _combinations(grid: Grid) -> Iterator[dict[str, Value]]:
    if grid is None:
        yield {}
    elif isinstance(grid, Mapping):
        _check_names(grid)
        lists = [_listed(name, values) for name, values in grid.items()]
        for values in product(*lists):
            yield dict(zip(grid, values, strict=True))
    else:
        yield from _given(grid)


def _given(grid: Any) -> Iterator[dict[str, Value]]:
    cells = list(grid) if isinstance(grid, Sequence) and not isinstance(grid, str) else []
    if not cells or not all(isinstance(cell, Mapping) for cell in cells):
        raise TypeError(
            "The grid must be a dict of lists, as in {'n': [100, 200]}, or a list of dicts, one "
            f"per cell; got {grid!r:.80}."
        )
    names = list(cells[0])
    for number, cell in enumerate(cells):
        _check_names(cell)
        if set(cell) != set(names):
            raise ValueError(
                f"Cell {number} of the grid has the parameters {sorted(cell)} and cell 0 has "
                f"{sorted(names)}; give every cell all of them (None where one does not apply)."
            )
        yield {name: _value(name, cell[name]) for name in names}


def _check_names(names: Iterable[Any]) -> None:
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"{name!r} cannot be an argument of the generator; rename it.")
        if name in RESERVED:
            raise ValueError(
                f"{name!r} cannot be a parameter of the grid: tables of the study have a column "
                "or argument of that name. Rename it."
            )


def _listed(name: str, values: Any) -> list[Value]:
    if isinstance(values, str | bytes | Mapping | set | frozenset) or not hasattr(
        values, "__iter__"
    ):
        raise TypeError(
            f"The grid must list the values of {name!r} in order, as in {{{name!r}: [...]}}; got "
            f"{values!r:.80}."
        )
    listed = [_value(name, value) for value in values]
    if not listed:
        raise ValueError(f"The grid lists no value of {name!r}.")
    return listed


def _value(name: str, value: Any) -> Value:
    """Return a value of plain Python type, or say why it cannot be one."""
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) is tuple:
        return tuple(_value(name, item) for item in value)
    if type(value) not in _SCALARS:
        raise TypeError(f"The grid has {value!r:.80} as {name!r}. {_ADVICE} {_remedy(value)}")
    if isinstance(value, float) and math.isnan(value):
        raise TypeError(f"The grid has NaN as {name!r}, which equals no cell; write None.")
    return value


def _remedy(value: Any) -> str:
    if callable(value):
        return (
            "Put a name into the grid and look the function up inside the generator, as in "
            "{'normal': draw_normal, 't': draw_t}[tail]."
        )
    if isinstance(value, list | np.ndarray):
        return "Write a tuple."
    return "Put a name into the grid and look the object up inside the generator."
