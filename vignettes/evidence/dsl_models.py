"""Coverage of every model of design-based supervised learning, where the truth is known.

Cells {predicted covariate (linear, logistic), interaction with a predicted covariate, Poisson,
multinomial, two-stage least squares} x {constant, unequal, clustered}, and two-way effects in an
unbalanced panel: 5,000 rows, 500 expected gold labels by Poisson sampling, 200 clusters where
clustered (units, in the panel), linear learner, one sample split. The machine's errors depend on
covariates, and on the outcome where a covariate is predicted. Unequal probabilities differ by a
factor of 8. The estimator is the published one (``tuning=None``), whose predictions have full
weight. Replicate r of every cell is drawn with seed r.

    python vignettes/evidence/dsl_models.py --replicates 2500 --jobs 2

writes ``dsl_models.csv`` beside this file, and its means over coefficients as
``dsl_models_summary.csv``. "Surrogate only" takes the machine's labels for the truth, on all rows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from trueness.dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
)
from trueness.inference import Estimates
from trueness.simulations.dsl import (
    make_counts,
    make_instrument,
    make_multiclass,
    make_panel,
    make_predicted_covariate,
)

sys.path.append(str(Path(__file__).parent))  # for those who load this file by its path
from coverage_study import (
    against_truth,
    by_cell,
    command_line,
    run_study,
    summarise_cell,
)

__all__ = ["by_cell", "replicate", "run_cell"]

ROWS = {
    "constant": {},
    "unequal": {"probabilities": "unequal"},
    "clustered": {"n_clusters": 200},
}
UNITS = {
    "clustered": {},
    "unequal, clustered": {"probabilities": "unequal"},
}


class Model(NamedTuple):
    """An estimator, the design it is tried on, and whether a formula states the model."""

    estimator: Any
    make: Callable[..., Bunch]
    sampling: dict[str, dict[str, Any]] = ROWS
    by_formula: bool = False


MODELS = {
    "predicted covariate, linear": Model(
        DSLLinearRegression(predicted_features=("t",)), make_predicted_covariate
    ),
    "predicted covariate, logistic": Model(
        DSLLogisticRegression(predicted_features=("t",)),
        partial(make_predicted_covariate, model="logistic"),
    ),
    "interaction": Model(
        DSLLinearRegression(),
        partial(make_predicted_covariate, interaction=True),
        by_formula=True,
    ),
    "Poisson": Model(DSLPoissonRegressor(), make_counts),
    "multinomial": Model(DSLLogisticRegression(), make_multiclass),
    "2SLS, one instrument": Model(
        DSLTwoStageLeastSquares(endogenous=("t",), predicted_features=("t",)), make_instrument
    ),
    "2SLS, three instruments": Model(
        DSLTwoStageLeastSquares(endogenous=("t",), predicted_features=("t",)),
        partial(make_instrument, n_instruments=3, heteroskedastic=True),
    ),
    "two-way effects": Model(DSLLinearRegression(), make_panel, UNITS),
}


def replicate(
    name: str, sampling: str, differential_error: float | None, seed: int
) -> pd.DataFrame:
    """Draw one sample, and fit DSL and the regression on the machine's labels."""
    model = MODELS[name]
    strength = {} if differential_error is None else {"differential_error": differential_error}
    sample = model.make(**model.sampling[sampling], **strength, random_state=seed)
    model.estimator.set_params(learner="linear", tuning=None, n_repeats=1, random_state=seed)
    with threadpool_limits(1):
        fits = {
            "dsl": fit(model, sample.observed, sample.by_formula),
            "surrogate only": fit(model, *machine_for_truth(sample)),
        }
    return against_truth(fits, sample.truth, seed)


def fit(model: Model, observed: dict[str, Any], by_formula: dict[str, Any]) -> Estimates:
    """Fit a model in the form it is stated in."""
    if not model.by_formula:
        return model.estimator.fit(**observed).results_
    arguments = dict(by_formula)
    formula, data = arguments.pop("formula"), arguments.pop("data")
    return model.estimator.fit_formula(formula, data, **arguments).results_


def machine_for_truth(sample: Bunch) -> tuple[dict[str, Any], dict[str, Any]]:
    """Put the machine's labels in the place of what they read, in both forms of a sample."""
    observed, by_formula = dict(sample.observed), dict(sample.by_formula)
    labels = {
        target: observed["surrogates"][column]
        for target, (column,) in by_formula["surrogates"].items()
    }
    for arguments in (observed, by_formula):
        del arguments["surrogates"], arguments["sampling_probability"]
    by_formula["data"] = by_formula["data"].assign(**labels)
    observed["y"] = labels.pop("y", observed["y"])
    observed["X"] = observed["X"].assign(**labels)
    return observed, by_formula


def run_cell(
    model: str,
    sampling: str,
    n_replicates: int,
    n_jobs: int = 1,
    differential_error: float | None = None,
) -> pd.DataFrame:
    """Summarise one cell of the study."""
    draw = partial(replicate, model, sampling, differential_error)
    return summarise_cell(model, sampling, draw, n_replicates, n_jobs)


def main() -> None:
    """Run all cells, print their means over coefficients and write the tables."""
    options = command_line(__doc__, MODELS, Path(__file__).with_suffix(".csv"))
    run_study(
        [(name, sampling) for name in options.models for sampling in MODELS[name].sampling],
        partial(
            run_cell,
            n_replicates=options.replicates,
            n_jobs=options.jobs,
            differential_error=options.differential_error,
        ),
        options.out,
    )


if __name__ == "__main__":
    main()
