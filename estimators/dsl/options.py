"""How the variance is to be estimated, and whether that fits the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..covariance import Codes, n_clusters
from ..reference import DegreesOfFreedom
from .data import LabelledData
from .numerics import Parts, Problem, Root, Variance, population_variance, superpopulation_variance
from .numerics.tuning import Kind

Array = NDArray[np.float64]

COVARIANCES = ("auto", "HC0", "HC1", "HC2", "HC3", "CR0", "CR1", "CR2")
LEVERAGE_KINDS = ("HC2", "HC3", "CR2")
DESIGNS = ("poisson", "srswor", "stratified")
TUNINGS = ("diagonal", "scalar", "matrix", None)
TARGETS = ("superpopulation", "population")


@dataclass(frozen=True)
class VarianceOptions:
    """How the variance is to be estimated: kind, sampling design, target, tuning."""

    covariance: str
    design: str
    target: str
    tuning: Kind | None = None

    def __post_init__(self) -> None:
        choices: dict[str, tuple[str | None, ...]] = {
            "covariance": COVARIANCES,
            "design": DESIGNS,
            "target": TARGETS,
            "tuning": TUNINGS,
        }
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
        if kind not in LEVERAGE_KINDS:
            return
        if self.tuning is not None and not data.is_complete:
            raise ValueError(
                f"covariance={kind!r} is defined for tuning=None; with tuning={self.tuning!r} "
                'covariance="auto" corrects the labels\' errors for leverage and tuning.'
            )
        if not data.design.has_rows_as_units:
            raise ValueError(
                f"covariance={kind!r} is not defined where sampling units hold several rows; use "
                'covariance="auto", CR0 or CR1.'
            )
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

    def is_small_sample(self, data: LabelledData) -> bool:
        """Whether labels' errors are corrected for leverage and tuning, with a t reference."""
        return self.tuning is not None and self.covariance == "auto" and not data.is_complete

    def degrees_of_freedom(
        self, data: LabelledData, n_spent: float = 0.0, from_labels: Array | None = None
    ) -> DegreesOfFreedom:
        r"""Return the df of the t reference, or None for the normal.

        With small-sample errors they are :math:`\nu`, those of the labels. Where these errors are
        right in expectation, not too large (see `numerics.tuning`), they are those of Welch and
        Satterthwaite for each coefficient: a share s of its variance comes from labels, the rest
        from r rows or clusters without one, and df are :math:`1 / (s^2 / \nu + (1 - s)^2 / r)`.

        Parameters
        ----------
        data : LabelledData
        n_spent : float, default=0
            Labels that the gold-only part of a tuned fit spends on fixed effects.
        from_labels : ndarray of shape (p,), default=None
            s; one if None.

        References
        ----------
        Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance
        components. *Biometrics Bulletin, 2*, 110-114. https://doi.org/10.2307/3002019
        """
        kind = self.kind(data.clusters)
        is_small = self.is_small_sample(data)
        if not is_small and (kind in ("HC0", "CR0") or self.target == "population"):
            return None
        # Fixed effects are estimated from all rows, slopes from the labelled ones.
        labels = data.n_rows if data.is_complete else data.effective_labels - n_spent
        df = min(labels, data.n_rows - data.n_absorbed) - len(data.terms)
        if data.clusters is not None and self.target == "superpopulation":
            df = min(df, n_clusters(data.clusters) - 1)
        if is_small and (data.draw.is_fixed or not data.draw.has_rows_as_units):
            df = min(df, data.draw.df)
        if df < 1:
            name = "the small-sample correction" if is_small else f"covariance={kind!r}"
            raise ValueError(
                f"{name} refers to t with {df:.3g} degrees of freedom: "
                f"{data.effective_labels:.1f} effective labels{_in_units(data)} for "
                f"{len(data.terms)} coefficients are too few. Label more rows or use fewer columns."
            )
        n_rest = data.n_without_labels
        is_mixed = is_small and data.correction_share < 1.0 and n_rest > 0
        if not is_mixed or from_labels is None:
            return df
        return 1.0 / (from_labels**2 / df + (1.0 - from_labels) ** 2 / n_rest)


def _in_units(data: LabelledData) -> str:
    if data.draw.has_rows_as_units:
        return ""
    return f" in {data.draw.n_units} sampling units"


def variance_of(
    parts: Parts,
    options: VarianceOptions,
    data: LabelledData,
    *,
    n_absorbed: int,
    leverage_of: tuple[Problem, Root] | None = None,
) -> Variance:
    """Return the covariance that the options ask for.

    Raises
    ------
    ValueError
        If a leverage correction is not possible.
    """
    if options.target == "population":
        return population_variance(parts, data.design)
    kind = options.kind(data.clusters)
    try:
        return superpopulation_variance(
            parts,
            data.design,
            kind=kind,
            clusters=data.clusters,
            n_absorbed=n_absorbed,
            leverage_of=leverage_of if kind in LEVERAGE_KINDS else None,
        )
    except np.linalg.LinAlgError:
        raise ValueError(
            f"covariance={kind!r} needs a positive definite derivative of the moments, which these "
            "labels do not give; use HC0, HC1, CR0 or CR1, or label more rows."
        ) from None
