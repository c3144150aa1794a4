"""How the errors of regressions on censored durations are to be estimated, and what fits that."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.intp]

COVARIANCES = ("auto", "HC0", "HC2", "HC3", "CR0", "CR2", "CR3", "bootstrap")


def check_options(method: str, methods: tuple[str, ...], covariance: str) -> None:
    """Raise if an option is unknown, or two of them contradict each other."""
    for name, value, allowed in (
        ("method", method, methods),
        ("covariance", covariance, COVARIANCES),
    ):
        if value not in allowed:
            known = ", ".join(map(repr, allowed))
            raise ValueError(f"{name}={value!r} is not one of {known}.")
    if method == "buckley_james" and covariance != "bootstrap":
        raise ValueError(
            'method="buckley_james" replaces what is censored by predictions whose noise no '
            'formula counts (plain errors cover 77 to 87 percent); use covariance="bootstrap" '
            'or method="doubly_robust".'
        )


def covariance_kind(covariance: str, clusters: Codes | None) -> str:
    """Return the covariance with "auto" resolved, or raise if it does not fit the clusters."""
    two_way = clusters is not None and clusters.ndim == 2
    if covariance == "auto":
        if clusters is None:
            return "HC3"
        return "CR0" if two_way else "CR3"
    if covariance.startswith("CR") and clusters is None:
        raise ValueError(f'covariance="{covariance}" needs clusters; pass them to fit.')
    if covariance.startswith("HC") and clusters is not None:
        raise ValueError(
            f'covariance="{covariance}" would ignore the clusters given to fit; choose CR0, CR2 or '
            "CR3."
        )
    if covariance in ("CR2", "CR3") and two_way:
        raise ValueError(f"{covariance} is defined for one-way clusters; use CR0 for two-way ones.")
    return covariance
