"""Several results as one long frame: which models, which terms, under which labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ..inference import Estimates

Models = Estimates | Mapping[str, Any] | Sequence[Any]
Terms = Mapping[str, str] | Sequence[str]


def label_models(models: Models) -> dict[str, Estimates]:
    """Return results by unique label, from a mapping, a list, or a single result.

    Parameters
    ----------
    models : mapping of str to Estimates, sequence of Estimates, or Estimates
        Without a mapping the titles are the labels, numbered where they repeat. A fitted
        estimator stands for its ``results_``.

    Raises
    ------
    ValueError
        If there is no model.
    TypeError
        If something is neither `Estimates` nor an estimator that holds them.
    """
    if isinstance(models, Mapping):
        named = {str(label): _results(model, str(label)) for label, model in models.items()}
    else:
        if isinstance(models, Estimates) or hasattr(models, "results_"):
            models = [models]
        named = {}
        for number, model in enumerate(models, start=1):
            results = _results(model, f"number {number}")
            named[_unique(results.title, named)] = results
    if not named:
        raise ValueError("There is no model to show; pass at least one.")
    return named


def _results(model: Any, label: str) -> Estimates:
    results = getattr(model, "results_", model)
    if not isinstance(results, Estimates):
        raise TypeError(
            f"Model {label} is a {type(model).__name__}; pass Estimates, or a fitted estimator "
            "with results_."
        )
    return results


def _unique(title: str, taken: Mapping[str, Any]) -> str:
    label, number = title, 1
    while label in taken:
        number += 1
        label = f"{title} ({number})"
    return label


def select_terms(models: Mapping[str, Estimates], terms: Terms | None) -> dict[str, str]:
    """Return the label of every term to show by its name, in the order to show them.

    Parameters
    ----------
    models : mapping of str to Estimates
        The results.
    terms : sequence of str or mapping of str to str, default=None
        Names to show, or names and the labels to show them under; several names under one label
        make one row. All terms in order of appearance if None.

    Raises
    ------
    ValueError
        If a term is in no model, or two terms of one model get the same label.
    """
    known = list(dict.fromkeys(name for model in models.values() for name in model.names))
    if terms is None:
        return {name: name for name in known}
    if isinstance(terms, str):
        terms = [terms]
    labels = dict(terms) if isinstance(terms, Mapping) else {name: name for name in terms}
    if unknown := [name for name in labels if name not in known]:
        raise ValueError(f"No model has the terms {unknown}; the terms are {known}.")
    for label, model in models.items():
        shown = [labels[name] for name in model.names if name in labels]
        if twice := {text for text in shown if shown.count(text) > 1}:
            raise ValueError(f"Model {label!r} has several terms labelled {sorted(twice)}.")
    return labels


def tidy(models: Mapping[str, Estimates], labels: Mapping[str, str], level: float) -> pd.DataFrame:
    """Stack the frames of several results, with the labels of terms in place of their names.

    Returns
    -------
    DataFrame
        Column model, then those of `Estimates.to_frame`; rows in the order of models and labels.
    """
    order = {label: place for place, label in enumerate(dict.fromkeys(labels.values()))}
    frames = []
    for model, estimates in models.items():
        frame = estimates.to_frame(level)
        frame = frame[frame["term"].isin(list(labels))]
        frame = frame.assign(term=frame["term"].map(labels))
        frame = frame.sort_values("term", key=lambda column: column.map(order), kind="stable")
        frame.insert(0, "model", model)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
