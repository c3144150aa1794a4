"""Words for messages to users."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def first_rows(mask: NDArray[np.bool_], most: int = 3) -> str:
    """Name the first rows where a mask holds, as in ``rows 4, 8, 15, ...``."""
    rows = np.flatnonzero(mask)
    shown = ", ".join(str(row) for row in rows[:most])
    return ("row " if len(rows) == 1 else "rows ") + shown + (", ..." if len(rows) > most else "")


def did_you_mean(name: str, available: Iterable[str]) -> str:
    """Return a hint with the nearest available name, or the list of them."""
    names = [str(item) for item in available]
    near = difflib.get_close_matches(
        str(name).lower(), [item.lower() for item in names], n=1, cutoff=0.5
    )
    if near:
        return f" Did you mean {next(item for item in names if item.lower() == near[0])!r}?"
    return f" There are: {', '.join(map(repr, names[:20]))}{', ...' if len(names) > 20 else ''}."


def check_level(level: float) -> float:
    """Return a confidence level, or raise if it is not inside (0, 1)."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level} must lie between 0 and 1, for example 0.95.")
    return level


def plural_columns(names: Sequence[str]) -> str:
    """Name columns as the subject of a sentence: ``columns 'a', 'b' are``."""
    shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
    return f"column {shown} is" if len(names) == 1 else f"columns {shown} are"
