"""Checks of the arguments that designs share."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np


def check_choices(
    params: Mapping[str, Any], choices: Mapping[str, tuple[str | int | None, ...]]
) -> None:
    """Raise unless every named argument has one of its values."""
    for name, values in choices.items():
        if params[name] not in values:
            raise ValueError(f"{name}={params[name]!r} is unknown; choose one of {values}.")


def check_range(name: str, value: Any, low: float, high: float = np.inf, note: str = "") -> None:
    """Raise unless value is in [low, high], and an integer where the lower limit is one."""
    kind, noun = (Integral, "an integer") if isinstance(low, int) else (Real, "a number")
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= float(value) <= high:
        limits = f"of at least {low}" if high == np.inf else f"from {low} to {high}{note}"
        raise ValueError(f"{name}={value!r} is not allowed; give {noun} {limits}.")


def check_flags(params: Mapping[str, Any], *names: str) -> None:
    """Raise unless every named argument is True or False."""
    for name in names:
        if not isinstance(params[name], bool):
            raise ValueError(f"{name}={params[name]!r} is not allowed; give True or False.")
