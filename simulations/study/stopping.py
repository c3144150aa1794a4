"""Stopping a cell when its Monte Carlo errors are small enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .replicate import Piece
from .spans import Span, merge, missing

Array = NDArray[np.float64]

#: Replicates between two looks at the Monte Carlo errors.
BLOCK = 100
_MEASURES = ("bias", "empirical_se", "coverage", "rejection_rate")
_KEYS = ("method", "term")
_SHARES = ("coverage", "rejection_rate")
# More than this many times the replicates so far are never ordered on the strength of them.
_MOST_GROWTH = 4


class StoppingRule:
    r"""Decides after every 100 replicates whether a cell has enough.

    A cell stops at the first multiple of 100 at which every Monte Carlo error, of all methods and
    terms, is at most its target:

    .. math::

        \frac{s_e}{\sqrt{n}} \text{ (bias)}, \qquad
        \frac{1}{2 s} \sqrt{\frac{m_4 - m_2^2}{n}} \text{ (empirical SE)}, \qquad
        \sqrt{\frac{\tilde p (1 - \tilde p)}{n}}, \; \tilde p = \frac{k + 2}{n + 4}
        \text{ (shares)}.

    with central moments m, so that heavy tails do not stop a cell too early. A share is moved a
    little to the middle (Agresti and Coull), or else a cell in which the first
    100 intervals all cover would stop. The decision follows the replicates in their order, so
    that it does not depend on which of them were finished first.

    Parameters
    ----------
    targets : dict of str to float
        Monte Carlo error to reach of "bias", "empirical_se", "coverage", "rejection_rate".
    n_replicates : int
        Where to stop at the latest.

    Raises
    ------
    ValueError
        If a measure is unknown or a target is not positive.
    """

    def __init__(self, targets: Mapping[str, float], n_replicates: int) -> None:
        if not isinstance(targets, Mapping) or not targets:
            raise ValueError("until must be a dict as {'coverage': 0.005}.")
        for name, target in targets.items():
            if name not in _MEASURES:
                raise ValueError(f"until has {name!r}; it knows {', '.join(_MEASURES)}.")
            if not target > 0:
                raise ValueError(f"until={{{name!r}: {target}}} must be positive.")
        self._targets = dict(targets)
        self._n_replicates = n_replicates
        self._progress: dict[str, _Progress] = {}

    def add(self, piece: Piece) -> None:
        """Take in rows, in any order; replicates that are known already do not count twice."""
        progress = self._progress.setdefault(piece.cell, _Progress())
        progress.add(piece)
        while progress.stop is None and (block := progress.next_block()) is not None:
            progress.moments = _merged(progress.moments, _moments(block))
            progress.n_seen += BLOCK
            worst = self._worst_ratio(progress.moments)
            if worst <= 1.0:
                progress.stop = progress.n_seen
            progress.wanted = _forecast(progress.n_seen, worst)

    def n_wanted(self, cell: str) -> int:
        """Return up to which replicate a cell should be run before the next decision."""
        progress = self._progress.get(cell, _Progress())
        wanted = progress.wanted if progress.stop is None else progress.stop
        return min(self._n_replicates, wanted)

    def _worst_ratio(self, moments: pd.DataFrame) -> float:
        """Return the largest ratio of a Monte Carlo error to its target, NaN if there is none."""
        measures = moments.index.get_level_values("measure")
        ratios = [
            _monte_carlo_error(name, moments[measures == name]) / target
            for name, target in self._targets.items()
        ]
        finite = [ratio[np.isfinite(ratio)] for ratio in ratios]
        # A measure that nothing has (coverage of methods without intervals) stops no cell.
        if any(len(ratio) == 0 for ratio in finite):
            return np.nan
        return float(max(ratio.max() for ratio in finite))


@dataclass
class _Progress:
    """What is known of a cell: sums over the blocks decided on, rows of those to come."""

    n_seen: int = 0
    wanted: int = BLOCK
    stop: int | None = None
    moments: pd.DataFrame | None = None
    seen: list[Span] = field(default_factory=list)
    waiting: list[pd.DataFrame] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        new = missing((piece.start, piece.stop), self.seen)
        if self.stop is None and new:
            columns = ["replicate", "method", "term", "estimate", "estimand", "p_value"]
            frame = piece.table.select([*columns, "conf_low", "conf_high"]).to_pandas()
            number = frame["replicate"]
            self.waiting += [frame[(number >= start) & (number < stop)] for start, stop in new]
        self.seen = merge([*self.seen, *new])

    def next_block(self) -> pd.DataFrame | None:
        """Return the rows of the next 100 replicates in order, None if some are not there yet."""
        end = self.n_seen + BLOCK
        if not self.seen or self.seen[0][0] > 0 or self.seen[0][1] < end:
            return None
        rows = pd.concat(self.waiting).sort_values("replicate", kind="stable")
        self.waiting = [rows[rows["replicate"] >= end]]
        return rows[rows["replicate"] < end]


def _moments(rows: pd.DataFrame) -> pd.DataFrame:
    """Return count, mean and sums of powers about it, by measure, method and term."""
    low, high, truth = rows["conf_low"], rows["conf_high"], rows["estimand"]
    covers = ((low <= truth) & (truth <= high)).astype(float)
    values = {
        "bias": rows["estimate"] - truth,
        "empirical_se": rows["estimate"] - truth,
        "coverage": covers.where(np.isfinite(truth) & low.notna() & high.notna()),
        "rejection_rate": (rows["p_value"] <= 0.05).astype(float).where(rows["p_value"].notna()),
    }
    long = pd.concat({name: values[name] for name in _MEASURES}, names=["measure"])
    keys = [long.index.get_level_values("measure")]
    keys += [pd.Index(np.tile(rows[name].to_numpy(), len(values)), name=name) for name in _KEYS]
    long = long.where(np.isfinite(long))
    groups = long.groupby(keys)
    n, mean = groups.count(), groups.mean()
    gap = long - groups.transform("mean")
    powers = {
        name: (gap**power).groupby(keys).sum()
        for name, power in (("squares", 2), ("cubes", 3), ("quartics", 4))
    }
    return pd.DataFrame({"n": n, "mean": mean, **powers})[n > 0]


def _merged(first: pd.DataFrame | None, second: pd.DataFrame) -> pd.DataFrame:
    """Pool the moments of two sets of rows (Chan, Golub and LeVeque 1983; Terriberry 2007)."""
    if first is None:
        return second
    a, b = first.align(second, fill_value=0.0)
    n = a["n"] + b["n"]
    gap = b["mean"] - a["mean"]
    mean = a["mean"] + gap * b["n"] / n
    product = a["n"] * b["n"]
    squares = a["squares"] + b["squares"] + gap**2 * product / n
    cubes = a["cubes"] + b["cubes"] + gap**3 * product * (a["n"] - b["n"]) / n**2
    cubes += 3 * gap * (a["n"] * b["squares"] - b["n"] * a["squares"]) / n
    quartics = a["quartics"] + b["quartics"]
    quartics += gap**4 * product * (a["n"] ** 2 - product + b["n"] ** 2) / n**3
    quartics += 6 * gap**2 * (a["n"] ** 2 * b["squares"] + b["n"] ** 2 * a["squares"]) / n**2
    quartics += 4 * gap * (a["n"] * b["cubes"] - b["n"] * a["cubes"]) / n
    return pd.DataFrame(
        {"n": n, "mean": mean, "squares": squares, "cubes": cubes, "quartics": quartics}
    )


def _monte_carlo_error(measure: str, moments: pd.DataFrame) -> Array:
    n, mean, squares = (moments[name].to_numpy() for name in ("n", "mean", "squares"))
    quartics = moments["quartics"].to_numpy()
    if measure in _SHARES:
        share = (mean * n + 2) / (n + 4)
        return np.sqrt(share * (1 - share) / n)
    with np.errstate(invalid="ignore", divide="ignore"):  # a single replicate has no spread
        variance = squares / (n - 1)
        if measure == "bias":
            return np.sqrt(variance / n)
        spread = np.maximum(quartics / n - (squares / n) ** 2, 0.0)
        return np.sqrt(spread / n) / (2 * np.sqrt(variance))


def _forecast(n: int, worst_ratio: float) -> int:
    """Return the replicates that will do if errors fall as 1 / sqrt(n), in whole blocks."""
    needed = n * min(worst_ratio**2, _MOST_GROWTH) if np.isfinite(worst_ratio) else 2 * n
    return max(n + BLOCK, int(np.ceil(needed / BLOCK)) * BLOCK)
