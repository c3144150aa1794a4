"""What regressions on censored durations say of themselves, and what they refuse."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ...covariance import CovarianceWarning, describe_covariance
from ..diagnostics import CensoringDiagnostics, CensoringWarning
from ..metrics.referee import model_name
from ..targets import CensoredRows

Array = NDArray[np.float64]

METHOD_WORDS = {
    "weights": "inverse probability of censoring weights",
    "doubly_robust": "doubly robust outcomes",
    "buckley_james": "Buckley-James outcomes",
}
LEVEL = 4  # whoever called fit, which calls what calls here


def describe(
    rows: CensoredRows,
    diagnostics: CensoringDiagnostics,
    *,
    method: str,
    target: str,
    models: tuple[Any, Any],
    covariance: str,
    drawn: str,
) -> dict[str, str]:
    """Return the header: what was estimated from what, and on what the errors rest.

    Parameters
    ----------
    rows : CensoredRows
    diagnostics : CensoringDiagnostics
    method : str
    target : str
        What is estimated, in words.
    models : tuple of CensoringModel
        Of censoring, and of the event or None.
    covariance : {"HC0", "HC2", "HC3", "CR0", "CR2", "CR3", "bootstrap"}
    drawn : str
        What the bootstrap says of itself.

    Returns
    -------
    dict
    """
    horizon = diagnostics.horizon
    facts = {
        "Target": target,
        "Rows": f"{len(rows):,}",
        "Events": f"{rows.n_events:,} ({rows.n_events / len(rows):.1%})",
        "Known": f"{diagnostics.n_known:,}",
        "Horizon": "none" if horizon is None else f"{horizon:g}",
        "Method": METHOD_WORDS[method],
        "Censoring": model_name(models[0]),
    }
    if models[1] is not None:
        facts["Event"] = model_name(models[1])
    if covariance == "bootstrap":
        facts["Covariance"] = drawn
        return facts
    text = describe_covariance(covariance, rows.clusters, None)
    extra = ", with that of the censoring curve" if method == "weights" else ""
    facts["Covariance"] = text.replace(covariance, covariance + extra, 1)
    return facts


def warn_without_solution(estimator: str, names: tuple[str, ...]) -> None:
    """Warn that an equation has no finite solution."""
    warnings.warn(
        f"{estimator} found no finite solution: some combination of "
        f"{', '.join(map(repr, names))} separates the known rows. There are no standard errors; "
        "leave columns out or merge rare categories.",
        CensoringWarning,
        stacklevel=LEVEL,
    )


def warn_of_leverage(n_saturated: int, kind: str) -> None:
    """Warn that single rows or clusters determine a coefficient."""
    found = f"{n_saturated:,} {'rows' if kind.startswith('HC') else 'clusters'}"
    warnings.warn(
        f"{found} have leverage 1 (they alone determine a coefficient); {kind} leaves out what "
        "they say of it, so that its standard error is not to be trusted. Merge rare categories.",
        CovarianceWarning,
        stacklevel=LEVEL + 1,
    )


def check_rank(design: Array, names: tuple[str, ...]) -> None:
    """Raise if columns are linear combinations of others, naming them."""
    if len(design) < design.shape[1]:
        raise ValueError(f"{len(design):,} rows are too few for {design.shape[1]} coefficients.")
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0.0] = 1.0
    _, triangle, order = linalg.qr(design / scale, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    extra = [names[j] for j in order[size <= 1e-10 * max(size[0], 1e-300)]]
    if extra:
        raise ValueError(
            f"X: {', '.join(map(repr, sorted(extra)))} "
            f"{'is a combination' if len(extra) == 1 else 'are combinations'} of other columns"
            f"{' and the intercept' if 'intercept' in names else ''}; leave "
            f"{'it' if len(extra) == 1 else 'them'} out."
        )
