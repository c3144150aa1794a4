"""What optimal allocation gains from a pilot, and what it can lose.

5,000 rows, one covariate, a predicted outcome whose errors have a known variance v(x, q); 50 or
100 labels of a simple random pilot, 300 labels to allocate. Figures are design variances of the
targeted coefficient relative to equal probabilities, with the true v: mean and 95th percentile over
pilots.

    python vignettes/evidence/gold_allocation.py --pilots 150

writes ``gold_allocation.csv``. *Oracle* knows v, *known* the influence alone
(``learner="constant"``, no mixing); the others learn v by the package's forest or ridge regression
with the share 0.2 of equal probabilities or with the gate, which is the default.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from trueness.dsl.labelling.allocation import gate, squared_errors
from trueness.dsl.labelling.errors import LabelErrors
from trueness.dsl.numerics.label_sizes import design_ratio, mixed_probabilities, target_sizes

N_ROWS, N_LABELS = 5000, 300
ERRORS = {
    "constant": lambda x, q: np.ones_like(x),
    "strongly varying": lambda x, q: np.exp(1.2 * q),
    "threshold": lambda x, q: np.where(q > 0.8, 9.0, 0.3),
    "inverse to influence": lambda x, q: 1.0 / (0.1 + x**2),
}
CELLS = [("slope", name) for name in ERRORS] + [("mean", "constant"), ("mean", "strongly varying")]
METHODS = ("forest, share 0.2", "forest, gate", "ridge, share 0.2", "ridge, gate")


def frame(errors: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariate, surrogate and variance of its error."""
    rng = np.random.default_rng(seed)
    x, q = rng.normal(size=(2, N_ROWS))
    return x, q, ERRORS[errors](x, q)


def ratio(loading: np.ndarray, v: np.ndarray, size: np.ndarray, share: float) -> float:
    """Return the design variance relative to equal probabilities."""
    probability = mixed_probabilities(size, N_LABELS, share)
    return float(design_ratio((loading**2 * v)[:, None], probability)[0])


def one_pilot(target: str, errors: str, n_pilot: int, seed: int) -> dict[str, float]:
    """Allocate from one pilot in every way."""
    x, q, v = frame(errors, seed)
    rng = np.random.default_rng([seed, n_pilot])
    loading = (x - x.mean()) / x.var() if target == "slope" else np.ones(N_ROWS)
    rows = np.sort(rng.choice(N_ROWS, n_pilot, replace=False))
    residual = np.sqrt(v[rows]) * rng.normal(size=n_pilot)
    known = LabelErrors(
        (target,),
        (loading[rows] * residual)[:, None],
        loading[:, None],
        residual,
        np.column_stack([x, q]),
        rows,
        np.full(n_pilot, N_ROWS / n_pilot),
    )
    result = {
        "oracle": ratio(loading, v, np.abs(loading) * np.sqrt(v), 0.0),
        "known": ratio(loading, v, np.abs(loading), 0.0),
    }
    for learner in ("forest", "ridge"):
        size = target_sizes(known.loading, squared_errors(known, learner, seed))
        result[f"{learner}, share 0.2"] = ratio(loading, v, size, 0.2)
        result[f"{learner}, gate"] = ratio(loading, v, size, gate(known, N_LABELS, learner, seed))
    return result


def run_cell(target: str, errors: str, n_pilot: int, n_pilots: int) -> dict[str, object]:
    """Return one row of the table."""
    with threadpool_limits(1):
        table = pd.DataFrame([one_pilot(target, errors, n_pilot, k) for k in range(n_pilots)])
    row: dict[str, object] = {"target": target, "errors": errors, "pilot": n_pilot}
    row |= table[["oracle", "known"]].mean().to_dict()
    for method in METHODS:
        row[method] = table[method].mean()
        row[f"{method}, 95%"] = table[method].quantile(0.95)
    return row | {"pilots": n_pilots}


def main() -> None:
    """Run all cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pilots", type=int, default=150)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    work = [(*cell, size, given.pilots) for cell in CELLS for size in (50, 100)]
    rows = joblib.Parallel(given.jobs)(joblib.delayed(run_cell)(*part) for part in work)
    pd.DataFrame(rows).round(3).to_csv(given.out, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from gold_allocation import main as run

    run()
