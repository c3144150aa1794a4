r"""Where labels are worth most: probabilities for the next gold sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...crossfit import seed_sequence
from ..gold_sample import GoldSample
from ..gold_sample.frame import frozen, read_levels
from ..numerics.budget import HeldOutSizes
from ..numerics.label_sizes import (
    SizeModel,
    design_ratio,
    mixed_probabilities,
    target_sizes,
)
from .errors import LabelErrors, errors_of
from .targets import check_labels, read_cost, read_targets

Array = NDArray[np.float64]

MIXES = (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
LEARNERS = ("forest", "ridge", "constant")
N_FOLDS = 5
# Rows of the frame that stand for all of them where the gate is tried out.
GATE_ROWS = 20_000
# A coefficient is said to lose if its design variance grows by more than this.
LOSS = 1.02


@dataclass(frozen=True, eq=False, repr=False)
class Allocation:
    r"""Inclusion probabilities for a gold sample, and what they are expected to bring.

    Attributes
    ----------
    probability : ndarray of shape (n,)
        Sums to the number of labels; never below a tenth of the equal probability times the share
        that is left to it.
    mix : float
        Share :math:`\tau` of equal probabilities: 1 if nothing was found to be gained.
    table : DataFrame
        A row for each coefficient, and for each target that is none: ``term``, ``targeted``, and
        ``variance_ratio``, the expected design variance over that of equal probabilities. It is
        an estimate from the pilot, and too good by what the pilot overfits.
    source : str
        What the sizes of errors were learned from.
    """

    probability: Array
    mix: float
    table: pd.DataFrame
    source: str

    def __post_init__(self) -> None:
        frozen(self)

    @property
    def n(self) -> float:
        """Number of labels."""
        return float(self.probability.sum())

    def draw(self, ids: Any, *, random_state: Any, strata: Any = None) -> GoldSample:
        """Draw a gold sample of fixed size with these probabilities.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
            As in `GoldSample`.
        random_state : int, Generator, SeedSequence, RandomState or None
        strata : array of shape (n,), default=None
            Each gets a fixed number as well, the sum of its probabilities, rounded.

        Returns
        -------
        GoldSample
        """
        n = round(self.n)
        return GoldSample.unequal(
            ids, self.probability, n, strata=strata, random_state=random_state
        )

    def summary(self) -> str:
        """Return the allocation in words, with the table."""
        low, high = self.probability.min(), self.probability.max()
        rest = self.table[~self.table["targeted"] & (self.table["variance_ratio"] > LOSS)]
        lines = [
            f"Allocation of {self.n:,.6g} labels to {len(self.probability):,} rows",
            f"  sizes of errors   {self.source}",
            f"  probability       {low:.4g} to {high:.4g}",
            f"  equal share       {self.mix:.0%}"
            + (" (nothing was found to be gained)" if self.mix == 1.0 else ""),
            "",
            self.table.to_string(index=False, float_format="{:.3f}".format),
        ]
        if len(rest):
            names = ", ".join(rest["term"].astype(str))
            lines.append(f"Not targeted, and expected to become less precise: {names}.")
        return "\n".join(lines)

    __repr__ = __str__ = summary


def optimal_allocation(
    fit: Any,
    n: float,
    *,
    target: Any = None,
    cost: Any = None,
    learner: str = "forest",
    mix: float | str = "gate",
    random_state: Any = 0,
) -> Allocation:
    r"""Allocate labels where they make chosen coefficients precise, from a pilot.

    .. math:: \pi_i = \tau \frac{n}{N} + (1 - \tau)
        \min\Big(\max\Big(\kappa \frac{s_i}{\sqrt{c_i}}, l\Big), 1\Big), \qquad
        s_i^2 = \sum_c \frac{h_{ic}^2\, v_i}{V_c}

    Where an outcome is predicted, the influence :math:`h_{ic} = c' J^{-1} X_i` of row i on target
    c is known on every row, and only the expected squared error :math:`v_i` is learned from the
    pilot's labels; where a covariate is, the product is. Sizes below a tenth of their mean are
    raised to it, and :math:`l` is a tenth of n / N.

    Coefficients that are not targeted can become *less* precise than with equal probabilities; the
    table says which.

    Parameters
    ----------
    fit : fitted DSL estimator
        Fitted to the pilot: 30 labels at least, better 100.
    n : float
        Labels of the new sample.
    target : str, sequence of str or array, default=None
        Coefficients or combinations (``"x1 - x2"``) that are to be precise, all of them equally
        if None.
    cost : float or array of shape (n,), default=None
        Cost of a label on each row; equal if None.
    learner : {"forest", "ridge", "constant"}, default="forest"
        How :math:`v` is learned; "constant" uses the influence alone.
    mix : "gate" or float in [0, 1], default="gate"
        Share :math:`\tau` of equal probabilities, by which the variance is never above
        :math:`1/\tau` times that of equal probabilities. "gate" takes the share in 0.1, ..., 1
        with the smallest out-of-fold variance on the pilot plus its standard error, and equal
        probabilities if none seems better.
    random_state : int, Generator, SeedSequence, RandomState or None, default=0

    Returns
    -------
    Allocation

    Raises
    ------
    ValueError
        If n is above the number of rows, a target is unknown, every row is labelled, fixed
        effects were absorbed, or the pilot has fewer than 30 labels.

    References
    ----------
    Neyman, J. (1934). On the two different aspects of the representative method. *Journal of the
    Royal Statistical Society, 97*, 558-625. https://doi.org/10.2307/2342192

    Zrnic, T. and Candès, E. J. (2024). Active statistical inference.
    https://doi.org/10.48550/arXiv.2403.03208

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, GoldSample, optimal_allocation
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=2000)
    >>> y = x + np.abs(x) * rng.normal(size=2000)
    >>> pilot = GoldSample.simple_random(2000, 150, random_state=1)
    >>> gold = np.where(pilot.drawn, y, np.nan)
    >>> machine = y + np.abs(x) * rng.normal(size=2000)  # errs where x is far from zero
    >>> model = DSLLinearRegression(learner=None)
    >>> model = model.fit(x[:, None], gold, surrogates=machine, gold_sample=pilot)
    >>> allocation = optimal_allocation(model, 300, target="x1")
    >>> sample = allocation.draw(2000, random_state=2)
    >>> sample.n_drawn, bool(allocation.table["variance_ratio"][1] < 0.7)
    (300, True)
    """
    errors = errors_of(fit, "an allocation")
    n = check_labels(n, errors.n_rows)
    contrasts, names = read_targets(target, errors.names)
    cost = read_cost(cost, errors.n_rows)
    check_options(learner, mix)
    seed = int(seed_sequence(random_state).generate_state(1)[0])
    chosen = errors.combined(contrasts, names)
    squares = squared_errors(chosen, learner, seed)
    size = target_sizes(chosen.loading, squares)
    share = gate(chosen, n, learner, seed, cost) if mix == "gate" else float(mix)
    probability = mixed_probabilities(size, n, share, cost)
    table = expected_ratios(errors, chosen, probability, squares, learner, seed)
    return Allocation(probability, share, table, f"{len(errors.labelled):,} labels, {learner}")


def stratum_spread(fit: Any, strata: Any, target: Any) -> dict[Any, float]:
    r"""Return the spread of one coefficient's errors in each stratum, for Neyman allocation.

    .. math:: S_h = \mathrm{sd}_{i \in h}(c' J^{-1} e_i)

    from the labels of a pilot: ``GoldSample.stratified(..., allocation="neyman",
    spread=stratum_spread(...))`` is the best stratified sample for the coefficient.

    Parameters
    ----------
    fit : fitted DSL estimator
    strata : array of shape (n,)
    target : str
        The coefficient, or combination.

    Returns
    -------
    dict
        By stratum. With fewer than 5 labels in a stratum its spread is that of all.

    Raises
    ------
    ValueError
        As `optimal_allocation`.
    """
    errors = errors_of(fit, "an allocation")
    contrasts, names = read_targets(target, errors.names)
    if len(names) != 1:
        raise ValueError(f"target={target!r} must be one coefficient or combination.")
    levels = read_levels(strata, "strata", errors.n_rows)
    values = errors.combined(contrasts, names).psi[:, 0]
    group, weight = levels.codes[errors.labelled], errors.weight

    def spread(rows: NDArray[np.bool_]) -> float:
        centre = np.average(values[rows], weights=weight[rows])
        variance = np.average((values[rows] - centre) ** 2, weights=weight[rows])
        return float(np.sqrt(variance * rows.sum() / max(rows.sum() - 1, 1)))

    overall = spread(np.ones(len(values), dtype=bool))
    found = {}
    for code, name in enumerate(levels.names.tolist()):
        rows = group == code
        found[name] = spread(rows) if rows.sum() >= 5 else overall
    return found


def squared_errors(errors: LabelErrors, learner: str, seed: int) -> Array:
    """Return expected squares on every row: of r where there is a loading, else of each psi."""
    features, rows = errors.features, errors.labelled
    if errors.residual is not None:
        return _learned(errors.residual**2, errors, learner, seed, rows).predict(features)
    columns = [
        _learned(column**2, errors, learner, seed, rows).predict(features)
        for column in errors.psi.T
    ]
    return np.column_stack(columns)


def _learned(
    squares: Array, errors: LabelErrors, learner: str, seed: int, rows: NDArray[np.intp]
) -> SizeModel:
    features = errors.features[rows]
    if learner == "constant":
        features = features[:, :0]
    model = SizeModel("forest" if learner == "constant" else learner, seed)
    return model.fit(features, squares, errors.weight[np.isin(errors.labelled, rows)])


def gate(
    errors: LabelErrors, n: float, learner: str, seed: int, cost: Array | None = None
) -> float:
    r"""Return the share of equal probabilities that the pilot suggests.

    Out of fold, with :math:`\pi_\tau` from the other folds' labels, the change of design variance
    that a share brings is estimated by the mean of
    :math:`D_i = w_i \sum_c \psi_{ic}^2 (1/\pi_{\tau i} - N/n) / V_c`.
    """
    sizes = held_out_sizes(errors, learner, seed, cost)
    n_labelled, n_rows = len(errors.labelled), errors.n_rows
    scaled = (errors.weight[:, None] * errors.psi**2).sum(axis=0)
    total = (errors.psi**2 / np.where(scaled > 0.0, scaled, 1.0)).sum(axis=1) * errors.weight
    gain = np.stack([total * (1.0 / sizes.probabilities(n, share) - n_rows / n) for share in MIXES])
    mean = gain.mean(axis=1)
    bound = mean + gain.std(axis=1, ddof=1) / np.sqrt(n_labelled)
    best = int(np.argmin(bound))
    return MIXES[best] if bound[best] < 0.0 else 1.0


def held_out_sizes(
    errors: LabelErrors, learner: str, seed: int, cost: Array | None = None
) -> HeldOutSizes:
    """Return the sizes of labelled rows as the other folds' labels give them."""
    rng = np.random.default_rng(seed)
    n_labelled, n_rows = len(errors.labelled), errors.n_rows
    fold = rng.permutation(np.arange(n_labelled) % N_FOLDS)
    some = np.sort(rng.choice(n_rows, min(n_rows, GATE_ROWS), replace=False))
    parts = []
    for number in range(N_FOLDS):
        outside = np.flatnonzero(fold == number)
        rows = np.append(some, errors.labelled[outside])
        size = sizes_from(errors, np.flatnonzero(fold != number), rows, learner, seed)
        parts.append((outside, size, None if cost is None else cost[rows]))
    return HeldOutSizes(tuple(parts), len(some), n_rows)


def sizes_from(
    errors: LabelErrors,
    inside: NDArray[np.intp],
    rows: NDArray[np.intp],
    learner: str,
    seed: int,
) -> Array:
    """Return sizes of some rows of the frame, learned from some of the labels."""
    known = errors.features[errors.labelled[inside]]
    features = errors.features[rows]
    if learner == "constant":
        known, features = known[:, :0], features[:, :0]
    kind = "forest" if learner == "constant" else learner
    weight = errors.weight[inside]
    if errors.residual is not None and errors.loading is not None:
        model = SizeModel(kind, seed).fit(known, errors.residual[inside] ** 2, weight)
        return target_sizes(errors.loading[rows], model.predict(features))
    columns = [
        SizeModel(kind, seed).fit(known, column[inside] ** 2, weight).predict(features)
        for column in errors.psi.T
    ]
    return target_sizes(None, np.column_stack(columns))


def expected_ratios(
    errors: LabelErrors,
    chosen: LabelErrors,
    probability: Array,
    squares: Array,
    learner: str,
    seed: int,
) -> pd.DataFrame:
    """Return the expected design variance of every coefficient over that of equal probabilities."""
    parts = []
    if errors.loading is not None and chosen.loading is not None:
        parts.append((errors.names, errors.loading**2 * squares[:, None]))
        if chosen.names != errors.names:
            parts.append((chosen.names, chosen.loading**2 * squares[:, None]))
    else:
        parts.append((errors.names, squared_errors(errors, learner, seed)))
        if chosen.names != errors.names:
            parts.append((chosen.names, squares))
    ratio: dict[str, float] = {}
    for names, values in parts:
        for name, value in zip(names, design_ratio(values, probability), strict=True):
            ratio.setdefault(name, float(value))
    return pd.DataFrame(
        {
            "term": list(ratio),
            "targeted": [name in chosen.names for name in ratio],
            "variance_ratio": list(ratio.values()),
        }
    )


def check_options(learner: str, mix: float | str) -> None:
    """Raise if there is no such learner, or the share is none."""
    if learner not in LEARNERS:
        raise ValueError(f"learner={learner!r} is not one of {', '.join(map(repr, LEARNERS))}.")
    if mix != "gate" and (isinstance(mix, str) or not 0.0 <= float(mix) <= 1.0):
        raise ValueError(f'mix={mix!r} must be "gate" or a share between 0 and 1.')
