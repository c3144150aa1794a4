"""One replicate: draw a sample, run every method on it, and write a row per term."""

from __future__ import annotations

import copy
import io
import math
import pickle
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter
from typing import Any

import cloudpickle
import pandas as pd
import pyarrow as pa

from .design import Design, ProtocolError, Row
from .fingerprint import package_versions
from .grid import Cell
from .isolation import isolated, recorded
from .schema import NUMBERS, SCHEMA
from .seeds import Seed

# Those of other packages (statsmodels has its own) share the name, not the class.
_CONVERGENCE = "ConvergenceWarning"


@dataclass(frozen=True)
class Piece:
    """Rows of consecutive replicates of one cell.

    Attributes
    ----------
    cell : str
        Digest of the cell.
    start, stop : int
        The replicates, ``stop`` not among them.
    table : pyarrow.Table
        Columns of the frame, without the parameters of the grid.
    """

    cell: str
    start: int
    stop: int
    table: Any


@dataclass(frozen=True)
class Task:
    """Consecutive replicates of one cell, to be run anywhere.

    Attributes
    ----------
    design : Design or bytes
        Pickled if it leaves the process.
    cell : Cell
    entropy : int
        Random state of the study.
    start, stop : int
        The replicates, ``stop`` not among them.
    """

    design: Design | bytes
    cell: Cell
    entropy: int
    start: int
    stop: int


def run_task(task: Task) -> tuple[Piece, float]:
    """Return the rows of a task and the seconds that they took."""
    began = perf_counter()
    design = _unpickled(task.design) if isinstance(task.design, bytes) else task.design
    rows: list[Row] = []
    with isolated():
        for number in range(task.start, task.stop):
            seed = Seed(task.entropy, task.cell.digest, number)
            rows += run_replicate(design, task.cell, seed)
    piece = Piece(task.cell.digest, task.start, task.stop, tabulate(rows))
    return piece, perf_counter() - began


def run_replicate(
    design: Design, cell: Cell, seed: Seed, *, raise_errors: bool = False
) -> list[Row]:
    """Return the rows of one replicate; a failed method is one row that says why.

    Parameters
    ----------
    design : Design
    cell : Cell
    seed : Seed
    raise_errors : bool, default=False
        Let exceptions through.

    Raises
    ------
    ProtocolError
        In replicate 0, if generator or methods do not deliver what a study needs. Later ones
        are failures like any other: a study that began well should not die in its third day.
    """
    attempt = _Attempt(raise_errors, fatal=ProtocolError if seed.replicate == 0 else ())
    facts = {"replicate": seed.replicate, "seed": str(seed)}
    data_stream, method_stream = seed.streams()

    def draw() -> tuple[Any, dict[str, Any]]:
        sample = design.draw(cell, data_stream)
        return sample, design.truth(sample, cell)

    drawn = attempt("generate: ", draw)
    if drawn.error:
        return [_failure(drawn, method=name, **facts) for name in design.methods]
    sample, truth = drawn.value
    rows: list[Row] = []
    for name in design.methods:
        # A method that changes the data must not change what the next one sees.
        own = copy.deepcopy(sample) if len(design.methods) > 1 else sample
        fitted = attempt("", design.rows, name, own, truth, method_stream)
        fitted = replace(fitted, warnings=drawn.warnings + fitted.warnings)
        try:
            rows += _successes(fitted, method=name, **facts)
        except (TypeError, ValueError) as error:  # an estimate that is no number
            failed = replace(fitted, error=_describe(error))
            rows.append(_failure(failed, method=name, **facts))
    return rows


@dataclass(frozen=True)
class _Outcome:
    """What a call returned or why it failed, and what happened on the way."""

    value: Any
    error: str
    warnings: tuple[str, ...]
    converged: bool
    seconds: float


@dataclass(frozen=True)
class _Attempt:
    """Calls that may fail."""

    raise_errors: bool
    fatal: type[Exception] | tuple[()]

    def __call__(self, origin: str, function: Callable[..., Any], *args: Any) -> _Outcome:
        value, error = None, ""
        began = perf_counter()
        with recorded() as warned:
            try:
                value = function(*args)
            except Exception as caught:  # a failed replicate is a row, whatever its reason
                if self.raise_errors or isinstance(caught, self.fatal):
                    raise
                error = origin + _describe(caught)
        seconds = perf_counter() - began
        texts = tuple(f"{origin}{kind.__name__}: {message}" for kind, message in warned)
        names = {base.__name__ for kind, _ in warned for base in kind.__mro__}
        return _Outcome(value, error, texts, _CONVERGENCE not in names, seconds)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _successes(fitted: _Outcome, **facts: Any) -> list[Row]:
    if fitted.error:
        return [_failure(fitted, **facts)]
    rows = []
    for given in fitted.value:
        numbers = {name: _number(given.get(name)) for name in NUMBERS}
        sound = fitted.converged and math.isfinite(numbers["estimate"])
        converged = bool(given.get("converged", sound))
        rows.append(_row(fitted, **facts, **numbers, term=given["term"], converged=converged))
    return rows


def _failure(failed: _Outcome, **facts: Any) -> Row:
    missing = dict.fromkeys(NUMBERS, math.nan)
    return _row(failed, **facts, **missing, term="", converged=False)


def _row(outcome: _Outcome, **columns: Any) -> Row:
    return {
        **columns,
        "warnings": "; ".join(dict.fromkeys(outcome.warnings)),
        "error": outcome.error,
        "seconds": outcome.seconds,
    }


def _number(value: Any) -> float:
    return math.nan if value is None or value is pd.NA else float(value)


def tabulate(rows: list[Row]) -> Any:
    """Return rows as a table with the columns of the frame."""
    arrays = []
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True):
        column = [row[name] for row in rows]
        if pa.types.is_string(kind):
            column = [_encodable(text) for text in column]
        arrays.append(pa.array(column, kind))
    return pa.table(arrays, schema=SCHEMA)


def _encodable(text: str) -> str:
    """Replace what UTF-8 cannot write: messages may quote the bytes of a file."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=4)
def _unpickled(content: bytes) -> Design:
    """Return the design, once per process and study, if this worker can run it.

    Raises
    ------
    RuntimeError
        If a version here is not that of the process that began the study.
    """
    # Versions first: a design may not even load under others.
    stream = io.BytesIO(content)
    wanted, found = pickle.load(stream), package_versions()
    if different := [name for name in wanted if wanted[name] != found[name]]:
        lines = (f"{name} {wanted[name]} there, {found[name]} here" for name in different)
        raise RuntimeError(
            f"The worker on {platform.node()} cannot go on with a study that was begun under "
            f"other versions: {'; '.join(lines)}. Install the same everywhere."
        )
    design: Design = cloudpickle.load(stream)
    return design
