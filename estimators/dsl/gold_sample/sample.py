"""The gold sample: which rows are labelled by hand, and how they were drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..numerics import draws
from ..numerics.allocation import fill
from .frame import (
    check_minimum,
    generator,
    one_group,
    read_flags,
    read_ids,
    read_levels,
    read_probability,
    read_size,
)
from .sizes import Plan, are_sizes, check_stated, stratum_shares
from .unit_draws import UnitDraws


@dataclass(frozen=True, eq=False, repr=False)
class GoldSample(UnitDraws):
    r"""Which rows of a frame are to be labelled by hand, and with which probabilities.

    Made by one of its draws, or by `from_design` for labels drawn elsewhere; it never changes.
    It says for every row, drawn or not, what the variance of an estimate needs to know: no joint
    probabilities are needed (Hájek 1964), and probabilities are never rescaled.

    Attributes
    ----------
    ids : ndarray of shape (n,)
        Whole numbers or text, one for each row of the frame.
    probability : ndarray of shape (n,)
        Inclusion probability of each row, in (0, 1].
    wave_probability : ndarray of shape (n, n_waves)
        Probability of being drawn in a wave for rows that were not drawn before.
    wave_drawn : ndarray of bool of shape (n, n_waves)
        Whether a row was drawn in a wave.
    kind : str
        The draw: name of the method, or "stated".
    is_fixed : bool
        Whether the number of sampling units in each stratum was fixed.
    strata, units : Levels or None
        ``codes`` (one per row) and ``names`` (one per level) of strata and of sampling units;
        None for one stratum, and for rows as units.
    unit_probability : ndarray of shape (n,) or None
        Inclusion probability of each row's unit, None if rows are the units or units are drawn
        whole.
    settings : tuple of (str, value) pairs
        What the draw was asked for.
    seed : int or None
        As ``random_state`` it repeats the draw; None if drawn elsewhere.

    References
    ----------
    Hájek, J. (1964). Asymptotic theory of rejective sampling with varying probabilities from a
    finite population. *Annals of Mathematical Statistics, 35*, 1491-1523.
    https://doi.org/10.1214/aoms/1177700375

    Examples
    --------
    >>> from trueness.dsl.gold_sample import GoldSample
    >>> source = ["press"] * 300 + ["web"] * 700
    >>> sample = GoldSample.stratified(1000, source, 50, random_state=1)
    >>> sample  # doctest: +ELLIPSIS
    GoldSample: 50 of 1,000 rows drawn for labelling
      draw              stratified simple random, fixed number of rows in each of 2 strata
      probability       0.05 on every row
      effective labels  50.0
      seed              1
      hash              ...
    <BLANKLINE>
    stratum  n_units  n_units_drawn  n_rows  n_drawn  mean_probability
      press      300             15     300       15              0.05
        web      700             35     700       35              0.05
    >>> sheet = sample.to_frame()
    >>> sheet[sheet["drawn"]]["stratum"].value_counts().to_dict()
    {'web': 35, 'press': 15}
    """

    @classmethod
    def poisson(
        cls,
        ids: Any,
        probability: Any = None,
        *,
        n: Any = None,
        size: Any = None,
        minimum: float | None = None,
        random_state: Any,
    ) -> Self:
        """Draw every row independently; the number of labels is random.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
            Ids of the frame; an int n stands for 0, ..., n-1. The same in all draws.
        probability : float or array of shape (n,), default=None
            Inclusion probabilities in (0, 1]. Either these or ``n``.
        n : float, default=None
            Expected number of labels.
        size : array of shape (n,), default=None
            Probabilities are proportional to it, at most 1; equal ones if None. With ``n`` only.
        minimum : float, default=None
            Smallest probability. Without it no size may be zero.
        random_state : int, Generator, SeedSequence, RandomState or None
            None draws a new seed; the sample keeps it.

        Raises
        ------
        ValueError
            If a probability is zero (then no label would represent the row) or outside (0, 1].

        Examples
        --------
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> GoldSample.poisson(1000, n=50, random_state=0).n_drawn
        45
        """
        names = read_ids(ids)
        n_rows = len(names)
        if (probability is None) == (n is None):
            raise ValueError("Give either probability, or n, the expected number of labels.")
        if n is None:
            if size is not None or minimum is not None:
                raise ValueError("size and minimum go with n; probability says it all.")
            chance = read_probability(probability, n_rows)
        else:
            if np.ndim(n) > 0 or isinstance(n, str) or not 0.0 < n <= n_rows:
                raise ValueError(f"n={n!r} labels cannot be expected of {n_rows:,} rows.")
            sizes = np.ones(n_rows)
            if size is not None:
                sizes = read_size(size, n_rows, minimum)
            low = check_minimum(minimum, n, n_rows)
            chance = fill(sizes, np.array([n]), one_group(n_rows).codes, low=low)
        seed, rng = generator(random_state)
        drawn = draws.poisson(chance, rng)
        settings = (("n", n), ("minimum", minimum))
        return cls._of(
            names, chance, drawn, kind="poisson", is_fixed=False, settings=settings, seed=seed
        )

    @classmethod
    def simple_random(cls, ids: Any, n: int, *, random_state: Any) -> Self:
        """Draw a simple random sample: every set of n rows is as likely as any other.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
        n : int
            Labels, at least 2.
        random_state : int, Generator, SeedSequence, RandomState or None

        Raises
        ------
        ValueError
            If there are fewer than n rows, or n is below 2.

        Examples
        --------
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> sample = GoldSample.simple_random(["a", "b", "c", "d"], 2, random_state=0)
        >>> sample.n_drawn, sample.probability.tolist()
        (2, [0.5, 0.5, 0.5, 0.5])
        """
        names = read_ids(ids)
        plan = Plan.of(n, None, len(names))
        seed, rng = generator(random_state)
        return cls._of(
            names,
            plan.probability,
            plan.draw(rng),
            kind="simple_random",
            settings=(("n", int(n)),),
            seed=seed,
        )

    @classmethod
    def stratified(
        cls,
        ids: Any,
        strata: Any,
        n: int | None = None,
        allocation: Any = "proportional",
        *,
        spread: Any = None,
        cost: Any = None,
        random_state: Any,
    ) -> Self:
        r"""Draw a simple random sample of fixed size from each stratum.

        Numbers per stratum are rounded by largest remainders, at least 2 and at most all rows. A
        stratum of one row is drawn with certainty.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
        strata : array of shape (n,)
            Stratum of each row, numbers or text.
        n : int, default=None
            Labels in all; not needed if ``allocation`` states the sizes.
        allocation : {"proportional", "equal", "neyman"}, dict or sequence, default="proportional"
            In proportion to the rows :math:`N_h`; equal; in proportion to
            :math:`N_h S_h / \sqrt{c_h}` (Neyman 1934); or the number of labels of each stratum:
            a dict by stratum, or a sequence in the order of sorted strata.
        spread : dict or array, default=None
            For "neyman": the standard deviation :math:`S_h` of each stratum, or one of each row,
            of which a stratum takes the root mean square.
        cost : dict or array, default=None
            For "neyman": the cost of a label in each stratum, or of each row; equal if None.
        random_state : int, Generator, SeedSequence, RandomState or None

        Raises
        ------
        ValueError
            If a stratum would get no label, one of several, or more than it has rows.

        References
        ----------
        Neyman, J. (1934). On the two different aspects of the representative method. *Journal of
        the Royal Statistical Society, 97*, 558-625. https://doi.org/10.2307/2342192

        Examples
        --------
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> source = ["press"] * 300 + ["web"] * 700
        >>> even = GoldSample.stratified(1000, source, 50, "equal", random_state=1)
        >>> even.by_stratum()["n_drawn"].tolist()
        [25, 25]
        """
        names = read_ids(ids)
        levels = read_levels(strata, "strata", len(names))
        if are_sizes(allocation):
            plan = Plan.of(allocation, levels, len(names), role="allocation")
            if n is not None and n != plan.sizes.sum():
                raise ValueError(
                    f"n={n}, but the sizes in allocation add up to {plan.sizes.sum():,}."
                )
            allocation = "stated"
        else:
            shares = stratum_shares(allocation, levels, spread, cost)
            plan = Plan.of(n, levels, len(names), shares=shares)
        seed, rng = generator(random_state)
        return cls._of(
            names,
            plan.probability,
            plan.draw(rng),
            kind="stratified",
            strata=levels,
            settings=(("n", int(plan.sizes.sum())), ("allocation", allocation)),
            seed=seed,
        )

    @classmethod
    def unequal(
        cls,
        ids: Any,
        size: Any,
        n: int | Mapping[Any, int],
        *,
        strata: Any = None,
        minimum: float | None = None,
        random_state: Any,
    ) -> Self:
        r"""Draw a fixed number of rows with probabilities proportional to a size.

        .. math:: \pi_i = \min(\max(\kappa_g s_i, \text{minimum}), 1), \qquad
            \sum_{i \in g} \pi_i = n_g

        The draw is a random pivotal tournament, whose inclusion probabilities are exact (Deville
        and Tillé 1998). It takes the place of picking the rows with the largest sizes, which
        would leave all other rows unrepresented.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
        size : array of shape (n,)
            Positive; zeros are possible with a ``minimum``.
        n : int or dict
            Labels in all, or by stratum. A total is divided in proportion to the sums of sizes.
        strata : array of shape (n,), default=None
        minimum : float, default=None
            Smallest probability; a tenth of n / N keeps weights within reason.
        random_state : int, Generator, SeedSequence, RandomState or None

        Raises
        ------
        ValueError
            If sizes are negative, missing or zero without a minimum, or so extreme that certain
            rows leave fewer than 2 random ones.

        References
        ----------
        Deville, J.-C. and Tillé, Y. (1998). Unequal probability sampling without replacement
        through a splitting method. *Biometrika, 85*, 89-101.
        https://doi.org/10.1093/biomet/85.1.89

        Examples
        --------
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> sample = GoldSample.unequal(5, [1, 1, 3, 3, 30], 3, random_state=0)
        >>> sample.n_drawn, sample.probability.round(3).tolist()
        (3, [0.25, 0.25, 0.75, 0.75, 1.0])
        """
        names = read_ids(ids)
        levels = None if strata is None else read_levels(strata, "strata", len(names))
        sizes = read_size(size, len(names), minimum)
        plan = Plan.of(n, levels, len(names), size=sizes, minimum=minimum)
        seed, rng = generator(random_state)
        return cls._of(
            names,
            plan.probability,
            plan.draw(rng),
            kind="unequal",
            strata=levels,
            settings=(("n", int(plan.sizes.sum())), ("minimum", minimum)),
            seed=seed,
        )

    @classmethod
    def from_design(
        cls,
        ids: Any,
        probability: Any,
        drawn: Any,
        *,
        is_fixed: bool,
        strata: Any = None,
        units: Any = None,
        unit_probability: Any = None,
    ) -> Self:
        """Describe labels that were drawn elsewhere.

        Parameters
        ----------
        ids : int or sequence of shape (n,)
            All rows of the frame the labels were drawn from, not only those drawn.
        probability : float or array of shape (n,)
            Inclusion probability of each row in (0, 1].
        drawn : array of bool of shape (n,)
        is_fixed : bool
            Whether the number drawn (of rows, or of units) was fixed in advance in each stratum;
            False for independent draws.
        strata, units : array of shape (n,), default=None
            Strata of the draw; units if these were drawn, not rows.
        unit_probability : array of shape (n,), default=None
            Inclusion probability of each row's unit, if a fixed number of rows was drawn within
            units; None if units were drawn whole.

        Raises
        ------
        ValueError
            If a probability is zero, a certain row was not drawn, a group of fixed size has not
            the number of draws that its probabilities add up to, or only one.

        Warns
        -----
        DesignWarning
            If the number of independent draws is far from what the probabilities add up to.

        Examples
        --------
        >>> from trueness.dsl.gold_sample import GoldSample
        >>> drawn = [True, False, True, False, False, True, False, True]
        >>> GoldSample.from_design(8, 0.5, drawn, is_fixed=True).n_drawn
        4
        """
        names = read_ids(ids)
        chance = read_probability(probability, len(names))
        flags = read_flags(drawn, "drawn", len(names))
        levels = None if strata is None else read_levels(strata, "strata", len(names))
        members = None if units is None else read_levels(units, "units", len(names))
        staged = None
        if unit_probability is not None:
            staged = read_probability(unit_probability, len(names), "unit_probability")
        check_stated(chance, flags, levels, members, staged, is_fixed=is_fixed)
        return cls._of(
            names,
            chance,
            flags,
            kind="stated",
            is_fixed=bool(is_fixed),
            strata=levels,
            units=members,
            unit_probability=staged,
        )
