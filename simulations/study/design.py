"""What a study repeats: a generator, the methods, and the estimands; and what it must deliver."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Bunch

from .grid import Cell, describe
from .schema import METHOD_COLUMNS

Row = dict[str, Any]
Truth = Mapping[str, Any]


class ProtocolError(ValueError):
    """A generator or a method that does not deliver what a study needs."""


@dataclass(frozen=True)
class Design:
    """Generator and methods, as they travel to the workers.

    Attributes
    ----------
    generate : callable
        ``generate(**params, random_state=Generator)`` returns a sample.
    methods : dict of str to estimator or callable
        In the order of the rows.
    estimands : tuple of str
        Terms of interest; empty for all that the methods report.
    """

    generate: Callable[..., Any]
    methods: Mapping[str, Any]
    estimands: tuple[str, ...] = ()

    def check(self, cell: Cell) -> None:
        """Raise if generator or methods cannot be called as a study calls them.

        Raises
        ------
        TypeError
            If one is not callable or takes other arguments.
        ValueError
            If there is no method.
        """
        if not callable(self.generate):
            raise TypeError(f"generate must be a function, got {self.generate!r:.80}.")
        call = f"generate({', '.join([*cell.params, 'random_state'])})"
        _check_call(self.generate, call, **cell.params, random_state=None)
        if not isinstance(self.methods, Mapping) or not self.methods:
            raise ValueError("methods must be a dict with at least one estimator or function.")
        for name, method in self.methods.items():
            if not isinstance(name, str) or not name:
                raise TypeError(f"The name of a method must be a text, got {name!r}.")
            _check_method(name, method)

    def draw(self, cell: Cell, stream: np.random.SeedSequence) -> Bunch:
        """Draw one sample."""
        sample = self.generate(**cell.params, random_state=np.random.default_rng(stream))
        if isinstance(sample, Mapping):
            return sample if isinstance(sample, Bunch) else Bunch(**sample)
        raise ProtocolError(
            f"generate returned a {type(sample).__name__}; return a Bunch or a dict with "
            "'observed' (the arguments of fit) and 'truth' (the value of each estimand)."
        )

    def truth(self, sample: Bunch, cell: Cell) -> dict[str, Any]:
        """Return the true value, or the function of the sample that gives it, of each term."""
        truth = sample.get("truth")
        truth = truth(sample) if callable(truth) else truth
        if isinstance(truth, pd.Series):
            truth = truth.to_dict()
        if not isinstance(truth, Mapping) or not truth:
            raise ProtocolError(
                f"generate returned no truth in the cell {describe(cell.params)}; give the sample "
                "a 'truth', a dict with the true value of every estimand: without it there is "
                "nothing to compare estimates with."
            )
        if unknown := [name for name in self.estimands if name not in truth]:
            raise ProtocolError(
                f"The estimands {unknown} are not in the truth of the generator, which has "
                f"{list(truth)}."
            )
        return {str(term): value for term, value in truth.items()}

    def rows(
        self, name: str, sample: Bunch, truth: Truth, stream: np.random.SeedSequence
    ) -> list[Row]:
        """Return the rows of one method: its columns, and the estimand of each term."""
        method = self.methods[name]
        if callable(method):
            result = method(sample, np.random.default_rng(stream))
        else:
            result = _fitted(method, sample, stream).to_frame()
        rows = _listed(result, name)
        reported = [row["term"] for row in rows]
        _check_terms(name, reported, self.estimands or list(truth), bool(self.estimands))
        rows = [row for row in rows if not self.estimands or row["term"] in self.estimands]
        for row in rows:
            if "estimand" not in row:
                value = truth.get(row["term"], np.nan)
                row["estimand"] = value(sample) if callable(value) else value
        return rows


def _check_call(function: Callable[..., Any], call: str, *args: Any, **kwargs: Any) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C without a signature
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"The study calls {call}, but {error}.") from None


def _check_method(name: str, method: Any) -> None:
    if isinstance(method, type):
        kind = method.__name__
        raise TypeError(f"Method {name!r} is the class {kind}; pass an estimator, {kind}().")
    if callable(method):
        _check_call(method, f"methods[{name!r}](sample, random_state)", None, None)
    elif not (hasattr(method, "fit") and hasattr(method, "to_frame")):
        missing = "to_frame()" if hasattr(method, "fit") else "fit"
        raise TypeError(
            f"Method {name!r} is a {type(method).__name__} without {missing}. Wrap it into a "
            "function f(sample, random_state) that returns one dict per term, with 'term', "
            "'estimate' and what else there is of 'std_error', 'conf_low', 'conf_high'."
        )


def _fitted(estimator: Any, sample: Bunch, stream: np.random.SeedSequence) -> Any:
    observed = sample.get("observed")
    if not isinstance(observed, Mapping):
        raise ProtocolError(
            "generate returned no 'observed'; give the sample a dict of the arguments of fit."
        )
    model = clone(estimator)
    names = sorted(
        name
        for name in model.get_params(deep=True)
        if name == "random_state" or name.endswith("__random_state")
    )
    if names:
        # scikit-learn takes seeds below 2^31 everywhere.
        seeds = stream.generate_state(len(names)) >> 1
        model.set_params(**{name: int(seed) for name, seed in zip(names, seeds, strict=True)})
    return model.fit(**observed)


def _listed(result: Any, name: str) -> list[Row]:
    """Return what a method gave back as rows with nothing but known columns."""
    rows = _records(result) if isinstance(result, pd.DataFrame) else result
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise ProtocolError(
            f"Method {name!r} returned a {type(result).__name__}; return a list of dicts or a "
            "DataFrame, one row per term."
        )
    if not rows:
        raise ProtocolError(f"Method {name!r} returned no row; return one per term.")
    for row in rows:
        if missing := [column for column in ("term", "estimate") if column not in row]:
            raise ProtocolError(f"Method {name!r} returned a row without {missing[0]!r}: {row}.")
        if unknown := [column for column in row if column not in METHOD_COLUMNS]:
            raise ProtocolError(
                f"Method {name!r} returned {unknown}; a row may hold {list(METHOD_COLUMNS)}."
            )
    listed = [{**row, "term": str(row["term"])} for row in rows]
    terms = [row["term"] for row in listed]
    if twice := sorted({term for term in terms if terms.count(term) > 1}):
        raise ProtocolError(f"Method {name!r} returned the terms {twice} more than once.")
    return listed


def _records(frame: pd.DataFrame) -> list[Row]:
    # Several times as fast as to_dict("records") on few rows.
    columns = [frame[name].tolist() for name in frame.columns]
    return [dict(zip(frame.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _check_terms(name: str, reported: list[str], wanted: Sequence[str], chosen: bool) -> None:
    """Raise if terms and estimands have different names.

    A method may leave terms out, or report some without an estimand; both at once is a matter of
    spelling. Chosen estimands are a selection, so that one in common is enough.
    """
    without_estimand = set(reported) - set(wanted)
    without_term = set(wanted) - set(reported)
    common = set(reported) & set(wanted)
    if (without_estimand and without_term and not chosen) or not common:
        raise ProtocolError(
            f"The terms of method {name!r} and the estimands do not match.\n"
            f"  terms:     {', '.join(map(repr, reported))}\n"
            f"  estimands: {', '.join(map(repr, wanted))}\n"
            "Name them alike in the method or in the truth of the generator."
        )
