r"""Random draws of sampling units: independent, simple random within groups, unequal of fixed size.

Every function returns the flags of the units drawn; none of them ever looks at a unit's data. Units
of one group need not be neighbours. Memory and time are linear in the number of units.

Arrays in, arrays out; nothing here knows about users.

References
----------
Deville, J.-C. and Tillé, Y. (1998). Unequal probability sampling without replacement through a
splitting method. *Biometrika, 85*, 89-101. https://doi.org/10.1093/biomet/85.1.89
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

# A last probability nearer than this to 0 or 1 is there by rounding in sums of probabilities.
ROUNDING = 1e-6


def poisson(probability: Array, rng: np.random.Generator) -> Flags:
    """Draw every unit independently with its own probability.

    Examples
    --------
    >>> poisson(np.array([1.0, 0.5, 1.0]), np.random.default_rng(0))
    array([ True,  True,  True])
    """
    return rng.random(len(probability)) < probability


def simple_random(groups: Codes, sizes: Codes, rng: np.random.Generator) -> Flags:
    """Draw a simple random sample of given size from each group.

    Parameters
    ----------
    groups : ndarray of int of shape (n,)
        Group of each unit, 0, ..., G-1.
    sizes : ndarray of int of shape (G,)
        Units to draw from each group, at most as many as it has.
    rng : Generator

    Examples
    --------
    >>> drawn = simple_random(np.repeat([0, 1], 50), np.array([3, 7]), np.random.default_rng(0))
    >>> int(drawn[:50].sum()), int(drawn[50:].sum())
    (3, 7)
    """
    order = shuffled(groups, rng)
    drawn = np.zeros(len(groups), dtype=bool)
    drawn[order[rank(groups[order]) < sizes[groups[order]]]] = True
    return drawn


def pivotal(probability: Array, groups: Codes, rng: np.random.Generator) -> Flags:
    r"""Draw with unequal probabilities and fixed size in each group: the random pivotal tournament.

    In each round the undecided units of a group, in random order, meet in pairs with
    probabilities a and b:

    * if :math:`a + b < 1` one of them is out, and the other goes on with :math:`a + b`; the first
      goes on with probability :math:`a / (a + b)`;
    * else one of them is drawn, and the other goes on with :math:`a + b - 1`; the first is drawn
      with probability :math:`(1 - b) / (2 - a - b)`.

    Either way both keep their expectations, so inclusion probabilities are exact, and the sum of
    a group never changes, so its number of units is fixed. Where that sum is no whole number,
    the last unit is drawn with what is left of it: the number is one of the two next to the sum.

    Parameters
    ----------
    probability : ndarray of shape (n,)
        Inclusion probabilities in [0, 1]; 0 and 1 are decided already.
    groups : ndarray of int of shape (n,)
        Group of each unit, 0, ..., G-1.
    rng : Generator

    Examples
    --------
    >>> probability = np.linspace(0.02, 0.18, 100)  # they sum to 10
    >>> int(pivotal(probability, np.zeros(100, dtype=int), np.random.default_rng(0)).sum())
    10
    """
    chance = probability.astype(float)
    # One shuffle is enough: who meets whom later is as random as the places in this order.
    undecided = _undecided(chance, shuffled(groups, rng))
    while True:
        first = _first_of_pairs(groups[undecided])
        if not len(first):
            break
        _duel(chance, undecided[first], undecided[first + 1], rng)
        undecided = _undecided(chance, undecided)
    last = chance[undecided]
    last = np.where(np.abs(last - np.round(last)) < ROUNDING, np.round(last), last)
    chance[undecided] = rng.random(len(last)) < last
    return chance == 1.0


def _duel(chance: Array, one: Codes, other: Codes, rng: np.random.Generator) -> None:
    """Let pairs of units meet; their probabilities in ``chance`` become what they go on with."""
    a, b = chance[one], chance[other]
    total = a + b
    is_small = total < 1.0
    win = np.where(is_small, a / total, (1.0 - b) / np.where(is_small, 1.0, 2.0 - total))
    first_wins = rng.random(len(a)) < win
    winner = np.where(first_wins, one, other)
    loser = np.where(first_wins, other, one)
    chance[winner] = np.where(is_small, total, 1.0)
    chance[loser] = np.where(is_small, 0.0, total - 1.0)


def _undecided(chance: Array, units: Codes) -> Codes:
    return units[(chance[units] > 0.0) & (chance[units] < 1.0)]


def _first_of_pairs(groups: Codes) -> Codes:
    """Return positions that begin a pair of neighbours in one group; an odd last one waits."""
    place = rank(groups)
    is_followed = np.zeros(len(groups), dtype=bool)
    is_followed[:-1] = groups[1:] == groups[:-1]
    return np.flatnonzero((place % 2 == 0) & is_followed)


def shuffled(groups: Codes, rng: np.random.Generator) -> Codes:
    """Return all units, group after group, in random order within each."""
    order = rng.permutation(len(groups))
    return order[np.argsort(groups[order], kind="stable")]


def rank(groups: Codes) -> Codes:
    """Return places 0, 1, ... within runs of equal neighbours.

    Examples
    --------
    >>> rank(np.array([0, 0, 0, 2, 2, 5]))
    array([0, 1, 2, 0, 1, 0])
    """
    if not len(groups):
        return np.empty(0, dtype=np.intp)
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    lengths = np.diff(np.append(starts, len(groups)))
    return np.arange(len(groups)) - np.repeat(starts, lengths)
