"""Tables of performance measures: what `performance` and `compare_methods` return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from trueness.tables.markup import Style
from trueness.validation import did_you_mean

from .measures import Measure, wilson

_Z = float(ndtri(0.975))
#: Measures that are shares of replicates, with Wilson's interval.
PROPORTIONS = (
    *("coverage", "bias_eliminated_coverage", "rejection_rate"),
    *("failures", "nonconverged"),
)


@dataclass(frozen=True, repr=False)
class Performance:
    """Performance measures of methods, each with its Monte Carlo standard error.

    Attributes
    ----------
    frame : DataFrame
        One row per cell x method x term x measure, see `to_frame`.
    parameters : tuple of str
        Columns of the grid that tell cells apart.
    measures : tuple of str
        Names of the measures.
    level : float
        Nominal level of the confidence intervals.
    alpha : float
        Level of the tests.
    reference : str or None
        The method that the others are compared with.
    """

    frame: pd.DataFrame
    parameters: tuple[str, ...]
    measures: tuple[str, ...]
    level: float
    alpha: float
    reference: str | None = None

    def to_frame(self, *, wide: bool = False) -> pd.DataFrame:
        """Return the measures as a frame.

        Parameters
        ----------
        wide : bool, default=False
            One row per cell x method x term and, for each measure, a column of its name and one
            that ends in ``_mcse``. Otherwise one row per measure with the columns measure, value,
            mcse, mc_low and mc_high (95% Monte Carlo interval, Wilson's for proportions), n_used
            (replicates behind the value) and n_replicates (replicates tried).

        Raises
        ------
        ValueError
            If a wide frame is asked for and a parameter is named like a measure.
        """
        if not wide:
            return self.frame.copy()
        names = [name for measure in self.measures for name in (measure, f"{measure}_mcse")]
        if taken := sorted(set(names) & set(self.parameters)):
            raise ValueError(
                f"The parameters {taken} are named like measures; rename them or use wide=False."
            )
        shape = (-1, len(self.measures))
        pairs = np.stack([self.frame[c].to_numpy().reshape(shape) for c in ("value", "mcse")], 2)
        numbers = pd.DataFrame(pairs.reshape(len(pairs), -1), columns=names)
        return pd.concat([self.keys, numbers], axis=1)

    @property
    def keys(self) -> pd.DataFrame:
        """Parameters of the grid, method, term and n_replicates: one row per group."""
        names = [*self.parameters, "method", "term", "n_replicates"]
        return self.frame[names].iloc[:: len(self.measures)].reset_index(drop=True)

    def select(self, measure: str) -> pd.DataFrame:
        """Return the rows of one measure.

        Raises
        ------
        ValueError
            If there is no such measure.
        """
        if measure not in self.measures:
            raise ValueError(
                f"There is no measure {measure!r}.{did_you_mean(measure, self.measures)}"
            )
        return self.frame[self.frame["measure"] == measure].reset_index(drop=True)

    def render(self, style: Style, measures: Sequence[str] | str | None = None) -> str:
        """Write the measures as a table, Monte Carlo standard errors in parentheses below.

        Parameters
        ----------
        style : {"text", "html", "latex", "markdown"}
            Language to write; LaTeX needs the package booktabs.
        measures : sequence of str or str, default=None
            Measures to show, in this order; "all"; if None those that most papers report. The
            smallest Monte Carlo standard error of a column shows two significant digits.

        Raises
        ------
        ValueError
            If a measure is unknown.
        """
        from .tables import render

        return render(self, style, measures)

    def summary(self, measures: Sequence[str] | str | None = None) -> str:
        """Return the table as text; see `render`."""
        return self.render("text", measures)

    def to_html(self, measures: Sequence[str] | str | None = None) -> str:
        """Return the table as HTML; see `render`."""
        return self.render("html", measures)

    def to_latex(self, measures: Sequence[str] | str | None = None) -> str:
        """Return the table as LaTeX (booktabs); see `render`."""
        return self.render("latex", measures)

    def to_markdown(self, measures: Sequence[str] | str | None = None) -> str:
        """Return the table as markdown; see `render`."""
        return self.render("markdown", measures)

    def plot(self, *measures: str, **options: Any) -> Any:
        """Return a figure; arguments are those of `trueness.simulations.plots.measure_plot`."""
        from ..plots import measure_plot

        return measure_plot(self, *measures, **options)

    def __str__(self) -> str:
        return self.summary()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()


def stack(
    keys: pd.DataFrame, n_replicates: np.ndarray, measures: Mapping[str, Measure]
) -> pd.DataFrame:
    """Return the long frame of measures, with their Monte Carlo intervals.

    Parameters
    ----------
    keys : DataFrame
        Parameters, method and term of each group.
    n_replicates : ndarray of shape (n_groups,)
        Replicates tried.
    measures : mapping of str to Measure
        The measures by name.
    """
    value, mcse, n_used = (
        np.column_stack([getattr(measure, name) for measure in measures.values()])
        for name in ("value", "mcse", "n")
    )
    low, high = value - _Z * mcse, value + _Z * mcse
    for column, name in enumerate(measures):
        if name in PROPORTIONS:
            share, error = value[:, column], mcse[:, column]
            # That of as many replicates as would give a plain share this standard error.
            n = np.where(error > 0, share * (1 - share) / np.maximum(error, 1e-12) ** 2, np.nan)
            ends = wilson(share, np.where(n > 0, n, n_used[:, column]))
            low[:, column], high[:, column] = ends
    frame = keys.loc[keys.index.repeat(len(measures))].reset_index(drop=True)
    frame["measure"] = np.tile(list(measures), len(keys))
    for name, numbers in {"value": value, "mcse": mcse, "mc_low": low, "mc_high": high}.items():
        frame[name] = numbers.ravel()
    frame["n_used"] = n_used.ravel().astype(np.int64)
    frame["n_replicates"] = np.repeat(n_replicates.astype(np.int64), len(measures))
    return frame
