"""How many decimals to show of an estimate, and how to write statistics and p values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class NumberFormat:
    """How to write the numbers of one row: with fixed decimals, or with a power of ten."""

    decimals: int
    scientific: bool = False

    def __call__(self, value: float) -> str:
        """Return the number with an ASCII minus, ``n/a`` or ``inf``."""
        if np.isnan(value):
            return "n/a"
        if np.isinf(value):
            return "inf" if value > 0 else "-inf"
        text = f"{value:.{self.decimals}{'e' if self.scientific else 'f'}}"
        return text.removeprefix("-") if float(text) == 0 else text


def number_format(values: NDArray[Any], std_errors: NDArray[Any], digits: int) -> NumberFormat:
    """Choose decimals by the standard errors, which say how many of them mean anything.

    Ordinary numbers get ``digits`` decimals. More are given until the smallest standard error
    shows two significant digits; fewer where it would show more than ``digits + 2``.

    Parameters
    ----------
    values : ndarray
        Every number that will be written.
    std_errors : ndarray
        The standard errors among them.
    digits : int
        Decimals of an ordinary number.
    """
    sizes = np.abs(values[np.isfinite(values) & (values != 0)])
    if not len(sizes):
        return NumberFormat(digits)
    errors = std_errors[np.isfinite(std_errors) & (std_errors > 0)]
    place = int(np.floor(np.log10(min(errors, default=sizes.max()))))
    decimals = min(max(digits, 1 - place), max(0, digits + 1 - place))
    if sizes.max() >= 1e7 or sizes.max() < 1e-4 or decimals > 8:
        return NumberFormat(digits, scientific=True)
    return NumberFormat(decimals)


def number_formats(frame: pd.DataFrame, digits: int) -> dict[str, NumberFormat]:
    """Choose the format of each term, the same for all unless their scales are far apart."""
    formats = {
        str(term): number_format(
            rows[["estimate", "std_error", "conf_low", "conf_high"]].to_numpy(float),
            rows["std_error"].to_numpy(float),
            digits,
        )
        for term, rows in frame.groupby("term", sort=False)
    }
    decimals = [each.decimals for each in formats.values() if not each.scientific]
    if decimals and max(decimals) - min(decimals) <= 2:
        common = NumberFormat(max(decimals))
        return {term: each if each.scientific else common for term, each in formats.items()}
    return formats


def statistic_text(value: float) -> str:
    """Write a test statistic, with two decimals unless it is huge."""
    return NumberFormat(2)(value) if abs(value) < 1e5 else NumberFormat(1, scientific=True)(value)


def p_text(value: float) -> str:
    """Write a p value with three decimals, ``<0.001`` below that."""
    return "<0.001" if value < 0.001 else NumberFormat(3)(value)
