"""How many to draw where, and whether stated draws are what they are said to be."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...validation import first_rows
from ..diagnostics import DesignWarning
from ..numerics import draws
from ..numerics.allocation import allocate, fill, neyman_shares
from .frame import (
    Levels,
    by_level,
    check_count,
    check_minimum,
    check_nested,
    constant_within,
    one_group,
    read_levels,
    read_spread,
    read_unit_size,
)

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

ALLOCATIONS = ("proportional", "equal", "neyman")
# Stated probabilities are often rounded: their sum may miss the number drawn by this share.
ROUNDED = 0.01
# Standard deviations by which a number of independent draws may miss its expectation in silence.
MOST_DEVIATIONS = 4.0


@dataclass(frozen=True)
class Plan:
    """A draw of fixed size: how many from each group, and with which probabilities.

    Attributes
    ----------
    probability : ndarray of shape (n,)
        Of the things to be drawn, rows or units.
    groups : ndarray of int of shape (n,)
    sizes : ndarray of int of shape (G,)
    is_equal : bool
        Whether groups are simple random samples.
    """

    probability: Array
    groups: Codes
    sizes: Codes
    is_equal: bool

    @classmethod
    def of(
        cls,
        n: Any,
        strata: Levels | None,
        n_things: int,
        *,
        role: str = "n",
        noun: str = "rows",
        size: Array | None = None,
        minimum: float | None = None,
        shares: Array | None = None,
    ) -> Self:
        """Plan a draw of n things; shares of strata follow sizes or numbers if not given."""
        levels = one_group(n_things) if strata is None else strata
        groups, available = levels.codes, levels.sizes
        if shares is None:
            shares = np.bincount(groups, np.ones(n_things) if size is None else size).astype(float)
        sizes = divide(n, strata, available, shares, role=role, noun=noun)
        low = check_minimum(minimum, sizes.sum(), n_things)
        if low > 0.0:
            sizes = divide(n, strata, available, shares, role=role, noun=noun, minimum=low)
        if size is None:
            return cls((sizes / available)[groups], groups, sizes, True)
        probability = fill(size, sizes, groups, low=low)
        check_random(probability, groups, sizes, strata)
        return cls(probability, groups, sizes, False)

    def draw(self, rng: np.random.Generator) -> Flags:
        """Return the flags of what is drawn."""
        if self.is_equal:
            return draws.simple_random(self.groups, self.sizes, rng)
        return draws.pivotal(self.probability, self.groups, rng)


@dataclass(frozen=True)
class FirstStage:
    """A draw of sampling units: their rows, the strata of rows, and the plan."""

    units: Levels
    strata: Levels | None
    plan: Plan

    @classmethod
    def of(cls, n: Any, units: Any, n_rows: int, *, size: Any, strata: Any, role: str) -> Self:
        """Plan a draw of n units."""
        members = read_levels(units, "units", n_rows)
        levels, of_units = None, None
        if strata is not None:
            levels = read_levels(strata, "strata", n_rows)
            check_nested(members, levels)
            of_units = Levels(levels.codes[members.first()], levels.names)
        sizes = None if size is None else read_unit_size(size, members, n_rows)
        plan = Plan.of(n, of_units, len(members.names), role=role, noun="units", size=sizes)
        return cls(members, levels, plan)


def divide(
    n: Any,
    strata: Levels | None,
    available: Codes,
    shares: Array,
    *,
    role: str,
    noun: str,
    minimum: float = 0.0,
) -> Codes:
    """Return how many to draw from each stratum.

    Parameters
    ----------
    n : int, or dict or sequence with one whole number per stratum
        A total is divided in proportion to the shares.
    strata : Levels or None
    available : ndarray of int of shape (G,)
        Rows or units in each stratum.
    shares : ndarray of shape (G,)
    role, noun : str
        Name of ``n``, and of what is drawn, in messages.
    minimum : float, default=0
        Smallest probability that each stratum must be able to give.

    Raises
    ------
    ValueError
        If a stratum would get more than it has, nothing, or a single one of several.
    """
    least = np.maximum(np.minimum(available, 2), np.ceil(minimum * available - 1e-9).astype(int))
    if are_sizes(n):
        if strata is None:
            raise ValueError(f"{role} has one number per stratum, but there are no strata.")
        return _stated_sizes(n, strata, available, least, role, noun)
    total = check_count(n, role)
    if total > available.sum():
        raise ValueError(f"{role}={total:,}, but there are only {available.sum():,} {noun}.")
    if total < least.sum():
        where = "" if strata is None else f" from each of the {len(available):,} strata"
        if minimum > 0.0:
            raise ValueError(
                f"With minimum={minimum:g}, {role}={total:,} is too few, as whole numbers of "
                f"{noun}{where} are needed. Draw {least.sum():,} or more, or lower the minimum."
            )
        merge = "" if strata is None else ", or merge strata"
        raise ValueError(
            f"{role}={total:,} is too few: at least 2 {noun}{where} are needed, or one would say "
            f"nothing of how much {noun} differ (all of them where there are fewer). Draw "
            f"{least.sum():,} or more{merge}."
        )
    return allocate(shares, total, least=least, most=available)


def are_sizes(n: Any) -> bool:
    """Whether a number of draws is stated stratum by stratum."""
    return isinstance(n, Mapping | Sequence | np.ndarray | pd.Series) and not isinstance(n, str)


def _stated_sizes(
    n: Any, strata: Levels, available: Codes, least: Codes, role: str, noun: str
) -> Codes:
    stated = by_level(n, role, strata)
    sizes = np.round(stated).astype(np.intp)
    for mask, problem in (
        (np.abs(stated - sizes) > 1e-9, "which is no whole number"),
        (stated < 1.0, f"so its {noun} could never be drawn; leave them out of the frame"),
        (sizes > available, f"but there are fewer {noun} in it"),
        (sizes < least, "which is too few: it needs 2 at least, or as its minimum asks"),
    ):
        if mask.any():
            at = int(np.flatnonzero(mask)[0])
            raise ValueError(
                f"{role} is {stated[at]:g} in stratum {strata.names[at]!r} of {available[at]:,} "
                f"{noun}, {problem}."
            )
    return sizes


def stratum_shares(allocation: str, strata: Levels, spread: Any, cost: Any) -> Array:
    """Return what a total is divided in proportion to.

    Raises
    ------
    ValueError
        If the allocation is unknown, or lacks what it needs or has what it would not use.
    """
    if allocation not in ALLOCATIONS:
        raise ValueError(
            f"allocation={allocation!r} is not one of {', '.join(map(repr, ALLOCATIONS))}, nor a "
            "dict of sizes."
        )
    rows = strata.sizes
    if allocation != "neyman":
        if spread is not None or cost is not None:
            raise ValueError(
                f"allocation={allocation!r} uses neither spread nor cost; use allocation='neyman'."
            )
        return rows.astype(float) if allocation == "proportional" else np.ones(len(rows))
    if spread is None:
        raise ValueError(
            "allocation='neyman' needs spread, the standard deviation of each stratum."
        )
    deviations = read_spread(spread, "spread", strata, squared=True)
    if not deviations.any():
        raise ValueError("spread is 0 in all strata; use allocation='proportional'.")
    costs = np.ones(len(rows))
    if cost is not None:
        costs = read_spread(cost, "cost", strata, squared=False)
        if not costs.all():
            raise ValueError(
                f"cost is 0 in stratum {strata.names[costs == 0.0][0]!r}; it must be positive."
            )
    return neyman_shares(rows, deviations, costs)


def check_random(probability: Array, groups: Codes, sizes: Codes, strata: Levels | None) -> None:
    """Raise if certain units leave one random draw in a group, which has no variance."""
    certain = np.bincount(groups, probability == 1.0, minlength=len(sizes))
    has_random = np.bincount(groups, probability < 1.0, minlength=len(sizes)) > 0
    alone = has_random & (np.round(sizes - certain) < 2)
    if alone.any():
        at = int(np.flatnonzero(alone)[0])
        where = "" if strata is None else f" in stratum {strata.names[at]!r}"
        raise ValueError(
            f"Of {sizes[at]:,} drawn{where}, {certain[at]:,.0f} are certain (probability 1), which "
            "leaves fewer than 2 random draws: nothing would tell how much the others differ. "
            "Draw more, or take less extreme sizes."
        )


def check_stated(
    probability: Array,
    drawn: Flags,
    strata: Levels | None,
    units: Levels | None,
    unit_probability: Array | None,
    *,
    is_fixed: bool,
) -> None:
    """Raise if what was drawn cannot have come from the design that is stated.

    Warns
    -----
    DesignWarning
        If the number of independent draws is far from its expectation.
    """
    check_certain(probability, drawn)
    chance, flags, noun = probability, drawn, "rows"
    groups = one_group(len(probability)) if strata is None else strata
    if units is None and unit_probability is not None:
        raise ValueError("unit_probability needs units, the sampling unit of each row.")
    if units is not None:
        check_nested(units, groups)
        _check_within(probability, drawn, units, unit_probability)
        role = "probability" if unit_probability is None else "unit_probability"
        own = probability if unit_probability is None else unit_probability
        chance, noun = constant_within(own, units, role), "units"
        flags = np.bincount(units.codes, drawn) > 0
        check_certain(own, flags[units.codes], role)
        groups = Levels(groups.codes[units.first()], groups.names)
    if not is_fixed:
        check_independent(chance, flags, noun)
        return
    _check_fixed(chance, flags, groups, noun)
    drawn_sizes = np.bincount(groups.codes, flags).astype(np.intp)
    check_random(chance, groups.codes, drawn_sizes, strata)


def _check_within(
    probability: Array, drawn: Flags, units: Levels, unit_probability: Array | None
) -> None:
    """Raise if units said to be drawn whole are not, or rows within units not as stated."""
    if unit_probability is None:
        torn = (np.bincount(units.codes, drawn) > 0)[units.codes] & ~drawn
        if torn.any():
            name = units.names[units.codes[torn][0]]
            raise ValueError(
                f"units are drawn whole, but only some rows of {name!r} and others were "
                f"({first_rows(torn)} were not). If rows were drawn within units, state "
                "unit_probability."
            )
        return
    above = probability > unit_probability * (1.0 + 1e-9)
    if above.any():
        raise ValueError(
            f"probability is larger than unit_probability on {above.sum():,} rows "
            f"({first_rows(above)}); no row is drawn without its unit."
        )
    in_drawn = (np.bincount(units.codes, drawn) > 0)[units.codes]
    codes, names = pd.factorize(units.codes[in_drawn])
    within = (probability / unit_probability)[in_drawn]
    _check_fixed(within, drawn[in_drawn], Levels(codes, units.names[names]), "rows")


def check_certain(probability: Array, drawn: Flags, role: str = "probability") -> None:
    """Raise if something certain was not drawn."""
    missed = (probability == 1.0) & ~drawn
    if missed.any():
        raise ValueError(
            f"{role} is 1 on {missed.sum():,} rows that were not drawn ({first_rows(missed)})."
        )


def _check_fixed(probability: Array, drawn: Flags, groups: Levels, noun: str) -> None:
    """Raise if the number drawn in a group is not what a draw of fixed size gives."""
    expected = np.bincount(groups.codes, probability)
    found = np.bincount(groups.codes, drawn)
    wrong = np.abs(expected - found) > np.maximum(1e-6, np.minimum(0.5, ROUNDED * found))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        where = "" if len(found) == 1 else f" in {groups.names[at]!r} ({wrong.sum():,} such groups)"
        raise ValueError(
            f"A draw of fixed size has as many {noun} as the probabilities add up to, but{where} "
            f"they add up to {expected[at]:,.2f} and {found[at]:,.0f} were drawn. For independent "
            "draws use is_fixed=False; else state the probabilities of the draw that was made."
        )


def check_independent(probability: Array, drawn: Flags, noun: str) -> None:
    """Warn if the number of independent draws is far from its expectation."""
    expected = probability.sum()
    deviation = np.sqrt((probability * (1.0 - probability)).sum())
    if abs(drawn.sum() - expected) > MOST_DEVIATIONS * deviation + 1e-9:
        warnings.warn(
            f"The probabilities add up to {expected:,.1f} {noun} (standard deviation "
            f"{deviation:,.1f}), but {drawn.sum():,} were drawn. They may not describe the draw.",
            DesignWarning,
            stacklevel=4,
        )
