"""Labels of documents carried up to units: outcome and covariate, against the mean of labels.

500 units of 3 to 15 documents, on average 12% of them labelled, with equal probabilities or with
such as depend on the label; a machine of correlation about 0.8. *Outcome*: the slope of the units'
mean label on a covariate; *mean*: the mean of the units' labels; *covariate*: the slope 0.8 of an
outcome on the units' mean label.

    python vignettes/evidence/gold_units.py --replicates 2500 --jobs 2

writes ``gold_units.csv``: for each way of aggregating, bias, standard deviation, mean standard
error over it, and coverage.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from trueness.dsl import GoldSample, aggregate_labels, unit_regression
from trueness.inference import Estimates

N_UNITS, SHARE = 500, 0.12
WAYS = ("package", "mean of labels")
TRUTH = {"mean": 0.0, "outcome": 0.5, "covariate": 0.8}


def draw(probabilities: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return documents and units."""
    unit = np.repeat(np.arange(N_UNITS), rng.integers(3, 16, N_UNITS))
    z = rng.normal(size=N_UNITS)
    level = 0.5 * z + 0.8 * rng.normal(size=N_UNITS)
    y = level[unit] + rng.normal(size=len(unit))
    mean = np.bincount(unit, y) / np.bincount(unit)
    size = np.exp(0.5 * y) if probabilities == "unequal" else np.ones(len(unit))
    sample = GoldSample.poisson(
        len(unit), n=SHARE * len(unit), size=size, minimum=0.4 * SHARE, random_state=rng
    )
    return {
        "unit": unit,
        "z": z,
        "y": y,
        "machine": y + 0.8 * rng.normal(size=len(unit)),
        "outcome": 1.0 + 0.8 * mean + rng.normal(size=N_UNITS),
        "sample": sample,
    }


def means_of_labels(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each unit's labelled documents, and which units have any."""
    drawn = data["sample"].drawn
    total = np.bincount(data["unit"], np.where(drawn, data["y"], 0.0))
    count = np.bincount(data["unit"], drawn)
    known = count > 0
    return total[known] / count[known], known


def least_squares(y: np.ndarray, columns: list[np.ndarray]) -> Estimates:
    """Return least squares with HC1 errors, as if the labels were units' values."""
    X = np.column_stack([np.ones(len(y)), *columns])
    inverse = np.linalg.inv(X.T @ X)
    scores = X * (y - X @ (inverse @ X.T @ y))[:, None]
    n, k = X.shape
    cov = inverse @ scores.T @ scores @ inverse * n / (n - k)
    names = [f"b{j}" for j in range(k)]
    return Estimates(inverse @ X.T @ y, cov, names, n_obs=n, df=float(n - k))


def replicate(probabilities: str, seed: int) -> list[tuple[str, str, float, float, bool]]:
    """Return way, estimand, estimate, standard error and coverage."""
    data = draw(probabilities, np.random.default_rng([seed, len(probabilities)]))
    gold = np.where(data["sample"].drawn, data["y"], np.nan)
    units = aggregate_labels(gold, data["machine"], data["unit"], gold_sample=data["sample"])
    means, known = means_of_labels(data)
    fits = {
        ("package", "mean"): (unit_regression(units, {}), 0),
        ("package", "outcome"): (unit_regression(units, {"z": data["z"]}), 1),
        ("package", "covariate"): (unit_regression(data["outcome"], {"tone": units}), 1),
        ("mean of labels", "mean"): (least_squares(means, []), 0),
        ("mean of labels", "outcome"): (least_squares(means, [data["z"][known]]), 1),
        ("mean of labels", "covariate"): (least_squares(data["outcome"][known], [means]), 1),
    }
    rows = []
    for (way, estimand), (results, position) in fits.items():
        low, high = results.conf_int().iloc[position, -2:].astype(float)
        value, error = results.params[position], results.std_errors[position]
        rows.append((way, estimand, value, error, low <= TRUTH[estimand] <= high))
    return rows


def run_chunk(probabilities: str, seeds: range) -> list[tuple[str, str, float, float, bool]]:
    """Return several replicates."""
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [row for seed in seeds for row in replicate(probabilities, seed)]


def main() -> None:
    """Run all cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    chunks = [range(k, min(k + 100, given.replicates)) for k in range(0, given.replicates, 100)]
    tables = []
    for probabilities in ("equal", "unequal"):
        work = (joblib.delayed(run_chunk)(probabilities, seeds) for seeds in chunks)
        rows = [row for part in joblib.Parallel(given.jobs)(work) for row in part]
        frame = pd.DataFrame(rows, columns=["way", "estimand", "value", "error", "covered"])
        groups = frame.groupby(["estimand", "way"])
        table = groups["value"].agg(["mean", "std"])
        table["bias"] = table["mean"] - table.index.get_level_values("estimand").map(TRUTH)
        table["SE / SD"] = groups["error"].mean() / table["std"]
        table["coverage"] = groups["covered"].mean()
        table = table.rename(columns={"std": "SD"}).drop(columns="mean").reset_index()
        table.insert(0, "probabilities", probabilities)
        tables.append(table.assign(replicates=given.replicates))
    pd.concat(tables).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from gold_units import main as run

    run()
