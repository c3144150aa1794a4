r"""Coverage of intervals from censored durations over repeated samples with known truth.

500 rows with :math:`x_1` uniform on (-1/2, 1/2) and :math:`x_2 = \pm 1/2` by a fair coin;
:math:`Y = (3/2 + x_1/2 + x_2/2)\, W` with W Weibull of shape 1.5, so that medians are linear in x;
C exponential with mean :math:`c` ("independent") or :math:`c\, e^{2 x_1}` ("dependent"),
45 percent of restricted durations unknown. Taking the censoring curve for known would make the
standard errors of intercepts 10 to 20 percent too large. Targets: means of functions of
:math:`\min(Y, 2)` and survival at 1 by `km_integral`; the linear regression of
:math:`\min(Y, 2)`, the logistic regression of :math:`Y > 1` (neither is right, so that the truth is
the best approximation) and the median of Y on x. Replicate r of every cell is drawn with seed r.

    python vignettes/evidence/censoring_coverage.py --replicates 2500

writes ``censoring_coverage.csv`` beside this file, and its means over coefficients as
``censoring_coverage_summary.csv``. Blocks of 100 replicates are kept in a folder (``--keep``)
until all are there, so that the command can be interrupted and given again. Estimators of one
sample share the model of censoring, which takes most of the time; in every block they are compared
with those of the package, which fit it anew.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import optimize, special
from threadpoolctl import threadpool_limits

from trueness.censoring import (
    BeranCensoring,
    CensoredLinearRegression,
    CensoredLogisticRegression,
    CensoredQuantileRegression,
    CensoringModel,
    CoxCensoring,
    KaplanMeierCensoring,
    PositivityWarning,
    km_integral,
    survival_target,
)
from trueness.censoring.horizon import restrict, survives
from trueness.censoring.inference.engine import (
    OUTCOME_FLOOR,
    Solved,
    Task,
    curves_of,
    outcome_values,
    weights_of,
    with_outcomes,
    with_weights,
)
from trueness.censoring.numerics.fits import linear_fit, logistic_fit, quantile_fit
from trueness.censoring.targets import read_target
from trueness.inference import Estimates

sys.path.append(str(Path(__file__).parent))  # for those who load this file by its path
from coverage_study import summarise, worst

SHAPE, HORIZON, TIME = 1.5, 2.0, 1.0
UNKNOWN = 0.45
SLOPE = {"independent": 0.0, "dependent": 2.0}
NODES, MASS = np.polynomial.legendre.leggauss(40)
BLOCK = 100
N_FOLDS = 5
KIND = "HC3"  # what covariance="auto" is without clusters
SOLVERS = {
    "linear": linear_fit,
    "logistic": logistic_fit,
    "median": partial(quantile_fit, quantile=0.5),
}
# Model, method, and how censoring depends on covariates.
Cell = tuple[str, str, str]
# The wrong model of censoring, to show that it matters.
WRONG: Cell = ("linear", "weights, Kaplan-Meier", "dependent")

# The grid over which truths are integrated: nodes of x1, once for each value of x2.
GRID_X1 = np.tile(NODES / 2.0, 2)
GRID_X2 = np.repeat([-0.5, 0.5], len(NODES))
GRID_WEIGHT = np.tile(MASS / 4.0, 2)
GRID = np.column_stack([np.ones(len(GRID_X1)), GRID_X1, GRID_X2])


def scale(x1: Any, x2: Any) -> Any:
    """Return the scale of the duration."""
    return 1.5 + x1 / 2.0 + x2 / 2.0


def survival(time: Any, x1: Any, x2: Any) -> Any:
    """Return P(Y > time | x)."""
    return np.exp(-((time / scale(x1, x2)) ** SHAPE))


def restricted_mean(x1: Any, x2: Any) -> Any:
    """Return E[min(Y, 2) | x]."""
    size, power = scale(x1, x2), 1.0 / SHAPE
    reached = special.gammainc(power, (HORIZON / size) ** SHAPE)
    return size * power * special.gamma(power) * reached


@cache
def censoring_scale(design: str) -> float:
    """Return c for which the chosen share of the restricted durations is unknown."""
    times, mass = np.polynomial.legendre.leggauss(80)
    times, mass = (times + 1.0) * HORIZON / 2.0, mass * HORIZON / 2.0

    def excess(c: float) -> float:
        mean = c * np.exp(SLOPE[design] * GRID_X1)[:, None]
        # Censored in (0, 2) before the event.
        density = np.exp(-times / mean) / mean * survival(times, GRID_X1[:, None], GRID_X2[:, None])
        return float(GRID_WEIGHT @ (density @ mass)) - UNKNOWN

    return float(optimize.brentq(excess, 0.05, 50.0))


def draw(design: str, seed: int, n_rows: int = 500) -> tuple[pd.DataFrame, Any]:
    """Draw covariates and censored durations."""
    rng = np.random.default_rng(seed)
    x = pd.DataFrame({"x1": rng.random(n_rows) - 0.5, "x2": rng.integers(0, 2, n_rows) - 0.5})
    duration = scale(x.x1, x.x2).to_numpy() * rng.weibull(SHAPE, n_rows)
    mean = censoring_scale(design) * np.exp(SLOPE[design] * x.x1.to_numpy())
    censored = rng.exponential(mean)
    return x, survival_target(np.minimum(duration, censored), duration <= censored)


@cache
def truth(model: str) -> dict[str, float]:
    """Return the true values of a model's parameters, by integration over x."""
    mean, alive = restricted_mean(GRID_X1, GRID_X2), survival(TIME, GRID_X1, GRID_X2)
    if model == "mean":
        return {"mean": float(GRID_WEIGHT @ mean)}
    if model == "survival":
        return {"S(1)": float(GRID_WEIGHT @ alive)}
    if model == "product":
        return {"x1 times duration": float(GRID_WEIGHT @ (GRID_X1 * mean))}
    names = ("intercept", "x1", "x2")
    weighted = GRID * GRID_WEIGHT[:, None]
    if model == "linear":
        beta = np.linalg.solve(weighted.T @ GRID, weighted.T @ mean)
    elif model == "logistic":
        beta = optimize.root(
            lambda b: weighted.T @ (alive - special.expit(GRID @ b)), np.zeros(3), tol=1e-12
        ).x
    else:
        beta = np.log(2.0) ** (1.0 / SHAPE) * np.array([1.5, 0.5, 0.5])
    return dict(zip(names, map(float, beta), strict=True))


class Sample:
    """One sample and what several estimators of a replicate share: models of censoring."""

    def __init__(self, design: str, seed: int) -> None:
        self.x, self.y = draw(design, seed)
        self.rows, _ = read_target(self.y)
        self.design = np.column_stack([np.ones(len(self.x)), self.x])
        self.seed = seed

    def task(self, model: str) -> Task:
        """Return what is regressed on what."""
        at_time = model == "logistic"
        restricted = survives(self.rows, TIME) if at_time else restrict(self.rows, HORIZON)
        return Task(self.x.to_numpy(), self.design, self.rows, restricted, at_time)

    def weighted(self, model: str, fitted: Any) -> Estimates:
        """Return the estimates by weights, with HC3 errors that count the censoring curve."""
        task = self.task(model)
        weights = weights_of(fitted, task, 0.0, quiet=True, describe=False)
        return self._estimates(with_weights(task, SOLVERS[model], weights), task)

    def robust(self, models: tuple[str, ...], censoring: Any, event: Any) -> dict[str, Estimates]:
        """Return the estimates by doubly robust outcomes, with HC3 errors."""
        folds = np.random.SeedSequence(self.seed)
        curves = curves_of(self.task(models[0]), censoring, event, N_FOLDS, folds)
        found = {}
        for model in models:
            task = self.task(model)
            outcome = outcome_values("doubly_robust", task, curves, OUTCOME_FLOOR)
            found[model] = self._estimates(with_outcomes(task, SOLVERS[model], outcome), task)
        return found

    def fit(self, model: CensoringModel) -> CensoringModel:
        """Fit a model of censoring or of the event."""
        return model.fit_rows(self.x.to_numpy(), self.rows)

    def _estimates(self, solved: Solved, task: Task) -> Estimates:
        cov, _ = solved.covariance(task.design, KIND, None)
        return Estimates(solved.fit.coef, cov, ("intercept", "x1", "x2"), len(self.x))


def by_marginal_curve(seed: int) -> dict[Cell, Estimates]:
    """Integrals and weights where censoring is independent of covariates."""
    sample = Sample("independent", seed)
    y, x1 = sample.y, sample.x["x1"].to_numpy()
    integrals = {
        "mean": km_integral(y, horizon=HORIZON),
        "survival": km_integral(y, "survival", times=TIME),
        "product": km_integral(y, lambda z: x1 * z, horizon=HORIZON, names=["x1 times duration"]),
    }
    found = {(model, "km_integral", "independent"): fit for model, fit in integrals.items()}
    fitted = sample.fit(KaplanMeierCensoring())
    for model in SOLVERS:
        cell = (model, "weights, Kaplan-Meier", "independent")
        found[cell] = sample.weighted(model, fitted)
        if seed % BLOCK == 0:
            assert_same(found[cell], sample, model, method="weights", censoring="km", floor=0.0)
    return found


def by_cox_weights(seed: int) -> dict[Cell, Estimates]:
    """Weights where censoring depends on a covariate, and marginal ones, which are wrong."""
    sample = Sample("dependent", seed)
    fitted, found = sample.fit(CoxCensoring()), {}
    for model in SOLVERS:
        cell = (model, "weights, Cox", "dependent")
        found[cell] = sample.weighted(model, fitted)
        if seed % BLOCK == 0:
            assert_same(found[cell], sample, model, method="weights", censoring="cox", floor=0.0)
    found[WRONG] = sample.weighted("linear", sample.fit(KaplanMeierCensoring()))
    return found


def by_robust_outcomes(name: str, seed: int) -> dict[Cell, Estimates]:
    """Doubly robust outcomes from two models of one kind."""
    sample = Sample("dependent", seed)
    censoring, event = (
        sample.fit(CoxCensoring(of=of) if name == "Cox" else BeranCensoring(of=of))
        for of in ("censoring", "event")
    )
    method = f"doubly robust, {name} and {name}"
    found = sample.robust(("linear", "logistic"), censoring, event)
    return {(model, method, "dependent"): fit for model, fit in found.items()}


def assert_same(found: Estimates, sample: Sample, model: str, **options: Any) -> None:
    """Assert that the estimator of the package returns the same."""
    if model == "median":
        options.pop("method")
    estimator = {
        "linear": CensoredLinearRegression(horizon=HORIZON),
        "logistic": CensoredLogisticRegression(TIME),
        "median": CensoredQuantileRegression(0.5, horizon=HORIZON),
    }[model]
    with warnings.catch_warnings():
        # No floor is set, so that a few small values of the curve are to be expected.
        warnings.simplefilter("ignore", PositivityWarning)
        fitted = estimator.set_params(**options).fit(sample.x, sample.y).results_
    np.testing.assert_allclose(fitted.params, found.params, rtol=1e-8)
    np.testing.assert_allclose(fitted.std_errors, found.std_errors, rtol=1e-8)


# What is estimated from the same sample, in the order in which it is run.
GROUPS: dict[str, Callable[[int], dict[Cell, Estimates]]] = {
    "marginal": by_marginal_curve,
    "cox": by_cox_weights,
    "robust": partial(by_robust_outcomes, "Cox"),
    "robust_local": partial(by_robust_outcomes, "Beran"),
}


def replicate(group: str, seed: int) -> pd.DataFrame:
    """Draw one sample and estimate all that the group does."""
    frames = []
    with threadpool_limits(1):
        for (model, method, design), result in GROUPS[group](seed).items():
            values = truth(model)
            assert set(result.names) == set(values)
            frame = result.to_frame()[["term", "estimate", "std_error", "conf_low", "conf_high"]]
            frames.append(
                frame.assign(
                    truth=frame["term"].map(values),
                    model=model,
                    method=method,
                    censoring=design,
                    seed=seed,
                )
            )
    return pd.concat(frames, ignore_index=True)


def run_group(
    group: str, n_replicates: int, n_jobs: int = 1, keep: Path | None = None
) -> pd.DataFrame:
    """Summarise the cells of a group, taking blocks that were kept from files."""

    def block(start: int) -> pd.DataFrame:
        stop = min(start + BLOCK, n_replicates)
        path = None if keep is None else keep / f"{group}_{start}_{stop}.csv"
        if path is not None and path.exists():
            return pd.read_csv(path)
        frame = pd.concat([replicate(group, seed) for seed in range(start, stop)])
        if path is not None:
            unfinished = path.with_suffix(".part")
            frame.to_csv(unfinished, index=False)
            unfinished.replace(path)
        return frame

    starts = range(0, n_replicates, BLOCK)
    frames = Parallel(n_jobs=n_jobs)(delayed(block)(start) for start in starts)
    summaries = []
    for (model, _, design), part in pd.concat(frames, ignore_index=True).groupby(
        ["model", "method", "censoring"], sort=False
    ):
        summary = summarise(part)
        summary.insert(0, "censoring", design)
        summary.insert(0, "model", model)
        summaries.append(summary)
    return pd.concat(summaries, ignore_index=True)


def by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """Average over the coefficients of each cell, and show the worst of them."""
    rows = []
    for names, cell in table.groupby(["model", "method", "censoring"], sort=False):
        rows.append(
            dict(zip(("model", "method", "censoring"), names, strict=True))
            | {
                "coverage": f"{cell.coverage.mean():.3f}",
                "worst coefficient": f"{worst(cell.coverage, 0.95):.3f}",
                "SE / SD": f"{cell.se_over_sd.mean():.3f}",
                "worst SE / SD": f"{worst(cell.se_over_sd, 1.0):.3f}",
                "largest bias / SD": f"{(cell.bias.abs() / cell.sd).max():.2f}",
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Run all cells, print their means over coefficients and write the tables."""
    out = Path(__file__).with_suffix(".csv")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=2500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=out.with_suffix(".blocks"))
    parser.add_argument("--out", type=Path, default=out)
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    tables: list[pd.DataFrame] = []
    for group in GROUPS:
        tables.append(run_group(group, options.replicates, options.jobs, options.keep))
        print(by_cell(tables[-1]).to_string(header=len(tables) == 1, index=False), flush=True)
    table = pd.concat(tables).round(6)
    table.to_csv(options.out, index=False, lineterminator="\n")
    summary = options.out.with_stem(f"{options.out.stem}_summary")
    by_cell(table).to_csv(summary, index=False, lineterminator="\n")
    for path in options.keep.glob("*.csv"):
        path.unlink()
    options.keep.rmdir()


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from censoring_coverage import main as run

    run()
