"""Coverage of design-based supervised learning over repeated samples with known truth.

Cells {linear, logistic, mean, mean by group} x {constant, unequal, clustered}: 5,000 rows, 500
expected gold labels by Poisson sampling, one surrogate with accuracy 0.9, 200 clusters where
clustered, linear learner, one sample split. One group of the means by group has a fifth of the
rows, so about 100 labels. Unequal probabilities differ by a factor of 8. Replicate r of every cell
is drawn with seed r.
``--differential-error 1`` makes the errors of the surrogate depend on covariates and outcome.
The estimator is the published one (``tuning=None``), whose predictions have full weight;
``dsl_tuning.py`` is about the weight that the labels suggest.

    python vignettes/evidence/dsl_coverage.py --replicates 2500 --jobs 2

writes ``dsl_coverage.csv`` beside this file, and its means over coefficients as
``dsl_coverage_summary.csv``. The harder logistic cells are those of

    python vignettes/evidence/dsl_coverage.py --replicates 2500 --models logistic
        --differential-error 1 --out vignettes/evidence/dsl_coverage_differential.csv
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean
from trueness.simulations.dsl import make_egami2024

sys.path.append(str(Path(__file__).parent))  # for those who load this file by its path
from coverage_study import (
    against_truth,
    by_cell,
    command_line,
    run_study,
    summarise_cell,
)

__all__ = ["by_cell", "replicate", "run_cell"]

MODELS = {
    "linear": (DSLLinearRegression(), {"model": "linear", "outcome": "continuous"}),
    "logistic": (DSLLogisticRegression(), {"model": "logistic"}),
    "mean": (DSLMean(), {"model": "mean"}),
    "mean by group": (DSLMean(by="x2"), {"model": "mean", "by": "x2"}),
}
SAMPLING = {
    "constant": {},
    "unequal": {"probabilities": "unequal"},
    "clustered": {"n_clusters": 200},
}
ACCURACY = 0.9


def replicate(model: str, sampling: str, differential_error: float, seed: int) -> pd.DataFrame:
    """Draw one sample and fit DSL and the surrogate-only regression."""
    estimator, options = MODELS[model]
    sample = make_egami2024(
        **options,
        **SAMPLING[sampling],
        accuracy=ACCURACY,
        differential_error=differential_error,
        random_state=seed,
    )
    observed = dict(sample.observed)
    with threadpool_limits(1):
        estimator.set_params(learner="linear", tuning=None, n_repeats=1, random_state=seed)
        dsl = estimator.fit(**observed).results_
        complete = {key: observed[key] for key in ("X", "clusters") if key in observed}
        surrogate = observed["surrogates"].iloc[:, 0].to_numpy()
        naive = estimator.fit(**complete, y=surrogate).results_
    return against_truth({"dsl": dsl, "surrogate only": naive}, sample.truth, seed)


def run_cell(
    model: str,
    sampling: str,
    n_replicates: int,
    n_jobs: int = 1,
    differential_error: float = 0.0,
) -> pd.DataFrame:
    """Summarise one cell of the study."""
    draw = partial(replicate, model, sampling, differential_error)
    return summarise_cell(model, sampling, draw, n_replicates, n_jobs)


def main() -> None:
    """Run all cells, print their means over coefficients and write the tables."""
    options = command_line(__doc__, MODELS, Path(__file__).with_suffix(".csv"))
    run_study(
        [(model, sampling) for model in options.models for sampling in SAMPLING],
        partial(
            run_cell,
            n_replicates=options.replicates,
            n_jobs=options.jobs,
            differential_error=options.differential_error or 0.0,
        ),
        options.out,
    )


if __name__ == "__main__":
    main()
