"""The protocol of a study under the headings of ADEMP (Morris, White and Crowther 2019)."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from math import sqrt
from typing import Any

from .grid import Cell

_WIDTH = 96
_INDENT = 26
_LEVEL = 0.95


def write_protocol(
    *,
    aims: str,
    generate: Any,
    cells: Sequence[Cell],
    estimands: Mapping[str, str],
    methods: Mapping[str, Any],
    n_replicates: int,
    random_state: int,
) -> str:
    """Return the protocol as text."""
    error = 100 * sqrt(_LEVEL * (1 - _LEVEL) / n_replicates)
    entries = {
        "Aims": [aims or "(not stated: pass aims=)"],
        "Data-generating mechanism": [_headline(generate), *_parameters(cells)],
        "Estimands": _estimands(estimands),
        "Methods": [f"{name}: {_headline(method)}" for name, method in methods.items()],
        "Performance measures": [
            "those of trueness.simulations.performance, each with its Monte Carlo standard error"
        ],
        "Replicates": [
            f"{n_replicates:,} per cell, {n_replicates * len(cells):,} in all, random_state="
            f"{random_state}; the Monte Carlo standard error of a coverage of {_LEVEL:.0%} is "
            f"{error:.2f} percentage points"
        ],
    }
    return "\n".join(["Simulation study", *(_entry(*entry) for entry in entries.items())])


def _entry(heading: str, lines: Sequence[str]) -> str:
    first, others = " " * (_INDENT + 2), " " * (_INDENT + 4)
    paragraphs = [
        textwrap.fill(line, _WIDTH, initial_indent=first, subsequent_indent=others)
        for line in lines
    ]
    return "  " + heading.ljust(_INDENT) + "\n".join(paragraphs).lstrip()


def _parameters(cells: Sequence[Cell]) -> list[str]:
    lines = []
    for name in cells[0].params:
        values = dict.fromkeys(repr(cell.params[name]) for cell in cells)
        lines.append(f"{name} = {', '.join(values)}")
    return [*lines, f"{len(cells)} cell{'s' * (len(cells) > 1)}"]


def _estimands(estimands: Mapping[str, str]) -> list[str]:
    if not estimands:
        return ["every term in the truth of the generator"]
    return [f"{term}: {text}" if text else term for term, text in estimands.items()]


def _headline(thing: Any) -> str:
    """Return what something is: an estimator with its parameters, a function with its summary."""
    if not callable(thing):
        return " ".join(repr(thing).split())
    function = thing.func if isinstance(thing, partial) else thing
    name = getattr(function, "__name__", type(function).__name__)
    summary = (inspect.getdoc(function) or "").strip().split("\n\n")[0]
    return f"{name}: {' '.join(summary.split())}" if summary else name
