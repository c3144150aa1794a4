"""Validated data of one fit, and the estimating equations that they pose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..covariance import Codes, n_clusters, renumbered
from .fixed_effects import Absorbed
from .numerics import Draw, MomentModel, Problem, Sample, SamplingDesign
from .versions import Versions

# Sampling units below which all of the small-sample correction is made: with 5 whole clusters half
# of it made intervals that cover 92 percent, with 10 clusters 95.
LEAST_HALVED = 10

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledData:
    """Everything about one fit but the predictions.

    Attributes
    ----------
    model : MomentModel
    versions : Versions
        Predicted and gold data.
    design : SamplingDesign
        How labels were drawn; probabilities rescaled by ``factor``.
    factor : float
    sample_weight : ndarray of shape (n,), or None
        Analysis weights with mean 1.
    clusters : ndarray of int of shape (n,) or (n, 2), or None
    absorbed : Absorbed, or None
        Fixed effects.
    class_names : tuple of str
        Equations of a multinomial model.
    parameter_names : tuple of str
        Names of the parameters, where they are not the terms of the design.
    rows_lost : dict
        Rows left out before the fit, by the reason.
    facts : dict
        Header facts known from the input.
    sample_kind : str
        Design of a gold sample, in words.
    """

    model: MomentModel
    versions: Versions
    design: SamplingDesign
    factor: float
    sample_weight: Array | None = None
    clusters: Codes | None = None
    absorbed: Absorbed | None = None
    class_names: tuple[str, ...] = ()
    parameter_names: tuple[str, ...] = ()
    rows_lost: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    sample_kind: str = ""

    def after_learning(self, predictions: Array) -> LabelledData:
        """Return the data once the predictions, shape (n_repeats, n, n_columns), are known."""
        versions = self.versions.learn(predictions)
        return self if versions is self.versions else replace(self, versions=versions)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.versions.n_rows

    @cached_property
    def labelled(self) -> Codes:
        """Positions of the rows whose gold values are all known."""
        return np.flatnonzero(self.versions.labelled)

    @property
    def probability(self) -> Array:
        """Sampling probabilities of all rows, shape (n,)."""
        return self.design.probability

    @cached_property
    def draw(self) -> Draw:
        """The sampling units that were drawn."""
        return self.design.draw(self.labelled)

    @property
    def is_complete(self) -> bool:
        """Whether every row is labelled."""
        return len(self.labelled) == self.n_rows

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the parameters."""
        if self.parameter_names:
            return self.parameter_names
        terms = self.versions.terms
        if not self.class_names:
            return terms
        return tuple(f"{name}: {term}" for name in self.class_names for term in terms)

    @property
    def n_absorbed(self) -> int:
        """Number of parameters that were concentrated out."""
        return 0 if self.absorbed is None else self.absorbed.rank

    @cached_property
    def effective_labels(self) -> float:
        """Kish's effective number of labels."""
        weight = 1.0 / self.probability[self.labelled]
        return float(weight.sum() ** 2 / (weight @ weight))

    @property
    def correction_share(self) -> float:
        """Share of the small-sample correction that the labels' errors take."""
        if self.absorbed is not None or self.draw.n_units < LEAST_HALVED:
            return 1.0
        is_rows = bool((self.draw.size == 1.0).all())
        return self.model.row_correction if is_rows else self.model.unit_correction

    @cached_property
    def n_without_labels(self) -> int:
        """Number of rows, or of one-way clusters, in which nothing is labelled."""
        if self.clusters is None:
            return self.n_rows - len(self.labelled)
        return n_clusters(self.clusters) - len(np.unique(self.clusters[self.labelled], axis=0))

    def problem(self, predictions: Array, share: float = 1.0) -> Problem:
        """Return the equation that one repeat's predictions, shape (n, n_columns), pose.

        ``share`` is the weight of the predictions: 1 for design-based supervised learning, 0 for
        the gold labels alone.
        """
        predicted = self.versions.predicted(predictions)
        if self.is_complete:
            return self._finish(self._all_known(predicted))
        problem = Problem(
            model=self.model,
            predicted=predicted,
            gold=self.versions.gold(self.labelled),
            labelled=self.labelled,
            probability=self.probability[self.labelled],
            sample_weight=self.sample_weight,
            share=share,
        )
        return self._finish(problem)

    def uncorrected(self, predictions: Array) -> Problem:
        """Return the equation that takes the predictions for the truth."""
        return self._finish(self._all_known(self.versions.predicted(predictions)))

    def gold_only(self) -> Problem:
        """Return the equation of the labelled rows alone, weighted by 1 / probability.

        It has the root of ``problem(..., share=0)`` at the cost of the labelled rows.
        """
        rows = self.labelled
        known = self.versions.gold(rows)
        problem = Problem(
            model=self.model,
            predicted=known,
            gold=known,
            labelled=np.arange(len(rows)),
            probability=self.probability[rows],
            sample_weight=None if self.sample_weight is None else self.sample_weight[rows],
            share=0.0,
        )
        if self.absorbed is not None:
            problem = self.absorbed.among(rows).absorb(problem)
        return problem.bound()

    def labelled_clusters(self) -> Codes | None:
        """Return the clusters of the labelled rows, numbered anew."""
        return None if self.clusters is None else renumbered(self.clusters[self.labelled])

    def _all_known(self, sample: Sample) -> Problem:
        none = np.empty(0, dtype=np.intp)
        return Problem(
            model=self.model,
            predicted=sample,
            gold=sample.rows(none),
            labelled=none,
            probability=np.empty(0),
            sample_weight=self.sample_weight,
        )

    def _finish(self, problem: Problem) -> Problem:
        if self.absorbed is not None:
            within = self.design_within if self.versions.shares_design else None
            problem = self.absorbed.absorb(problem, within)
        return problem.bound()

    @cached_property
    def design_within(self) -> Array:
        """What the fixed effects leave of a design that both versions share, shape (n, k)."""
        design = self.versions.frame_design()
        assert self.absorbed is not None and design is not None
        return self.absorbed.effects.within(design)
