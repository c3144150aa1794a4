"""Coverage of design-based supervised learning over repeated samples with known truth.

Cells {linear, logistic, mean, mean by group} x {constant, unequal, clustered}: 5,000 rows, 500
expected gold labels by Poisson sampling, one surrogate with accuracy 0.9, 200 clusters where
clustered, linear learner, one sample split. One group of the means by group has a fifth of the
rows, so about 100 labels. Unequal probabilities differ by a factor of 8. Replicate r of every cell
is drawn with seed r.
``--differential-error 1`` makes the errors of the surrogate depend on covariates and outcome.

    python vignettes/evidence/dsl_coverage.py --replicates 2500 --jobs 2

writes ``dsl_coverage.csv`` beside this file, and its means over coefficients as
``dsl_coverage_summary.csv``. The harder logistic cells are those of

    python vignettes/evidence/dsl_coverage.py --replicates 2500 --models logistic
        --differential-error 1 --out vignettes/evidence/dsl_coverage_differential.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean
from trueness.simulations.dsl import make_egami2024

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
        estimator.set_params(learner="linear", n_repeats=1, random_state=seed)
        dsl = estimator.fit(**observed).results_
        complete = {key: observed[key] for key in ("X", "clusters") if key in observed}
        surrogate = observed["surrogates"].iloc[:, 0].to_numpy()
        naive = estimator.fit(**complete, y=surrogate).results_
    frames = [
        result.to_frame().assign(method=method, truth=list(sample.truth.values()), seed=seed)
        for method, result in {"dsl": dsl, "surrogate only": naive}.items()
    ]
    assert list(sample.truth) == list(dsl.names)
    return pd.concat(frames)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Bias, SE/SD and coverage of each method and term, with Monte Carlo errors."""
    frame = frame.assign(
        error=frame.estimate - frame.truth,
        covers=(frame.conf_low <= frame.truth) & (frame.truth <= frame.conf_high),
    )
    groups = frame.groupby(["method", "term"], sort=False)
    sd, n = groups["estimate"].std(), groups.size()
    coverage = groups["covers"].mean()
    return pd.DataFrame(
        {
            "truth": groups["truth"].first(),
            "bias": groups["error"].mean(),
            "bias_mcse": sd / np.sqrt(n),
            "sd": sd,
            # Root mean square: the standard error squared is what estimates the variance.
            "se_over_sd": np.sqrt((frame.std_error**2).groupby([frame.method, frame.term]).mean())
            / sd,
            "coverage": coverage,
            "coverage_mcse": np.sqrt(coverage * (1 - coverage) / n),
            "replicates": n,
            "failures": groups["estimate"].agg(lambda values: int((~np.isfinite(values)).sum())),
        }
    ).reset_index()


def run_cell(
    model: str,
    sampling: str,
    n_replicates: int,
    n_jobs: int = 1,
    differential_error: float = 0.0,
) -> pd.DataFrame:
    """Summarise one cell of the study."""
    frames = Parallel(n_jobs=n_jobs)(
        delayed(replicate)(model, sampling, differential_error, seed)
        for seed in range(n_replicates)
    )
    summary = summarise(pd.concat(frames, ignore_index=True))
    summary.insert(0, "sampling", sampling)
    summary.insert(0, "model", model)
    return summary


def by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """Average over the coefficients of each cell, and show the worst of them."""
    rows = []
    for (model, sampling), cell in table.groupby(["model", "sampling"], sort=False):
        ours, naive = (cell[cell.method == method] for method in ("dsl", "surrogate only"))
        rows.append(
            {
                "model": model,
                "sampling": sampling,
                "coverage": f"{ours.coverage.mean():.3f}",
                "worst coefficient": f"{worst(ours.coverage, 0.95):.3f}",
                "SE / SD": f"{ours.se_over_sd.mean():.3f}",
                "worst SE / SD": f"{worst(ours.se_over_sd, 1.0):.3f}",
                "largest bias / SD": f"{(ours.bias.abs() / ours.sd).max():.2f}",
                "coverage of surrogate only": f"{naive.coverage.mean():.3f}",
            }
        )
    return pd.DataFrame(rows)


def worst(values: pd.Series, target: float) -> float:
    """Return the value farthest from the target."""
    return float(values.iloc[(values - target).abs().argmax()])


def main() -> None:
    """Run all cells, print their means over coefficients and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2500)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--differential-error", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    tables = []
    for model in options.models:
        for sampling in SAMPLING:
            table = run_cell(
                model, sampling, options.replicates, options.jobs, options.differential_error
            )
            tables.append(table)
            print(by_cell(table).to_string(header=len(tables) == 1, index=False), flush=True)
    table = pd.concat(tables).round(6)
    table.to_csv(options.out, index=False, lineterminator="\n")
    summary = by_cell(table)
    summary.to_csv(
        options.out.with_stem(f"{options.out.stem}_summary"), index=False, lineterminator="\n"
    )


if __name__ == "__main__":
    main()
