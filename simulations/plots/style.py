"""What all figures of simulation studies share beside the style of all figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from ..performance.tables import LABELS

MAX_PANELS = 24


def measure_label(name: str, reference: str | None = None) -> str:
    """Return what a measure is called on an axis."""
    label = LABELS[name]
    if reference is None:
        return label
    return f"{label} ({'to' if 'ratio' in name else 'from'} {reference})"


def neutral(name: str, level: float) -> float | None:
    """Return the value that a measure has for a perfect method, if there is one."""
    if name in ("coverage", "bias_eliminated_coverage"):
        return level
    if "ratio" in name:
        return 1.0
    return 0.0 if "bias" in name or "difference" in name else None


def check_panels(n_panels: int, advice: str) -> None:
    """Raise if a figure would have more panels than anybody can read."""
    if n_panels > MAX_PANELS:
        raise ValueError(f"The figure would have {n_panels} panels; {advice}.")


def robust_limits(values: Iterable[Any]) -> tuple[float, float]:
    """Return limits of an axis that a few wild values do not stretch, with zero width avoided."""
    x = np.concatenate([np.asarray(each, float) for each in values])
    x = x[np.isfinite(x)]
    if not len(x):
        return -1.0, 1.0
    low, high = np.quantile(x, [0.005, 0.995])
    reach = (high - low) or abs(high) or 1.0
    low, high = max(x.min(), low - 0.5 * reach), min(x.max(), high + 0.5 * reach)
    margin = 0.04 * ((high - low) or reach)
    return float(low - margin), float(high + margin)


def sorted_levels(values: pd.Series[Any]) -> list[Any]:
    """Return the values of a parameter, numbers by size and others in order of appearance."""
    levels = values.drop_duplicates().tolist()
    if all(isinstance(level, int | float | np.number) for level in levels):
        return sorted(levels)
    return levels
