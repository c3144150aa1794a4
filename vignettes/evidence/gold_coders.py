"""Coverage with several coders: the average of these, and of all coders of whom these are a sample.

2,000 rows, 200 labels of a simple random sample, three, five or eight coders with noise of their
own, without leanings or with leanings in the level and in a slope that are theirs on all documents.

    python vignettes/evidence/gold_coders.py --replicates 2500 --jobs 2

writes ``gold_coders.csv``: coverage, averaged over the two coefficients, of the interval for the
pool and for the population, and of the pool's interval taken for the population's; and of one
random coder per document for the pool.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, GoldSample, fit_coders

N_ROWS, N_LABELS = 2000, 200
CODERS = (3, 5, 8)
TRUTH = np.array([1.0, 0.5])


def replicate(n_coders: int, leaning: float, seed: int) -> dict[str, float]:
    """Return how many of the two coefficients each interval covers, as a share."""
    rng = np.random.default_rng([seed, n_coders, int(10 * leaning)])
    x = rng.normal(size=N_ROWS)
    y = TRUTH[0] + TRUTH[1] * x + rng.normal(size=N_ROWS)
    machine = y + 0.7 * rng.normal(size=N_ROWS)
    sample = GoldSample.simple_random(N_ROWS, N_LABELS, random_state=rng)
    level = leaning * rng.normal(size=n_coders)
    tilt = leaning / 2 * rng.normal(size=n_coders)
    noise = 0.7 * rng.normal(size=(N_ROWS, n_coders))
    labels = y[:, None] + level + tilt * x[:, None] + noise
    labels[~sample.drawn] = np.nan
    pool = TRUTH + np.array([level.mean(), tilt.mean()])
    dealt = np.arange(n_coders) == rng.integers(0, n_coders, N_ROWS)[:, None]
    model = DSLLinearRegression(learner=None)

    def interval(labels: np.ndarray, estimand: str) -> pd.DataFrame:
        options = {"surrogates": machine, "gold_sample": sample}
        return fit_coders(model, x[:, None], labels, estimand=estimand, **options).to_frame()

    def share(table: pd.DataFrame, truth: np.ndarray) -> float:
        return float(((table["conf_low"] <= truth) & (truth <= table["conf_high"])).mean())

    mean, every = interval(labels, "pool"), interval(labels, "population")
    return {
        "pool": share(mean, pool),
        "pool, one coder per document": share(
            interval(np.where(dealt, labels, np.nan), "pool"), pool
        ),
        "population": share(every, TRUTH),
        "pool's interval for the population": share(mean, TRUTH),
    }


def run_chunk(n_coders: int, leaning: float, seeds: range) -> list[dict[str, float]]:
    """Return several replicates."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [replicate(n_coders, leaning, seed) for seed in seeds]


def main() -> None:
    """Run all cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    chunks = [range(k, min(k + 50, given.replicates)) for k in range(0, given.replicates, 50)]
    found: dict[tuple[int, float], list[dict[str, float]]] = {}
    with joblib.Parallel(given.jobs) as parallel:
        for seeds in chunks:
            cells = list(itertools.product(CODERS, (0.0, 0.3)))
            parts = parallel(joblib.delayed(run_chunk)(*cell, seeds) for cell in cells)
            for cell, part in zip(cells, parts, strict=True):
                found.setdefault(cell, []).extend(part)
            rows = [
                {"coders": cell[0], "leanings": cell[1]}
                | pd.DataFrame(part).mean().to_dict()
                | {"replicates": len(part)}
                for cell, part in found.items()
            ]
            pd.DataFrame(rows).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from gold_coders import main as run

    run()
