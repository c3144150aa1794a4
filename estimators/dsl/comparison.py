"""What the same regression says under different labels: surrogate, gold, and both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..inference import Estimates
from .engine import estimate
from .options import VarianceOptions
from .reading import stand_ins
from .targets import Target

if TYPE_CHECKING:
    from .base import DSLBase
    from .fitted import Fitted, Inputs

Array = NDArray[np.float64]

SURROGATE_ONLY = "Surrogate only"
GOLD_ONLY = "Gold only"
MACHINE_LEARNING_ONLY = "Machine learning only"
DSL = "DSL"
NOTHING = "surrogates and rows to predict are needed: without them there is nothing to compare."


def compare_labels(
    estimator: DSLBase,
    X: Any,
    y: Any,
    *,
    surrogates: Any,
    sampling_probability: Any = None,
    strata: Any = None,
    gold_sample: Any = None,
    clusters: Any = None,
    surrogate: str | dict[str, str] | None = None,
) -> dict[str, Estimates]:
    r"""Estimate the same model from surrogate labels, from gold labels, and from both.

    * *Surrogate only* puts a surrogate in the place of what is predicted on all rows, as if it
      were true, with the usual robust standard errors.
    * *Gold only* solves :math:`\sum_i (R_i/\pi_i)\, m(D_i; \beta) = 0` on the labelled rows.
    * *Machine learning only* takes the cross-fitted predictions for the truth: what one gets who
      trains a classifier on the gold labels and forgets that it errs. Left out where
      ``learner=None`` takes the surrogate as it is.
    * *DSL* is the estimator as given.

    Every fitted estimator has this as its method ``compare_labels()``, also after
    ``fit_formula``; the function fits a clone first.

    Parameters
    ----------
    estimator : DSL estimator
        Left unfitted; its options apply.
    X, y, surrogates, sampling_probability, strata, gold_sample, clusters
        As in its ``fit``.
    surrogate : str or dict, default=None
        The surrogate column to take for the truth: the first one if None. With several predicted
        variables a dict names one for each; None takes them in order.

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
    {'Surrogate only': 0.1, 'Gold only': 0.5, 'Machine learning only': 0.5, 'DSL': 0.5}
    """
    if surrogates is None:
        raise ValueError(NOTHING)
    model: DSLBase = clone(estimator).fit(
        X,
        y,
        surrogates=surrogates,
        sampling_probability=sampling_probability,
        strata=strata,
        gold_sample=gold_sample,
        clusters=clusters,
    )
    return model.compare_labels(surrogate)


def label_comparison(
    fitted: Fitted, options: VarianceOptions, surrogate: str | dict[str, str] | None
) -> dict[str, Estimates]:
    """Return the estimates of a fit beside those from each kind of label alone."""
    data = fitted.data
    if data.is_complete or fitted.inputs.aligned.surrogates is None:
        raise ValueError(NOTHING)
    stand_in, names = _stand_in(fitted.inputs, surrogate)
    as_if_true = VarianceOptions("auto", "poisson", "superpopulation")
    naive = estimate(
        data, stand_in[None], as_if_true, title=SURROGATE_ONLY, source="predictions"
    ).estimates
    about_labels = ("Predicted", "Surrogates", "Gold labels", "Learner")
    header = {key: fact for key, fact in naive.header.items() if key not in about_labels}
    header["Gold labels"] = f"none ({', '.join(names)} in their place)"
    gold = estimate(data, fitted.predictions[:1], options, title=GOLD_ONLY, source="gold")
    results = {
        SURROGATE_ONLY: replace(naive, header=header),
        GOLD_ONLY: gold.estimates,
    }
    if fitted.crossfit is not None:
        results[MACHINE_LEARNING_ONLY] = estimate(
            data,
            fitted.predictions,
            as_if_true,
            title=MACHINE_LEARNING_ONLY,
            source="predictions",
            fitted=fitted.crossfit,
        ).estimates
    results[DSL] = replace(fitted.fit.estimates, title=DSL)
    return results


def _stand_in(
    inputs: Inputs, surrogate: str | dict[str, str] | None
) -> tuple[Array, tuple[str, ...]]:
    """Return surrogates in the place of predictions, and their names."""
    surrogates, targets = inputs.aligned.surrogates, inputs.data.versions.targets
    assert surrogates is not None
    frame = surrogates.raw
    if frame is None:
        raise ValueError("A sparse matrix of surrogates cannot stand for what is predicted.")
    chosen = {name: columns[0] for name, columns in inputs.aligned.surrogate_of.items()}
    if isinstance(surrogate, dict):
        chosen = surrogate
    elif surrogate is not None:
        chosen = {targets[0].name: surrogate}
    elif not chosen:
        chosen = dict(zip((t.name for t in targets), map(str, frame.columns), strict=False))
    missing = [target.name for target in targets if target.name not in chosen]
    if missing:
        raise ValueError(
            f"surrogate: no column is named for {', '.join(map(repr, missing))}; pass a dict with "
            "one surrogate column for each predicted variable."
        )
    names = tuple(chosen[target.name] for target in targets)
    columns = stand_ins(frame, list(zip(targets, names, strict=True)))
    _check_classes(columns, targets, names)
    return columns, names


def _check_classes(columns: Array, targets: tuple[Target, ...], names: tuple[str, ...]) -> None:
    """Raise if probabilities are to stand for the classes of an outcome."""
    first = 0
    for target, name in zip(targets, names, strict=True):
        block = columns[:, first : first + target.n_columns]
        first += target.n_columns
        if target.levels is not None and not np.isin(block, (0.0, 1.0)).all():
            raise ValueError(
                f"Surrogate {name!r} holds numbers between the classes, which cannot take the "
                "place of a binary outcome; name a column of classes by surrogate=, or cut it at "
                "a threshold."
            )
