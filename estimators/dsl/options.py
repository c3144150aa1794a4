"""How the variance is to be estimated, and whether that fits the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..covariance import Codes, n_clusters
from .data import LabelledData
from .numerics import (
    Problem,
    Root,
    Variance,
    population_variance,
    superpopulation_variance,
)

COVARIANCES = ("auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2")
DESIGNS = ("poisson", "srswor")
TARGETS = ("superpopulation", "population")


@dataclass(frozen=True)
class VarianceOptions:
    """How the variance is to be estimated: kind, sampling design, target."""

    covariance: str
    design: str
    target: str

    def __post_init__(self) -> None:
        choices = {"covariance": COVARIANCES, "design": DESIGNS, "target": TARGETS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is not one of {', '.join(map(repr, allowed))}."
                )
        if self.target == "population" and self.covariance != "auto":
            raise ValueError(
                f'covariance={self.covariance!r} does not apply with target="population", where '
                'only the draw of the labelled rows is random; leave covariance="auto".'
            )

    def kind(self, clusters: Codes | None) -> str:
        """Return the covariance with "auto" resolved, or raise if it does not fit the clusters."""
        if self.covariance == "auto":
            return "HC0" if clusters is None else "CR0"
        if self.covariance.startswith("CR") and clusters is None:
            raise ValueError(f"covariance={self.covariance!r} needs clusters; pass them to fit.")
        if self.covariance.startswith("HC") and clusters is not None:
            raise ValueError(
                f"covariance={self.covariance!r} would ignore the clusters given to fit; choose "
                "CR0, CR1 or CR2."
            )
        if self.covariance == "CR2" and clusters is not None and clusters.ndim == 2:
            raise ValueError(
                "CR2 is defined for one-way clusters; use CR0 or CR1 for two-way ones."
            )
        return self.covariance

    def check_model(self, data: LabelledData) -> None:
        """Raise if the covariance needs a leverage that the model does not have."""
        kind = self.kind(data.clusters)
        if kind not in ("HC2", "HC3", "CR2"):
            return
        if data.absorbed is not None:
            raise ValueError(
                f"covariance={kind!r} needs the leverage of every row, which absorbed fixed "
                "effects do not give; use HC0, HC1, CR0 or CR1."
            )
        if not data.model.has_leverage:
            raise ValueError(
                f"covariance={kind!r} is defined for linear, logistic (binary) and Poisson "
                "regression; use HC0, HC1, CR0 or CR1 here."
            )

    def degrees_of_freedom(self, data: LabelledData) -> float | None:
        """Return the df of the t reference, or None for the normal (HC0, CR0)."""
        kind = self.kind(data.clusters)
        if kind in ("HC0", "CR0") or self.target == "population":
            return None
        # Fixed effects are estimated from all rows, slopes from the labelled ones.
        labels = data.n_rows if data.is_complete else data.effective_labels
        df = min(labels, data.n_rows - data.n_absorbed) - len(data.terms)
        if data.clusters is not None:
            df = min(df, n_clusters(data.clusters) - 1)
        if df < 1:
            raise ValueError(
                f"covariance={kind!r} refers to t with {df:.3g} degrees of freedom: "
                f"{data.effective_labels:.1f} effective labels for {len(data.terms)} "
                "coefficients are too few."
            )
        return df


def variance_of(
    problem: Problem,
    root: Root,
    options: VarianceOptions,
    *,
    clusters: Codes | None,
    n_absorbed: int = 0,
) -> Variance:
    """Return the covariance that the options ask for.

    Raises
    ------
    ValueError
        If a leverage correction is not possible.
    """
    fixed_size = options.design == "srswor"
    if options.target == "population":
        return population_variance(problem, root, fixed_size=fixed_size)
    try:
        return superpopulation_variance(
            problem,
            root,
            kind=options.kind(clusters),
            clusters=clusters,
            fixed_size=fixed_size,
            n_absorbed=n_absorbed,
        )
    except np.linalg.LinAlgError:
        raise ValueError(
            f"covariance={options.kind(clusters)!r} needs a positive definite derivative of "
            "the moments, which these labels do not give; use HC0, HC1, CR0 or CR1, or label more "
            "rows."
        ) from None
