r"""Sampling designs of gold labels, and the variance that the draw gives to totals.

One formula serves every design. Sampling units u (rows, or primary sampling units of rows) belong
to groups g (strata; one group if there are none). With :math:`a_u` the total of a unit, estimated
from the rows labelled in it by their probability within the unit, the expansion total
:math:`\sum_{u \in s} a_u / \pi_u` has the estimated design variance

.. math:: C_D = \sum_g \sum_{u \in s_g} c_u (a_u/\pi_u - A_g)(a_u/\pi_u - A_g)'

with, for groups of fixed size, :math:`c_u = (1 - \pi_u)\, n_g / (n_g - 1)` and
:math:`A_g = \sum c_u a_u / \pi_u \big/ \sum c_u` (Hájek 1964, Deville 1999), and for independent
draws (Poisson sampling) :math:`c_u = 1 - \pi_u`, :math:`A_g = 0`. It is exact for simple random and
stratified sampling, the high-entropy approximation for unequal probabilities of fixed size. Units
with probability one contribute nothing and are not counted in :math:`n_g`.

Arrays in, arrays out; nothing here knows about users.

References
----------
Hájek, J. (1964). Asymptotic theory of rejective sampling with varying probabilities from a finite
population. *Annals of Mathematical Statistics, 35*, 1491-1523.
https://doi.org/10.1214/aoms/1177700375
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...covariance import renumbered

Array = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class SamplingDesign:
    """How labels were drawn: what is known of every row of the frame.

    Attributes
    ----------
    probability : ndarray of shape (n,)
        Overall inclusion probability of each row, in (0, 1].
    is_fixed : bool
        Whether the number of sampling units in each group was fixed, or is taken as given.
    groups : ndarray of int of shape (n,), or None
        Stratum of each row's sampling unit; one group if None.
    units : ndarray of int of shape (n,), or None
        Primary sampling unit of each row; the rows themselves if None.
    unit_probability : ndarray of shape (n,), or None
        Inclusion probability of each row's unit. With it, probability / unit_probability is that
        of the row within its unit. None: whole units are labelled.
    is_fixed_within : bool
        Whether the number of rows labelled in each drawn unit was fixed.
    """

    probability: Array
    is_fixed: bool = False
    groups: Codes | None = None
    units: Codes | None = None
    unit_probability: Array | None = None
    is_fixed_within: bool = True

    @property
    def n_rows(self) -> int:
        """Number of rows of the frame."""
        return len(self.probability)

    @property
    def has_rows_as_units(self) -> bool:
        """Whether rows were drawn one by one."""
        return self.units is None

    @property
    def is_equal(self) -> bool:
        """Whether all rows have the same probability."""
        return bool(np.ptp(self.probability) < 1e-12)

    def take(self, rows: Codes, labelled: Codes) -> SamplingDesign:
        """Return the design of some rows, given which rows of the frame were labelled.

        Given the number of labels among the rows kept, a simple random or stratified sample is
        one of them too, with the probabilities that this number implies. A fixed-size sample with
        unequal probabilities counts as independent draws from then on, which is conservative.
        """
        kept = replace(
            self,
            probability=self.probability[rows],
            groups=None if self.groups is None else renumbered(self.groups[rows]),
            units=None if self.units is None else renumbered(self.units[rows]),
            unit_probability=None if self.unit_probability is None else self.unit_probability[rows],
        )
        if not self.is_fixed or self.units is not None or len(rows) == self.n_rows:
            return kept
        is_labelled = np.zeros(self.n_rows, dtype=bool)
        is_labelled[labelled] = True
        group = np.zeros(len(rows), dtype=np.intp) if kept.groups is None else kept.groups
        sizes = np.bincount(group)
        least, largest = (np.full(len(sizes), start) for start in (np.inf, 0.0))
        np.minimum.at(least, group, kept.probability)
        np.maximum.at(largest, group, kept.probability)
        if (largest - least > 1e-9 * largest).any():
            return replace(kept, is_fixed=False)
        share = np.bincount(group, is_labelled[rows]) / sizes
        return replace(kept, probability=share[group])

    def draw(self, labelled: Codes) -> Draw:
        """Return the draw that labelled some rows."""
        n = len(labelled)
        units, unit_of, size = np.arange(n), None, np.ones(n)
        probability = self.probability[labelled]
        within = np.ones(n)
        if self.units is not None:
            unit_of, first, units = np.unique(
                self.units[labelled], return_index=True, return_inverse=True
            )
            size = np.bincount(self.units)[unit_of].astype(float)
            if self.unit_probability is not None:
                within = probability / self.unit_probability[labelled]
                probability = self.unit_probability[labelled]
            probability = probability[first]
        else:
            first = np.arange(n)
        group = np.zeros(len(first), dtype=np.intp)
        if self.groups is not None:
            group = self.groups[labelled][first]
        return Draw(
            units=units.astype(np.intp),
            # Rescaled probabilities may exceed 1 a little; such a unit is certain.
            probability=np.minimum(probability, 1.0),
            within=within,
            groups=group,
            size=size,
            is_fixed=self.is_fixed,
            is_fixed_within=self.is_fixed_within,
            has_rows_as_units=self.units is None,
        )

    def expected(self, centre: Array, draw: Draw) -> Array:
        r"""Return :math:`\pi_u A_g`, spread over the rows of each unit of the frame, (n, k)."""
        n_groups = 1 if self.groups is None else int(self.groups.max()) + 1
        by_group = np.zeros((n_groups, centre.shape[1]))
        random = draw.probability < 1.0
        by_group[draw.groups[random]] = centre[random]
        chance = self.probability if self.unit_probability is None else self.unit_probability
        share = np.where(chance < 1.0, chance, 0.0)  # certain units are no part of the draw
        if self.units is not None:
            share = share / np.bincount(self.units)[self.units]
        groups = np.zeros(self.n_rows, dtype=np.intp) if self.groups is None else self.groups
        return share[:, None] * by_group[groups]


@dataclass(frozen=True)
class Draw:
    """The sampling units that were drawn, and the labelled rows in them.

    Attributes
    ----------
    units : ndarray of int of shape (n_labelled,)
        Unit of each labelled row, numbered from 0.
    probability : ndarray of shape (U,)
        Inclusion probabilities of the units.
    within : ndarray of shape (n_labelled,)
        Probability of each labelled row given that its unit was drawn.
    groups : ndarray of int of shape (U,)
        Group of each unit.
    size : ndarray of shape (U,)
        Rows of the frame in each unit.
    is_fixed, is_fixed_within : bool
        As in `SamplingDesign`.
    has_rows_as_units : bool
    """

    units: Codes
    probability: Array
    within: Array
    groups: Codes
    size: Array
    is_fixed: bool
    is_fixed_within: bool
    has_rows_as_units: bool

    @property
    def n_units(self) -> int:
        """Number of drawn units."""
        return len(self.probability)

    @cached_property
    def n_random(self) -> Codes:
        """Number of drawn units in each group that were not certain, shape (n_groups,)."""
        return np.bincount(self.groups, self.probability < 1.0).astype(np.intp)

    @property
    def df(self) -> float:
        """Degrees of freedom of the design: random units less groups of fixed size."""
        n = int(self.n_random.sum())
        return float(n - (int((self.n_random > 0).sum()) if self.is_fixed else 0))

    @cached_property
    def rows_in_unit(self) -> Array:
        """Number of labelled rows in each drawn unit, shape (U,)."""
        return np.bincount(self.units, minlength=self.n_units).astype(float)

    def totals(self, values: Array) -> Array:
        """Return the totals of units, estimated from their labelled rows, shape (U, k)."""
        if self.has_rows_as_units:
            return values
        expanded = values / self.within[:, None]
        return np.column_stack(
            [np.bincount(self.units, column, minlength=self.n_units) for column in expanded.T]
        )

    @cached_property
    def factor(self) -> Array:
        """:math:`c_u`, shape (U,)."""
        chance = 1.0 - self.probability
        if not self.is_fixed:
            return chance
        n = self.n_random[self.groups]
        # A single unit says nothing of the spread; it is taken as drawn independently.
        return chance * np.where(n > 1, n / np.maximum(n - 1, 1), 1.0)

    def centre(self, totals: Array) -> Array:
        """Return :math:`A_g` of each unit's group, zero for certain units, shape (U, k)."""
        if not self.is_fixed:
            return np.zeros_like(totals)
        weight = self.factor / self.probability
        sums = [np.bincount(self.groups, weight * column) for column in totals.T]
        scale = np.bincount(self.groups, self.factor)
        usable = (scale > 0.0) & (self.n_random > 1)
        means = np.column_stack(sums) / np.where(scale > 0.0, scale, 1.0)[:, None]
        centre: Array = np.where(usable[:, None], means, 0.0)[self.groups]
        return np.where(self.probability[:, None] < 1.0, centre, 0.0)

    def deviations(self, totals: Array) -> Array:
        r"""Return :math:`a_u / \pi_u - A_g`, shape (U, k)."""
        return totals / self.probability[:, None] - self.centre(totals)

    def contributions(self, totals: Array) -> Array:
        """Return rows whose outer products sum to :math:`C_D`, shape (U, k)."""
        return np.sqrt(self.factor)[:, None] * self.deviations(totals)

    def contributions_within(self, values: Array) -> Array:
        r"""Return rows that add the draw within units, shape (n_labelled, k).

        The outer products sum to :math:`\sum_{u \in s} C_D^{(2)}(u) / \pi_u`, the second stage by
        the same formula with the unit as group.
        """
        second = Draw(
            units=np.arange(len(values)),
            probability=self.within,
            within=np.ones(len(values)),
            groups=self.units,
            size=np.ones(len(values)),
            is_fixed=self.is_fixed_within,
            is_fixed_within=True,
            has_rows_as_units=True,
        )
        return second.contributions(values) / np.sqrt(self.probability)[self.units][:, None]

    def spread(self, totals: Array) -> Array:
        """Return values of units, shared out among their labelled rows, shape (n_labelled, k)."""
        if self.has_rows_as_units:
            return totals
        return (totals / self.rows_in_unit[:, None])[self.units]
