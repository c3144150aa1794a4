"""Cross-fitting: folds, out-of-fold predictions, seed streams, and how repeats combine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from . import learners
from .covariance import cluster_sums, nearest_positive_definite

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


class Fold(NamedTuple):
    """Rows to predict, and the labelled rows to learn from."""

    predict: Codes
    train: Codes


@dataclass(frozen=True)
class CrossFit:
    """Out-of-fold predictions of one or several targets over repeated splits.

    Attributes
    ----------
    predictions : ndarray of shape (n_repeats, n, n_targets)
    learners : tuple of str
        The learner chosen in each repeat; several targets' learners are joined by " + ".
    losses : ndarray of shape (n_repeats, n_targets)
        Mean squared errors on the labelled rows, out of fold.
    """

    predictions: Array
    learners: tuple[str, ...]
    losses: Array


def seed_sequence(random_state: Any) -> np.random.SeedSequence:
    """Turn whatever scikit-learn or numpy take as a random state into a seed sequence."""
    if random_state is None or isinstance(random_state, int | np.integer):
        return np.random.SeedSequence(None if random_state is None else int(random_state))
    if isinstance(random_state, np.random.SeedSequence):
        return random_state
    if isinstance(random_state, np.random.Generator):
        return np.random.SeedSequence(int(random_state.integers(2**63)))
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(int(random_state.randint(2**31 - 1)))
    raise ValueError(
        f"random_state={random_state!r} cannot seed a generator; pass an int, a numpy Generator, "
        "a SeedSequence, a RandomState, or None."
    )


def fold_numbers(
    labelled: NDArray[np.bool_],
    clusters: Codes | None,
    n_folds: int,
    rng: np.random.Generator,
    strata: NDArray[Any] | None = None,
) -> Codes:
    """Deal rows, or whole clusters, into folds with equal shares of the labelled rows.

    Rows are dealt one fold after the other, labelled ones first and by ``strata``, so that no
    two folds differ by more than one in either. Clusters are dealt back and forth (1..K, K..1,
    ...) from the one with most labels to the one with fewest. Ties come in random order.

    Parameters
    ----------
    labelled : ndarray of bool of shape (n,)
    clusters : ndarray of int of shape (n,) or None
    n_folds : int
    rng : Generator
    strata : ndarray of shape (n,), default=None
        Values (say the class of a labelled row) to spread evenly when rows are dealt.

    Returns
    -------
    ndarray of int of shape (n,)
    """
    if clusters is None:
        labels = labelled.astype(float)
        keys = [rng.random(len(labels)), *([] if strata is None else [strata]), -labels]
    else:
        counts = np.column_stack([labelled.astype(float), np.ones(len(labelled))])
        labels, sizes = cluster_sums(counts, clusters).T
        keys = [rng.random(len(labels)), -sizes, -labels]
    order = np.lexsort(keys)
    units = np.empty(len(order), dtype=np.intp)
    if clusters is None:
        units[order] = np.resize(rng.permutation(n_folds), len(order))
        return units
    units[order] = _serpentine(len(order), n_folds, rng)
    return units[clusters]


def _serpentine(n: int, n_folds: int, rng: np.random.Generator) -> Codes:
    """Return 1..K, K..1, ... over n positions, with a fresh order every second round."""
    n_rounds = -(-n // (2 * n_folds))
    forth = rng.permuted(np.tile(np.arange(n_folds), (n_rounds, 1)), axis=1)
    return np.hstack([forth, forth[:, ::-1]]).ravel()[:n].astype(np.intp)


def draw_folds(
    labelled: NDArray[np.bool_],
    clusters: Codes | None,
    n_folds: int,
    rng: np.random.Generator,
    strata: NDArray[Any] | None = None,
) -> list[Fold]:
    """Split the rows for cross-fitting.

    With two-way clusters both dimensions are split, and the cell (a, b) learns from rows
    outside part a of the first and outside part b of the second dimension (Chiang, Kato, Ma and
    Sasaki 2022), so that no cluster of either kind is on both sides.

    Raises
    ------
    ValueError
        If there are fewer than two labelled rows per fold, fewer clusters than folds, or a fold
        would have no labelled row to learn from.
    """
    n_labelled = int(labelled.sum())
    if n_labelled < 2 * n_folds:
        raise ValueError(
            f"{n_labelled} labelled rows are too few for n_folds={n_folds}: cross-fitting needs "
            f"at least 2 per fold. Label at least {2 * n_folds} rows, lower n_folds, or use "
            "learner=None."
        )
    columns = [None] if clusters is None else list(clusters.reshape(len(labelled), -1).T)
    for codes in columns:
        if codes is not None and codes.max() + 1 < n_folds:
            raise ValueError(
                f"{codes.max() + 1} clusters cannot be split into n_folds={n_folds}; clusters are "
                "kept together. Lower n_folds."
            )
    numbers = np.column_stack(
        [fold_numbers(labelled, codes, n_folds, rng, strata) for codes in columns]
    )
    folds = []
    for cell in product(*(np.unique(column) for column in numbers.T)):
        predict = np.flatnonzero((numbers == cell).all(axis=1))
        if len(predict) == 0:
            continue
        outside = (numbers != cell).all(axis=1)
        train = np.flatnonzero(outside & labelled)
        if len(train) == 0:
            raise ValueError(
                "After keeping clusters together a fold has no labelled row left to learn from; "
                "the labelled rows lie in too few clusters. Lower n_folds or use learner=None."
            )
        folds.append(Fold(predict, train))
    return folds


def crossfit(
    features: Any,
    targets: Array,
    *,
    learner: Any,
    tasks: Sequence[learners.Task],
    clusters: Codes | None = None,
    n_folds: int = 5,
    n_repeats: int = 10,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> CrossFit:
    """Predict partly observed targets for every row from learners fitted without that row.

    All targets share their folds. Of several candidate learners (``learner="auto"``) each target
    takes, in each repeat, the one with the smallest out-of-fold squared error over the labelled
    rows. Every repeat has its own stream of random numbers, so that results do not depend on
    ``n_jobs``.

    Parameters
    ----------
    features : array or sparse matrix of shape (n, q)
    targets : ndarray of shape (n, n_targets)
        NaN in rows that are not labelled.
    learner : {"auto", "linear", "boosting"} or scikit-learn estimator
    tasks : sequence of {"regression", "probability"}
        One for each target.
    clusters : ndarray of int of shape (n,) or (n, 2), default=None
        Kept together in folds.
    n_folds, n_repeats : int, default=5 and 10
    random_state : int, Generator, SeedSequence, RandomState or None, default=None
    n_jobs : int, default=None
        Number of processes over repeats, as in joblib.

    Returns
    -------
    CrossFit

    Raises
    ------
    ValueError
        See `draw_folds` and `trueness.learners.candidates`.
    """
    is_sparse = not isinstance(features, np.ndarray)
    models = [learners.candidates(learner, task, is_sparse=is_sparse) for task in tasks]
    streams = seed_sequence(random_state).spawn(n_repeats)
    repeats = Parallel(n_jobs=n_jobs)(
        delayed(_one_repeat)(models, features, targets, tasks, clusters, n_folds, stream)
        for stream in streams
    )
    predictions, names, losses = zip(*repeats, strict=True)
    return CrossFit(np.stack(predictions), names, np.array(losses))


def _one_repeat(
    models: list[dict[str, Any]],
    features: Any,
    targets: Array,
    tasks: Sequence[learners.Task],
    clusters: Codes | None,
    n_folds: int,
    stream: np.random.SeedSequence,
) -> tuple[Array, str, list[float]]:
    fold_stream, *model_streams = stream.spawn(1 + sum(map(len, models)))
    labelled: NDArray[np.bool_] = np.asarray(~np.isnan(targets).any(axis=1))
    classes = [j for j, task in enumerate(tasks) if task == "probability"]
    strata = np.where(labelled, targets[:, classes[0]], 0.0) if classes else None
    rng = np.random.default_rng(fold_stream)
    folds = draw_folds(labelled, clusters, n_folds, rng, strata)
    predictions = np.empty_like(targets)
    names, losses = [], []
    with threadpool_limits(1):
        for j, (candidates, task) in enumerate(zip(models, tasks, strict=True)):
            seeds = [model_streams.pop(0) for _ in candidates]
            name, predictions[:, j] = _best_out_of_fold(
                candidates, features, targets[:, j], task, folds, labelled, seeds
            )
            names.append(name)
            losses.append(_squared_error(predictions[labelled, j], targets[labelled, j]))
    shown = names[:1] if len(set(names)) == 1 else names
    return predictions, " + ".join(shown), losses


def _best_out_of_fold(
    models: dict[str, Any],
    features: Any,
    target: Array,
    task: learners.Task,
    folds: list[Fold],
    labelled: NDArray[np.bool_],
    seeds: list[np.random.SeedSequence],
) -> tuple[str, Array]:
    """Fit the candidates in every fold; return the best one's name and its predictions."""
    fitted = {
        name: [
            learners.fit(model, features[fold.train], target[fold.train], task=task, seed=seed)
            for fold, seed in zip(folds, stream.spawn(len(folds)), strict=True)
        ]
        for (name, model), stream in zip(models.items(), seeds, strict=True)
    }
    # Only the chosen learner predicts the whole frame, which is long where labels are few.
    name = next(iter(fitted))
    if len(fitted) > 1:
        held_out = [Fold(fold.predict[labelled[fold.predict]], fold.train) for fold in folds]
        losses = {
            key: _squared_error(_predict(predictors, held_out, features), target)
            for key, predictors in fitted.items()
        }
        name = min(losses, key=lambda key: losses[key])
    return name, _predict(fitted[name], folds, features)


def _predict(predictors: list[learners.Predictor], folds: list[Fold], features: Any) -> Array:
    """Predict the rows of each fold; NaN on rows in no fold."""
    predictions = np.full(features.shape[0], np.nan)
    for predict, fold in zip(predictors, folds, strict=True):
        if len(fold.predict):
            predictions[fold.predict] = predict(features[fold.predict])
    return predictions


def _squared_error(predictions: Array, target: Array) -> float:
    """Return the mean squared error over rows with a target."""
    return float(np.nanmean((predictions - target) ** 2))


def combine_repeats(params: Array, covs: Array) -> tuple[Array, Array, Array | None]:
    r"""Combine estimates over S repeated splits by medians.

    .. math::

        \hat\beta_j = \mathrm{median}_s \hat\beta_{sj}, \qquad
        V = \mathrm{median}_s [V_s + (\hat\beta_s - \hat\beta)(\hat\beta_s - \hat\beta)']

    elementwise; if V is indefinite it is replaced by the nearest positive semi-definite matrix
    with the same diagonal.

    Parameters
    ----------
    params : ndarray of shape (S, k)
    covs : ndarray of shape (S, k, k)

    Returns
    -------
    params : ndarray of shape (k,)
    cov : ndarray of shape (k, k)
    split_cov : ndarray of shape (k, k) or None
        Elementwise median of the outer products; None for a single split.
    """
    if len(params) == 1:
        return params[0], covs[0], None
    centre = np.median(params, axis=0)
    gaps = params - centre
    spread = np.einsum("si,sj->sij", gaps, gaps)
    cov = np.median(covs + spread, axis=0)
    return centre, nearest_positive_definite((cov + cov.T) / 2), np.median(spread, axis=0)
