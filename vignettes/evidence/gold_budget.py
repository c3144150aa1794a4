"""Errors of predicted standard errors: from a pilot of 150 labels to 500.

10,000 rows, simple random samples, machine labels as they are. The predicted standard error at 500
labels is compared with the standard deviation of the estimates over fresh samples of 500.

    python vignettes/evidence/gold_budget.py --pilots 200 --replicates 1500 --jobs 2

writes ``gold_budget.csv``: a row for each coefficient of *linear* (normal errors of the machine),
*linear, t4* (errors with heavy tails), *logit* (the machine is right on 90%), and *logit, rare* (an
outcome of 5%): the median relative error of the prediction, its median absolute value, the median
of ``typical_error``, by which the package judges it, and the share of pilots that were called
reliable.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, GoldSample, label_budget

N_ROWS, PILOT, LABELS = 10_000, 150, 500
CELLS = ("linear", "linear, t4", "logit", "logit, rare")
TERMS = ["intercept", "x1", "x2"]
CHUNK = 25


def draw(cell: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates, outcome and machine labels."""
    X = np.column_stack([rng.normal(size=N_ROWS), rng.random(N_ROWS) < 0.4]).astype(float)
    index = X @ [0.5, -0.4]
    if cell.startswith("linear"):
        y = index + rng.normal(size=N_ROWS)
        noise = rng.standard_t(4, N_ROWS) / np.sqrt(2) if "t4" in cell else rng.normal(size=N_ROWS)
        return X, y, y + 0.7 * noise
    y = (rng.random(N_ROWS) < expit(index - (3.1 if "rare" in cell else 0.0))).astype(float)
    wrong = rng.random(N_ROWS) < (0.03 if "rare" in cell else 0.1)
    return X, y, np.where(wrong, 1.0 - y, y)


def fit(cell: str, n: int, rng: np.random.Generator) -> object:
    """Return the fit to a fresh sample."""
    X, y, machine = draw(cell, rng)
    sample = GoldSample.simple_random(N_ROWS, n, random_state=rng)
    model = (DSLLinearRegression if cell.startswith("linear") else DSLLogisticRegression)(
        learner=None
    )
    return model.fit(X, np.where(sample.drawn, y, np.nan), surrogates=machine, gold_sample=sample)


def run_chunk(cell: str, kind: str, chunk: int) -> list[np.ndarray]:
    """Return estimates of several fresh samples, or predictions of several pilots."""
    found = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            rng = np.random.default_rng([seed, CELLS.index(cell), len(kind)])
            if kind == "samples":
                found.append(fit(cell, LABELS, rng).results_.params)
                continue
            try:
                pilot = fit(cell, PILOT, rng)
                options = {"target": TERMS, "allocations": ["equal"], "n_resamples": 0}
                budget = label_budget(pilot, standard_error=1.0, **options)
            except ValueError:
                continue
            table = budget.table
            errors = budget.curve([LABELS])["standard_error"]
            found.append(np.array([errors, table["typical_error"], table["reliable"]], dtype=float))
    return found


def main() -> None:
    """Run all cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pilots", type=int, default=200)
    parser.add_argument("--replicates", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    tables = []
    with joblib.Parallel(given.jobs) as parallel:
        for cell in CELLS:
            many = {}
            for kind, n in (("samples", given.replicates), ("pilots", given.pilots)):
                work = (joblib.delayed(run_chunk)(cell, kind, k) for k in range(n // CHUNK))
                many[kind] = np.array([one for part in parallel(work) for one in part])
            finite = many["samples"][np.isfinite(many["samples"]).all(axis=1)]
            deviation = finite.std(axis=0, ddof=1)
            predicted, typical, reliable = np.moveaxis(many["pilots"], 1, 0)
            relative = predicted / deviation - 1.0
            tables.append(
                pd.DataFrame(
                    {
                        "cell": cell,
                        "term": TERMS,
                        "SD": deviation,
                        "median error": np.nanmedian(relative, axis=0),
                        "median |error|": np.nanmedian(np.abs(relative), axis=0),
                        "typical_error": np.nanmedian(typical, axis=0),
                        "called reliable": np.nanmean(reliable, axis=0),
                        "pilots": len(predicted),
                        "replicates": len(finite),
                    }
                )
            )
            pd.concat(tables).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from gold_budget import main as run

    run()
