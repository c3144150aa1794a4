"""Fixed effects of a fit: what they are called, and how they are taken out of an equation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..covariance import renumbered
from .numerics import Problem, Sample
from .numerics.absorb import FixedEffects, isolated_rows

Array = NDArray[np.float64]
# A column that keeps less than this share of its size is explained by the fixed effects.
EXPLAINED = 1e-9
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class Absorbed:
    r"""Effects that are concentrated out of a linear model exactly.

    With P the projection onto the dummies of all effects (weighted by the analysis weights) and
    :math:`\tilde X` the bias-corrected design, subtracting :math:`P \tilde X` from *both* versions
    of the design, and likewise for outcome and instruments, turns the equation of the slopes and
    all dummies into one of the slopes alone: the same root, and its moments are those of the
    slopes after the dummies have been concentrated out (the Schur complement of the full J).

    Where regressors are predicted that root is biased in small groups, as :math:`\tilde X` is
    noisy and is multiplied by its own projection; `Problem.gap_weight` takes the expected product
    of the noise with itself out of the equation. With nothing but the outcome predicted, and with
    every row labelled, there is nothing to take out.

    Attributes
    ----------
    names : tuple of str
    codes : ndarray of int of shape (n, n_effects)
    sample_weight : ndarray of shape (n,), or None
    """

    names: tuple[str, ...]
    codes: Codes
    sample_weight: Array | None

    @cached_property
    def effects(self) -> FixedEffects:
        """The projection over all rows."""
        return FixedEffects(self.codes, self.sample_weight)

    @property
    def rank(self) -> int:
        """Number of parameters that the effects stand for."""
        return self.effects.rank

    @property
    def n_levels(self) -> tuple[int, ...]:
        """Number of levels of each effect."""
        return tuple(int(count) + 1 for count in self.codes.max(axis=0))

    @cached_property
    def isolated(self) -> NDArray[np.bool_]:
        """Rows that some effect explains perfectly, and that say nothing about slopes."""
        return isolated_rows(self.codes)

    def absorb(self, problem: Problem, design_within: Array | None = None) -> Problem:
        """Return the problem of the slopes alone.

        ``design_within`` may hold what is left of a design that both versions share.
        """
        rows, effects, weight = self._weighted_effects(problem)

        def mean_of(predicted: Array, gold: Array) -> Array:
            combined = problem.combine(predicted, gold)[rows]
            axes = (slice(None), *[None] * (combined.ndim - 1))
            mean = np.zeros_like(predicted)
            mean[rows] = effects.project(combined / weight[axes])
            return mean

        predicted: list[Array | None] = []
        gold: list[Array | None] = []
        for part, known in zip(problem.predicted, problem.gold, strict=True):
            if part is None or known is None:
                predicted.append(None)
                gold.append(None)
                continue
            is_design = part is problem.predicted.design
            if is_design and design_within is not None and problem.share == 1.0:
                predicted.append(design_within)
                gold.append(design_within[problem.labelled])
                continue
            mean = mean_of(part, known)
            within = part - mean
            _clear_explained(within, part)
            predicted.append(within)
            gold.append(known - mean[problem.labelled])
        leverage = None
        if design_within is None and problem.share == 1.0 and len(problem.labelled):
            leverage = effects.leverage(problem.labelled)
        return replace(
            problem,
            predicted=_sample(predicted),
            gold=_sample(gold),
            dummy_leverage=leverage,
        )

    def among(self, rows: Codes, weight: Array | None = None) -> Absorbed:
        """Return the effects of some rows alone."""
        return Absorbed(self.names, renumbered(self.codes[rows]), weight)

    def _weighted_effects(self, problem: Problem) -> tuple[Codes, FixedEffects, Array]:
        """Return the rows with weight, the projection over them, and their weights."""
        if problem.share == 1.0:
            return np.arange(problem.n_rows), self.effects, problem.analysis_weight
        ones = np.ones(problem.n_rows)
        weight = problem.combine(ones, ones[problem.labelled])
        rows = np.flatnonzero(weight > 0.0)
        return rows, self.among(rows, weight[rows]).effects, weight[rows]


def _clear_explained(within: Array, part: Array) -> None:
    """Set to zero, in place, columns of which the effects have left nothing but rounding."""
    if part.ndim == 2:
        left = np.einsum("ij,ij->j", within, within)
        within[:, left <= EXPLAINED**2 * np.einsum("ij,ij->j", part, part)] = 0.0


def _sample(parts: list[Array | None]) -> Sample:
    design, outcome, instruments = parts
    assert design is not None and outcome is not None
    return Sample(design, outcome, instruments)
