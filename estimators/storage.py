"""Saving and loading of estimates without pickle."""

from __future__ import annotations

import json
import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .inference import Estimates

FORMAT = "trueness.Estimates/1"
_ROW_LEVEL = ("influence", "clusters")


def save_estimates(estimates: Estimates, path: str | PathLike[str]) -> None:
    """Write estimates to ``.npz`` (everything) or ``.json`` (without row-level values).

    Raises
    ------
    ValueError
        If the file name ends otherwise.
    """
    facts: dict[str, Any] = {
        "format": FORMAT,
        "names": list(estimates.names),
        "n_obs": int(estimates.n_obs),
        "n_params": int(estimates.n_params or len(estimates.names)),
        "df": estimates.df.tolist() if isinstance(estimates.df, np.ndarray) else estimates.df,
        "reclusterable": estimates.reclusterable,
        "header": dict(estimates.header),
        "title": estimates.title,
    }
    arrays = {
        name: value
        for name in ("params", "cov", "split_cov", *_ROW_LEVEL)
        if (value := getattr(estimates, name)) is not None
    }
    match _suffix(path):
        case ".npz":
            np.savez_compressed(path, facts=np.array(json.dumps(facts)), **arrays)
        case ".json":
            small = {
                name: arrays[name].tolist()
                for name in ("params", "cov", "split_cov")
                if name in arrays
            }
            Path(path).write_text(json.dumps(facts | small, indent=1), encoding="utf-8")


def load_estimates(path: str | PathLike[str]) -> Estimates:
    """Read what `save_estimates` wrote.

    Raises
    ------
    ValueError
        If the file was not written by `save_estimates`.
    """
    read = _read_json if _suffix(path) == ".json" else _read_npz
    try:
        content = read(path)
        recognised = content.pop("format") == FORMAT
    except (ValueError, KeyError, AttributeError, TypeError, zipfile.BadZipFile):
        recognised = False
    if not recognised:
        raise ValueError(f"{path} does not hold estimates saved by this package.")
    return Estimates(**content)


def _read_json(path: str | PathLike[str]) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return content


def _read_npz(path: str | PathLike[str]) -> dict[str, Any]:
    # numpy leaves a file open that it finds to be no archive, so it is opened here.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    facts: dict[str, Any] = json.loads(str(arrays.pop("facts")))
    return arrays | facts


def _suffix(path: str | PathLike[str]) -> str:
    suffix = Path(path).suffix
    if suffix not in (".npz", ".json"):
        raise ValueError(
            f"Estimates are saved as .npz or .json, not {suffix or 'without suffix'!r}."
        )
    return suffix
