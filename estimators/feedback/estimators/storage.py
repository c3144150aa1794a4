"""Models as files: arrays in npz, everything else as JSON inside it, no pickle."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from .summary import FitDiagnostics

FORMAT = "trueness.FeedbackModel/1"
Array = NDArray[Any]

ARRAYS = ("user_factors_", "item_factors_", "user_biases_", "item_biases_")
FACTS = (
    "intercept_",
    "n_iter_",
    "converged_",
    "click_weight_",
    "regularization_",
    "objective_",
    "n_features_in_",
)


def write_model(model: Any, path: str | PathLike[str]) -> None:
    """Write a fitted model.

    Raises
    ------
    ValueError
        If the file name does not end in .npz, or a name is neither text nor a number.
    """
    _check_suffix(path)
    params = model.get_params(deep=False)
    if not isinstance(params.get("random_state"), int | None):
        params["random_state"] = None  # a generator's state is of no use after the fit
    facts = {
        "format": FORMAT,
        "class": type(model).__name__,
        "params": {name: _plain(value) for name, value in params.items()},
        "shape": list(model.clicks_.shape),
        "diagnostics": asdict(model.diagnostics_),
        **{name: _plain(getattr(model, name)) for name in FACTS},
    }
    arrays = {name: getattr(model, name) for name in ARRAYS}
    arrays["indptr"], arrays["indices"] = model.clicks_.indptr, model.clicks_.indices
    for name in ("user_names_", "item_names_"):
        if getattr(model, name) is not None:
            arrays[name] = _names(getattr(model, name), name)
    if model.item_propensities_ is not None:
        arrays["item_propensities_"] = model.item_propensities_
    np.savez_compressed(path, facts=np.array(json.dumps(facts)), **arrays)


def read_model(path: str | PathLike[str], classes: dict[str, type[Any]]) -> Any:
    """Read what `write_model` wrote.

    Raises
    ------
    ValueError
        If the file does not hold a model of one of the classes.
    """
    _check_suffix(path)
    try:
        # numpy leaves a file open that it finds to be no archive, so it is opened here.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        facts = json.loads(str(arrays.pop("facts")))
        recognised = facts["format"] == FORMAT
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile):
        recognised = False
    if not recognised:
        raise ValueError(f"{path} does not hold a model of clicks saved by this package.")
    if facts["class"] not in classes:
        raise ValueError(
            f"{path} holds a {facts['class']}, not a {' or '.join(classes)}; load it by "
            f"{facts['class']}.load or FeedbackModel.load."
        )
    model = classes[facts["class"]](**facts["params"])
    for name in FACTS:
        setattr(model, name, facts[name])
    for name in ARRAYS:
        setattr(model, name, arrays[name])
    for name in ("user_names_", "item_names_"):
        setattr(model, name, pd.Index(arrays[name]) if name in arrays else None)
    model.item_propensities_ = arrays.get("item_propensities_")
    model.diagnostics_ = FitDiagnostics(**facts["diagnostics"])
    ones = np.ones(len(arrays["indices"]), dtype=np.float32)
    cells = ones, arrays["indices"], arrays["indptr"]
    model.clicks_ = sparse.csr_matrix(cells, shape=tuple(facts["shape"]))
    return model


def _names(names: pd.Index[Any], role: str) -> Array:
    array = names.to_numpy()
    if array.dtype == object:
        if not all(isinstance(name, str) for name in array):
            raise ValueError(
                f"{role}: names that are neither all text nor all numbers cannot be saved without "
                "pickle; turn them into text first."
            )
        return np.asarray(array, dtype=str)
    return np.asarray(array)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _check_suffix(path: str | PathLike[str]) -> None:
    suffix = Path(path).suffix
    if suffix != ".npz":
        raise ValueError(f"Models are saved as .npz, not {suffix or 'without suffix'!r}.")
