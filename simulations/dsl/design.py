"""What the designs share: random streams, clusters, gold sampling, checks, the form of a sample."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.utils import Bunch

from ..checks import check_range
from ..streams import RandomState, Rng, streams

Array: TypeAlias = NDArray[np.float64]
Clusters: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

# The odds of a gold label differ by this factor between the most and the least wanted row.
_SAMPLING_ODDS_RATIO = 10.0
_PARTS = ("covariates", "treatment", "outcome", "machine")
_FRAMES = ("surrogates", "instruments", "fixed_effects")


# ---------------------------------------------------------------------- random numbers


class Draws:
    """Standard normals of one sample; rows correlate within clusters.

    Every part of the design has streams of its own, so that a change of one part leaves the
    others as they are.

    Parameters
    ----------
    params : mapping
        With ``n_rows``, ``n_clusters`` (None: rows are independent) and ``icc``.
    random_state : int, SeedSequence, Generator or None

    Attributes
    ----------
    clusters : ndarray of shape (n_rows,) or None
    sampling : Generator
        For the selection of gold labels.
    """

    def __init__(self, params: Mapping[str, Any], random_state: RandomState) -> None:
        self._n_rows, self._icc = params["n_rows"], params["icc"]
        self.sampling, cluster_rng, *rngs = streams(random_state, 2 + 2 * len(_PARTS))
        self._rngs = dict(zip(_PARTS, zip(rngs[::2], rngs[1::2], strict=True), strict=True))
        self.clusters: Clusters | None = None
        if params["n_clusters"] is not None:
            self.clusters = draw_clusters(self._n_rows, params["n_clusters"], cluster_rng)

    def normals(self, part: str, n_columns: int) -> Array:
        """Return independent columns of shape (n_rows, n_columns)."""
        rng, cluster_rng = self._rngs[part]
        return draw_normals((self._n_rows, n_columns), rng, self.clusters, self._icc, cluster_rng)

    def normal(self, part: str) -> Array:
        """Return one column of shape (n_rows,)."""
        return self.normals(part, 1)[:, 0]


def draw_clusters(n_rows: int, n_clusters: int, rng: Rng) -> Clusters:
    """Cluster of each row; as rows are exchangeable, the first ones may fill every cluster."""
    shares = rng.dirichlet(np.full(n_clusters, 4.0))
    rest = rng.choice(n_clusters, size=n_rows - n_clusters, p=shares)
    return np.concatenate([np.arange(n_clusters), rest]).astype(np.int64)


def draw_normals(
    shape: tuple[int, int], rng: Rng, clusters: Clusters | None, icc: float, cluster_rng: Rng
) -> Array:
    """Independent standard normal columns; rows correlate within clusters."""
    n_rows, n_columns = shape
    # Drawn column after column: further columns leave the first ones as they are.
    own = rng.standard_normal((n_columns, n_rows)).T
    if clusters is None:
        return own
    shared = cluster_rng.standard_normal((n_columns, clusters.max() + 1)).T
    return np.asarray(np.sqrt(1 - icc) * own + np.sqrt(icc) * shared[clusters])


def correlate(normals: Array) -> tuple[Array, Array]:
    """Turn two independent columns into variates with correlation 0.3."""
    first, second = normals.T
    return first, 0.3 * first + np.sqrt(1 - 0.3**2) * second


# ---------------------------------------------------------------------- probabilities


def sampling_probabilities(params: Mapping[str, Any], high: Flags, x1: Array) -> Array:
    """Return constant probabilities, or unequal ones, larger where surrogate and X1 are high.

    Their sum is ``n_labels``. Unequal: ``logit pi = c + log(10)/4 (s + tanh X1)``, s = 1 where
    ``high`` and else -1.
    """
    n_rows, n_labels = len(x1), params["n_labels"]
    if params["probabilities"] == "constant" or n_labels == n_rows:  # a census leaves no choice
        return np.full(n_rows, n_labels / n_rows)
    wanted = np.log(_SAMPLING_ODDS_RATIO) / 4 * (2.0 * high - 1.0 + np.tanh(x1))
    return np.asarray(expit(logit_intercept(wanted, n_labels / n_rows) + wanted))


def logit_intercept(offset: Array, share: float, weight: Array | None = None) -> float:
    """Return the intercept at which the mean of expit(intercept + offset) is the share."""
    centre, reach = float(logit(share)), float(np.abs(offset).max()) + 1
    if np.isinf(centre):
        return centre
    if weight is None:
        weight = np.full(len(offset), 1 / len(offset))

    def excess(intercept: float) -> float:
        return float(weight @ expit(intercept + offset)) - share

    return float(brentq(excess, centre - reach, centre + reach))


def normal_grid(n_dimensions: int, order: int) -> tuple[Array, Array]:
    """Gauss-Hermite nodes of independent standard normals, (n, n_dimensions), and their weights."""
    nodes, weight = np.polynomial.hermite_e.hermegauss(order)
    axes = np.meshgrid(*[nodes] * n_dimensions, indexing="ij")
    weights = np.meshgrid(*[weight / weight.sum()] * n_dimensions, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, n_dimensions), np.prod(weights, axis=0).ravel()


# ---------------------------------------------------------------------- the form of a sample


def make_sample(
    maker: Callable[..., Bunch],
    params: dict[str, Any],
    *,
    observed: dict[str, Any],
    hidden: Sequence[str],
    labelled: Flags,
    complete: dict[str, Any],
    truth: dict[str, float],
    by_formula: dict[str, Any],
) -> Bunch:
    """Return a sample in which the hidden variables are missing where there is no gold label.

    Parameters
    ----------
    maker : function
        Its docstring is the description.
    params : dict
    observed : dict
        Keywords of ``fit``, still complete; None for what does not apply.
    hidden : sequence of str
        "y" and columns of X, in either form.
    labelled : ndarray of bool of shape (n_rows,)
    complete, truth : dict
    by_formula : dict
        ``formula``, ``surrogates``, and ``X`` if it differs from the X of ``fit``.
    """
    observed = {name: value for name, value in observed.items() if value is not None}
    X_formula = by_formula.pop("X", observed["X"])
    features = [] if labelled.all() else [name for name in observed["X"] if name in hidden]
    observed["X"] = _hide(observed["X"], hidden, labelled)
    if "y" in hidden:
        observed["y"] = pd.Series(observed["y"]).where(labelled).to_numpy()
    data = _hide(X_formula, hidden, labelled)
    return Bunch(
        observed=observed,
        by_formula=_arguments_by_name(observed, data, by_formula),
        predicted_features=tuple(features),
        complete=Bunch(labelled=labelled, **complete),
        truth=truth,
        truth_error=dict.fromkeys(truth, 0.0),
        params=params,
        DESCR=inspect.getdoc(maker),
    )


def _hide(frame: pd.DataFrame, hidden: Sequence[str], labelled: Flags) -> pd.DataFrame:
    return frame.assign(**{name: frame[name].where(labelled) for name in hidden if name in frame})


def _arguments_by_name(
    observed: Mapping[str, Any], data: pd.DataFrame, given: dict[str, Any]
) -> dict[str, Any]:
    """Return the keywords of ``fit_formula``: one frame, and names of its columns."""
    frames = [data, *(observed[name] for name in _FRAMES if name in observed)]
    data = pd.concat(frames, axis=1)
    arguments = {"formula": given["formula"], "data": data, "surrogates": given["surrogates"]}
    data["y"], data["probability"] = observed["y"], observed["sampling_probability"]
    arguments["sampling_probability"] = "probability"
    if "clusters" in observed:
        name = "unit" if "unit" in data else "cluster"
        data[name] = observed["clusters"]
        arguments["clusters"] = name
    return arguments


# ---------------------------------------------------------------------- checks


def check_common(params: Mapping[str, Any], strongest: float = 100.0) -> None:
    """Check the arguments that all designs have, as far as they are there."""
    if "n_rows" in params:
        n_rows = params["n_rows"]
        check_range("n_rows", n_rows, 1)
        check_range("n_labels", params["n_labels"], 1, n_rows, " (n_rows)")
        if params["n_clusters"] is not None:
            check_range("n_clusters", params["n_clusters"], 2, n_rows, " (n_rows)")
        check_range("icc", params["icc"], 0.0, 1.0)
    if "accuracy" in params:
        check_range("accuracy", params["accuracy"], 0.0, 1.0)
    check_range("differential_error", params["differential_error"], -strongest, strongest)
