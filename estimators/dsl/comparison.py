"""What the same regression says under different labels: surrogate, gold, and both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from ..inference import Estimates
from .base import DSLBase
from .engine import estimate
from .inputs import surrogate_as_outcome

SURROGATE_ONLY = "Surrogate only"
GOLD_ONLY = "Gold only"
DSL = "DSL"


def compare_labels(
    estimator: DSLBase,
    X: Any,
    y: Any,
    *,
    surrogates: Any,
    sampling_probability: Any = None,
    clusters: Any = None,
    surrogate: str | None = None,
) -> dict[str, Estimates]:
    r"""Estimate the same model from surrogate labels, from gold labels, and from both.

    * *Surrogate only* puts the surrogate in the place of the outcome on all rows, as if it were
      true, with the usual robust standard errors.
    * *Gold only* solves :math:`\sum_i (R_i/\pi_i)\, m(D_i; \beta) = 0` on the labelled rows.
    * *DSL* is the estimator as given.

    Parameters
    ----------
    estimator : DSLLinearRegression, DSLLogisticRegression or DSLMean
        Left unfitted; its options apply.
    X, y, surrogates, sampling_probability, clusters
        As in its ``fit``.
    surrogate : str, default=None
        The surrogate column to take for the outcome; the first if None.

    Returns
    -------
    dict
        `Estimates` by label, in the order of the list above; `trueness.tables.compare` and
        `trueness.plots.forest_plot` take it as it is.

    Raises
    ------
    ValueError
        As ``fit`` does, and if the surrogate does not have the values of the outcome.

    Examples
    --------
    >>> import numpy as np
    >>> from trueness.dsl import DSLLinearRegression, compare_labels
    >>> rng = np.random.default_rng(7)
    >>> x = rng.normal(size=2000)
    >>> truth = 1 + 0.5 * x + rng.normal(size=2000)
    >>> machine = truth - 0.4 * x + rng.normal(scale=0.5, size=2000)
    >>> y = np.where(rng.random(2000) < 0.1, truth, np.nan)
    >>> model = DSLLinearRegression(learner="linear", random_state=1)
    >>> results = compare_labels(model, x[:, None], y, surrogates=machine)
    >>> {label: float(result.params[1].round(1)) for label, result in results.items()}
    {'Surrogate only': 0.1, 'Gold only': 0.5, 'DSL': 0.5}
    """
    model = clone(estimator)
    inputs = model._read(X, y, surrogates, sampling_probability, clusters)
    if inputs.surrogates is None:
        raise ValueError("surrogates are needed: without them there is nothing to compare.")
    dsl = model._fit(inputs).results_
    gold, _, _ = estimate(
        inputs.data,
        np.zeros((1, len(inputs.data.outcome))),
        model._options(),
        title=GOLD_ONLY,
        share=0.0,
    )
    frame = inputs.surrogates.raw
    column = surrogate or (None if frame is None else str(frame.columns[0]))
    stand_in = surrogate_as_outcome(inputs.surrogates, model._classes(), column)
    if model._classes() is not None and not np.isin(stand_in, (0.0, 1.0)).all():
        raise ValueError(
            f"Surrogate {column!r} holds numbers between the classes, which cannot take the place "
            "of a binary outcome; name a column of classes by surrogate=, or cut it at a threshold."
        )
    naive = clone(estimator).set_params(
        covariance="auto", design="poisson", target="superpopulation"
    )
    naive = naive.fit(X, stand_in, clusters=clusters).results_
    header = {**naive.header, "Gold labels": f"none ({column} in their place)"}
    naive = replace(naive, title=SURROGATE_ONLY, header=header)
    return {SURROGATE_ONLY: naive, GOLD_ONLY: gold, DSL: replace(dsl, title=DSL)}
