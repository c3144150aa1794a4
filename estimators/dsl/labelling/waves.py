r"""Further waves of labels, drawn where the labels so far say that they are worth most.

A rule that looks at labels must not make the weight of a label depend on what it says. Two ways
keep :math:`E(w_i) = 1` for every row:

**Pooled, fold by fold** (the default). Rows are dealt into folds, blindly. The probabilities of a
wave for the rows of one fold are learned from labels of the *other* folds alone, for labelled and
unlabelled rows alike, and

.. math:: \pi_i = 1 - \prod_t (1 - p_{ti}), \qquad w_i = R_i / \pi_i.

Given the labels of other folds, :math:`p_{2i}` is a fixed number, so that with two waves
:math:`E w_i = 1` exactly. From the third wave on, who was labelled in other folds in the second
wave depended on this fold's first labels. A label of row i moves :math:`p_{2j}` of another fold by
:math:`O(1/n)`, and which rows of that fold are labelled matters to :math:`p_{3i}` only as far as
the rule learned from one set of rows differs from that learned from another,
:math:`O(n^{-1/2})`: the departure from 1 is of order :math:`n^{-3/2}`, next to a standard error of
order :math:`n^{-1/2}`.

**Martingale.** With :math:`w_i^{(t)} = 1` if row i was labelled before wave t and
:math:`R_{ti} / p_{ti}` otherwise,

.. math:: w_i = \sum_t a_t w_i^{(t)}, \qquad \sum_t a_t = 1, \qquad
    a_t = b_t \prod_{s > t} (1 - b_s), \qquad
    b_t = \frac{n_t}{n_1 + \dots + n_t}\, \frac{N}{N - n_1 - \dots - n_{t-1}},

where :math:`n_t` are the planned sizes. :math:`E(w_i^{(t)} \mid \text{waves before } t) = 1`
whatever the rule looked at, so that this is exact for any number of waves, if sizes are planned
without looking at labels. With equal probabilities all labels get the weight N / n.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...crossfit import crossfit
from ..fitted import Fitted
from ..gold_sample import GoldSample
from ..gold_sample.frame import generator
from ..numerics import draws
from ..numerics.label_sizes import further_probabilities, mixed_probabilities
from ..reading import learner_features
from .allocation import check_options, gate, sizes_from
from .errors import LabelErrors, errors_of, errors_without, features_of, fitted_of
from .targets import check_labels, read_cost, read_targets

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Method = Literal["pooled", "martingale"]

METHODS = ("pooled", "martingale")
N_FOLDS = 5
MIX = 0.2


def next_wave(
    sample: GoldSample,
    fit: Any,
    n: float,
    *,
    target: Any = None,
    method: Method = "pooled",
    cost: Any = None,
    learner: str = "forest",
    mix: float | str = MIX,
    random_state: Any,
) -> GoldSample:
    r"""Draw a further wave of labels where those so far say that they are worth most.

    The returned sample holds all waves. Label the rows of its last one
    (``sample.coding_sheet(wave=2)``), and fit again with all labels and the new sample. As with
    `optimal_allocation`, coefficients that are not targeted can become less precise than with
    equal probabilities.

    Parameters
    ----------
    sample : GoldSample
        Of independent draws (`GoldSample.poisson`), or an earlier wave.
    fit : fitted DSL estimator
        Fitted to all labels of ``sample``, with ``gold_sample=sample``.
    n : float
        Expected number of further labels; fixed before looking at the labels, or by
        `final_wave`.
    target, cost, learner
        As in `optimal_allocation`.
    method : {"pooled", "martingale"}, default="pooled"
        How probabilities are kept valid although the rule looks at labels. "pooled" learns those
        of each fold from the other folds' labels; "martingale" learns from all labels and weighs
        the waves. All waves go by the same method.
    mix : "gate" or float in [0, 1], default=0.2
        Share of equal probabilities; "martingale" needs some.
    random_state : int, Generator, SeedSequence, RandomState or None

    Returns
    -------
    GoldSample

    Raises
    ------
    ValueError
        If a wave has no labels yet, the sample is not one of independent draws, it was closed by
        `final_wave`, or n is above the number of rows that are left.

    References
    ----------
    Zrnic, T. and Candès, E. J. (2024). Active statistical inference.
    https://doi.org/10.48550/arXiv.2403.03208

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, GoldSample, next_wave
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> y = x + np.abs(x) * rng.normal(size=2000)
    >>> machine = y + np.abs(x) * rng.normal(size=2000)  # errs where x is far from zero
    >>> first = GoldSample.poisson(2000, n=150, random_state=1)
    >>> model = DSLLinearRegression(learner=None)
    >>> pilot = model.fit(
    ...     x[:, None], np.where(first.drawn, y, np.nan), surrogates=machine, gold_sample=first
    ... )
    >>> both = next_wave(first, pilot, 150, target="x1", random_state=2)
    >>> both.wave_drawn.sum(axis=0).tolist(), both.n_drawn
    ([145, 146], 291)
    >>> final = model.fit(
    ...     x[:, None], np.where(both.drawn, y, np.nan), surrogates=machine, gold_sample=both
    ... )
    """
    return draw_wave(
        sample, fit, n, target, method, cost, learner, mix, random_state, is_final=False
    )


def draw_wave(
    sample: GoldSample,
    fit: Any,
    n: float,
    target: Any,
    method: Method,
    cost: Any,
    learner: str,
    mix: float | str,
    random_state: Any,
    *,
    is_final: bool,
) -> GoldSample:
    """Draw a wave as `next_wave` does; a final one may be empty and closes the sample."""
    fitted = fitted_of(fit, "a further wave")
    _check_sample(sample, fitted, method)
    check_options(learner, mix)
    left = sample.n_rows - sample.n_drawn
    n = min(n, left) if is_final else check_labels(n, left)
    contrasts, names = read_targets(target, fitted.data.terms)
    if is_final and n < 2:
        return replace(sample, settings=(*_kept(sample), ("closed", True)))
    costs = read_cost(cost, sample.n_rows)
    seed, rng = generator(random_state)
    folds = sample.folds
    weights = None
    if method == "pooled":
        if folds is None:
            folds = rng.permutation(np.arange(sample.n_rows) % N_FOLDS)
        chance = _by_folds(fit, fitted, sample, folds, contrasts, n, costs, learner, mix, rng)
    else:
        errors = errors_of(fit, "a further wave").combined(contrasts, names)
        chance = _of_the_rest(errors, ~sample.drawn, n, costs, learner, mix, rng)
        weights = wave_weights(_planned(sample, n), sample.n_rows)
    drawn = draws.poisson(chance, rng) & ~sample.drawn
    sizes = "+".join(f"{size!r}" for size in _planned(sample, n))
    settings = dict(_kept(sample)) | {"method": method, "sizes": sizes, "closed": is_final}
    return GoldSample(
        ids=sample.ids,
        probability=1.0 - (1.0 - sample.probability) * (1.0 - chance),
        wave_probability=np.column_stack([sample.wave_probability, chance]),
        wave_drawn=np.column_stack([sample.wave_drawn, drawn]),
        kind="waves",
        is_fixed=False,
        settings=tuple(settings.items()),
        seed=seed,
        folds=folds,
        wave_weights=weights,
    )


def _check_sample(sample: Any, fitted: Fitted, method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(map(repr, METHODS))}.")
    if not isinstance(sample, GoldSample):
        raise ValueError(f"sample must be a GoldSample, got a {type(sample).__name__}.")
    if sample.is_fixed or sample.units is not None:
        raise ValueError(
            "Waves are independent draws, but this sample has a fixed number of labels or of "
            "units: what a later wave learns would change what the first one's probabilities mean. "
            "Draw the first wave by GoldSample.poisson."
        )
    earlier = sample.parameters.get("method", method)
    if earlier != method:
        raise ValueError(f"Earlier waves were drawn by method={earlier!r}; keep to it.")
    if sample.parameters.get("closed"):
        raise ValueError(
            "This sample was closed by final_wave. Going on after looking at the width, until it "
            "pleases, makes intervals too narrow; report what the final wave gives."
        )
    labelled = np.zeros(sample.n_rows, dtype=bool)
    if fitted.data.n_rows == sample.n_rows:
        labelled[fitted.data.labelled] = True
    if not np.array_equal(labelled, sample.drawn):
        n_waves = sample.wave_drawn.shape[1]
        is_earlier = any(
            np.array_equal(labelled, sample.wave_drawn[:, :wave].any(axis=1))
            for wave in range(1, n_waves)
        )
        if is_earlier:
            raise ValueError(
                f"A further wave was drawn already: the sample has {n_waves} waves, but the fit "
                "has the labels of earlier ones only. Label the last wave, fit with all labels and "
                "gold_sample=sample, and go on from there."
            )
        raise ValueError(
            f"The fit has {len(fitted.data.labelled):,} labels, but the sample drew "
            f"{sample.n_drawn:,} rows of {sample.n_rows:,}, and they are not the same. Fit the "
            "model to all rows of the frame with gold_sample=sample."
        )
    if fitted.inputs.aligned.sample is None:
        raise ValueError("Fit the model with gold_sample=sample, so that its waves count.")


def _planned(sample: GoldSample, n: float) -> list[float]:
    """Return planned sizes of all waves."""
    known = sample.parameters.get("sizes")
    before = (
        [float(sample.probability.sum())]
        if known is None
        else [float(part) for part in str(known).split("+")]
    )
    return [*before, float(n)]


def _kept(sample: GoldSample) -> tuple[tuple[str, Any], ...]:
    """Return settings that a further wave does not change."""
    return tuple(pair for pair in sample.settings if pair[0] not in ("sizes", "closed"))


def wave_weights(sizes: list[float], n_rows: int) -> Array:
    r"""Return :math:`a_t` of waves of planned sizes.

    Examples
    --------
    >>> weights = wave_weights([100, 200], 1000)
    >>> weights.round(4), float(weights.sum())
    (array([0.2593, 0.7407]), 1.0)
    >>> bool(np.isclose(weights[0] / 0.1 + weights[1], 1000 / 300))  # labelled first
    True
    >>> bool(np.isclose(weights[1] / (200 / 900), 1000 / 300))  # labelled second
    True
    """
    weights = np.ones(1)
    before = sizes[0]
    for size in sizes[1:]:
        own = size / (before + size) * n_rows / (n_rows - before)
        weights = np.append(weights * (1.0 - own), own)
        before += size
    return weights


def _by_folds(
    fit: Any,
    fitted: Fitted,
    sample: GoldSample,
    folds: Codes,
    contrasts: Array,
    n: float,
    cost: Array | None,
    learner: str,
    mix: float | str,
    rng: np.random.Generator,
) -> Array:
    """Return the probabilities of a wave, each fold's learned without its own labels."""
    data = fitted.data
    chance = np.empty(sample.n_rows)
    own = folds[data.labelled]
    names = tuple(f"target {j + 1}" for j in range(len(contrasts)))
    for fold in np.unique(folds):
        seed = int(rng.integers(2**31))
        rows = np.flatnonzero(folds == fold)
        prediction = _learned_without(fit, fitted, folds == fold, seed)
        share = 1.0 - len(rows) / sample.n_rows
        errors = errors_without(
            data,
            prediction,
            own == fold,
            data.probability[data.labelled] * share,
            features_of(fitted, prediction),
            fit.tuning is not None,
        ).combined(contrasts, names)
        inside = np.arange(len(errors.labelled))
        size = sizes_from(errors, inside, rows, learner, seed)
        part = n * len(rows) / sample.n_rows
        mixed = gate(errors, n, learner, seed, cost) if mix == "gate" else float(mix)
        costs = None if cost is None else cost[rows]
        chance[rows] = further_probabilities(size, sample.probability[rows], part, mixed, costs)
    return chance


def _learned_without(fit: Any, fitted: Fitted, hidden: NDArray[np.bool_], seed: int) -> Array:
    """Return predictions for all rows that no hidden label had a part in."""
    if fit.learner is None or fitted.crossfit is None:
        return np.asarray(fitted.predictions.mean(axis=0))
    data = fitted.data
    known = data.versions.labelled & ~hidden
    targets = data.versions.targets
    fresh = crossfit(
        learner_features(fitted.inputs.aligned.surrogates, fitted.inputs.learner_columns),
        np.hstack([target.to_learn(known) for target in targets]),
        learner=fit.learner,
        tasks=[target.task for target in targets for _ in range(target.n_columns)],
        clusters=data.clusters,
        n_folds=fit.n_folds,
        n_repeats=1,
        random_state=seed,
    )
    return fresh.predictions[0]


def _of_the_rest(
    errors: LabelErrors,
    left: NDArray[np.bool_],
    n: float,
    cost: Array | None,
    learner: str,
    mix: float | str,
    rng: np.random.Generator,
) -> Array:
    """Return the probabilities of a wave for the rows that are left, from all labels."""
    seed = int(rng.integers(2**31))
    rows = np.flatnonzero(left)
    inside = np.arange(len(errors.labelled))
    size = sizes_from(errors, inside, rows, learner, seed)
    share = gate(errors, n, learner, seed, cost) if mix == "gate" else float(mix)
    if share <= 0.0:
        raise ValueError(
            "mix=0 could leave rows without any chance in this wave, and method='martingale' "
            "divides by it; use a share above 0."
        )
    # Rows that are labelled already cannot be drawn; what stands there is never used.
    chance = np.full(len(left), n / len(rows))
    chance[rows] = mixed_probabilities(size, n, share, None if cost is None else cost[rows])
    return chance
