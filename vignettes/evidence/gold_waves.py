"""Coverage after adaptive second and third waves of labels.

4,000 rows, a predicted outcome and a machine whose labels are taken as they are, 100 labels in a
first wave of independent draws, 200 more in one or two adaptive waves that target one slope (ridge
regression, share 0.2 of equal probabilities; *forest* in one cell with a fifth of the replicates).
All intervals are those of the default estimator.

    python vignettes/evidence/gold_waves.py --replicates 2500 --jobs 2

writes ``gold_waves.csv``: a row for each coefficient of each cell, with bias relative to the
standard deviation, mean squared standard error relative to the variance, and coverage. *linear*:
the machine's error grows with a covariate and is biased along another. *logit*: the machine is
nearly always right except in a tenth of the rows.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
import zlib
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from scipy.special import expit
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, GoldSample, next_wave

N_ROWS = 4000
MODELS = {"linear": DSLLinearRegression, "logit": DSLLogisticRegression}
TRUTH = {"linear": np.array([1.0, 0.5, -0.5]), "logit": np.array([-0.2, 0.6, -0.5])}
PLANS = {"one wave": (300,), "two waves": (100, 200), "three waves": (100, 100, 100)}
CELLS = [
    *[(model, "one wave", "equal", "none") for model in MODELS],
    *itertools.product(MODELS, ("two waves", "three waves"), ("pooled", "martingale"), ("ridge",)),
    ("linear", "three waves", "pooled", "forest"),
]
CHUNK = 50
FOREST_SHARE = 5


def draw(model: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariates, outcome and machine labels."""
    x1, x2 = rng.normal(size=(2, N_ROWS))
    X = np.column_stack([x1, x2])
    index = TRUTH[model][0] + X @ TRUTH[model][1:]
    if model == "linear":
        y = index + rng.normal(size=N_ROWS)
        return X, y, 0.9 * y + 0.3 * x2 + np.exp(0.6 * x1) * rng.normal(size=N_ROWS)
    y = (rng.random(N_ROWS) < expit(index)).astype(float)
    wrong = np.where(x1 > 1.28, 0.35, 0.03)
    return X, y, np.where(rng.random(N_ROWS) < wrong, 1.0 - y, y)


def replicate(cell: tuple[str, ...], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimates, standard errors and coverage after the last wave."""
    model, plan, method, learner = cell
    rng = np.random.default_rng([zlib.crc32(repr(cell).encode()), seed])
    X, y, machine = draw(model, rng)
    sizes = PLANS[plan]
    sample = GoldSample.poisson(N_ROWS, n=sizes[0], random_state=rng)
    estimator = MODELS[model](learner=None)

    def fit() -> object:
        gold = np.where(sample.drawn, y, np.nan)
        return estimator.fit(X, gold, surrogates=machine, gold_sample=sample)

    fit()
    for size in sizes[1:]:
        options = {"target": "x1", "method": method, "learner": learner, "random_state": rng}
        sample = next_wave(sample, estimator, size, **options)
        fit()
    results = estimator.results_
    interval = results.conf_int().to_numpy()[:, -2:].astype(float)
    truth = TRUTH[model]
    covered = (interval[:, 0] <= truth) & (truth <= interval[:, 1])
    return results.params, results.std_errors, covered


def run_chunk(cell: tuple[str, ...], chunk: int) -> list[tuple[np.ndarray, ...]]:
    """Return the replicates of a chunk; those without a finite estimate are left out."""
    found = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
            try:
                result = replicate(cell, seed)
            except ValueError:
                continue
            if np.isfinite(result[1]).all():
                found.append(result)
    return found


def table_of(cell: tuple[str, ...], found: list[tuple[np.ndarray, ...]], n: int) -> pd.DataFrame:
    """Return a row for each coefficient."""
    estimates, errors, covered = (np.stack(part) for part in zip(*found, strict=True))
    deviation = estimates.std(axis=0, ddof=1)
    frame = pd.DataFrame({"term": ("intercept", "x1", "x2")})
    for name, value in zip(("learner", "method", "plan", "model"), cell[::-1], strict=True):
        frame.insert(0, name, value)
    frame["bias / SD"] = (estimates.mean(axis=0) - TRUTH[cell[0]]) / deviation
    frame["SD"] = deviation
    frame["SE2 / SD2"] = (errors**2).mean(axis=0) / deviation**2
    frame["coverage"] = covered.mean(axis=0)
    frame["replicates"], frame["failed"] = len(found), n - len(found)
    return frame


def main() -> None:
    """Run all cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2500, help=f"in steps of {CHUNK}")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    found: dict[tuple[str, ...], list[tuple[np.ndarray, ...]]] = {cell: [] for cell in CELLS}
    tried = dict.fromkeys(CELLS, 0)
    with joblib.Parallel(given.jobs) as parallel:
        for chunk in range(given.replicates // CHUNK):
            # Forests take most of the time, and differ from ridge in precision only.
            cells = [cell for cell in CELLS if "forest" not in cell or chunk % FOREST_SHARE == 0]
            parts = parallel(joblib.delayed(run_chunk)(cell, chunk) for cell in cells)
            for cell, part in zip(cells, parts, strict=True):
                found[cell] += part
                tried[cell] += CHUNK
            tables = [table_of(cell, found[cell], tried[cell]) for cell in CELLS]
            pd.concat(tables).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from gold_waves import main as run

    run()
