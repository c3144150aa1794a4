"""Coverage and precision of power-tuned DSL with few labels, in every design.

Cells: {linear, logit, Poisson, fixed effects} x {outcome, covariate predicted} x {good, biased,
useless machine} x {simple random, stratified disproportionate, unequal Poisson, 20 clusters, 50
clusters} x {100, 200, 500 labels}, 2,000 rows, the machine's labels as they are.

    python vignettes/evidence/dsl_tuning.py --replicates 2500 --jobs 2

A row of ``dsl_tuning.csv`` is a coefficient of a cell: bias, standard deviation, mean standard
error and coverage of the tuned estimator, and its mean squared error relative to that of the gold
labels alone and, with the good machine, of the untuned estimator. ``dsl_tuning_summary.csv`` holds
means over designs and labels. An interrupted run goes on where it stopped. Below what the package
takes for enough, with 50 labels or 5 or 10 whole clusters, ``dsl_tuning_few.csv`` has

    python vignettes/evidence/dsl_tuning.py --few --replicates 500 --jobs 2

Replicates go through the engine below the estimators, as reading input costs more than the estimate
at this size; ``tests/dsl/test_tuning_study.py`` shows that both agree.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, ndtr, ndtri
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLPoissonRegressor
from trueness.dsl.data import LabelledData
from trueness.dsl.fixed_effects import Absorbed
from trueness.dsl.gold_sample import GoldSample
from trueness.dsl.numerics import LINEAR, LOGISTIC, POISSON, SamplingDesign
from trueness.dsl.options import VarianceOptions, variance_of
from trueness.dsl.solutions import gold_solution, plain_solution, tuned_solution
from trueness.dsl.targets import Target
from trueness.dsl.versions import MatrixVersions, Outcome

MODELS = ("linear", "logit", "poisson", "fixed effects")
ROLES = ("outcome", "covariate")
MACHINES = ("good", "biased", "useless")
DESIGNS = ("simple random", "stratified", "unequal", "20 clusters", "50 clusters")
LABELS = (100, 200, 500)
N_ROWS, N_EFFECTS = 2000, 40
CHUNK = 500
SLOPES = {"x1": 0.4, "x2": -0.5, "topic": 0.6}
INTERCEPTS = {"linear": 1.0, "logit": -0.2, "poisson": 0.3, "fixed effects": 0.0}
ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logit": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "fixed effects": DSLLinearRegression,
}
RULES = {"linear": LINEAR, "logit": LOGISTIC, "poisson": POISSON, "fixed effects": LINEAR}


class Cell(NamedTuple):
    """One cell of the study."""

    model: str
    role: str
    machine: str
    design: str
    n_labels: int

    @property
    def truth(self) -> np.ndarray:
        """The coefficients, intercept first unless fixed effects take its place."""
        slopes = list(SLOPES.values())
        return np.array(
            slopes if self.model == "fixed effects" else [INTERCEPTS[self.model], *slopes]
        )

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        names = tuple(SLOPES)
        return names if self.model == "fixed effects" else ("intercept", *names)


# With 40 effects and 50 labels next to nothing is left to estimate from.
FEW = [
    Cell(*values)
    for values in (
        *itertools.product(MODELS[:3], ROLES, MACHINES, DESIGNS[:3], (50,)),
        *itertools.product(MODELS, ROLES, MACHINES, ("5 clusters", "10 clusters"), (100,)),
    )
]


class Draw(NamedTuple):
    """Data of one replicate."""

    covariates: np.ndarray
    outcome: np.ndarray
    machine: np.ndarray
    labelled: np.ndarray
    design: SamplingDesign
    effects: np.ndarray


def draw(cell: Cell, rng: np.random.Generator) -> Draw:
    """Draw one data set; rows of a cluster are related, in covariates and outcomes."""
    is_clustered = cell.design.endswith("clusters")
    size = cell.n_labels // int(cell.design.split()[0]) if is_clustered else 1
    unit = np.arange(N_ROWS) // size
    common = rng.normal(size=(unit[-1] + 1, 2))[unit]
    x1 = np.sqrt(0.8) * rng.normal(size=N_ROWS) + np.sqrt(0.2) * common[:, 0]
    x2 = (rng.random(N_ROWS) < 0.5).astype(float)
    topic = (rng.random(N_ROWS) < expit(0.5 * x1 - 0.5)).astype(float)
    X = np.column_stack([x1, x2, topic])
    # A latent error shared within units leaves the distribution given X as the model has it.
    rank = ndtr(np.sqrt(0.9) * rng.normal(size=N_ROWS) + np.sqrt(0.1) * common[:, 1])
    effects = rng.integers(0, N_EFFECTS, N_ROWS)
    index = INTERCEPTS[cell.model] + X @ np.array(list(SLOPES.values()))
    y = _outcome(cell.model, index, rank, effects, x1)
    machine = _machine(cell, X, y, rng)
    labelled, design = _labels(cell, x1, unit, rng)
    return Draw(X, y, machine, labelled, design, effects)


def _outcome(model: str, index: Any, rank: Any, effects: Any, x1: Any) -> np.ndarray:
    if model == "logit":
        return (rank < expit(index)).astype(float)
    if model == "poisson":
        return _poisson_quantile(rank, np.exp(index))
    noise = ndtri(rank) * (1.0 + 0.3 * np.abs(x1))
    if model == "linear":
        return index + noise
    return index + noise + 0.8 * np.sin(effects)


def _poisson_quantile(rank: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the quantiles of Poisson distributions, much faster than scipy's."""
    probability = np.exp(-mean)
    total, count = probability.copy(), np.zeros(len(mean))
    step = 0
    while (above := total < rank).any() and step < 200:
        step += 1
        count += above
        probability *= mean / step
        total += probability
    return count


def _machine(cell: Cell, X: Any, y: Any, rng: np.random.Generator) -> np.ndarray:
    """Return machine labels of what is predicted."""
    is_binary = cell.role == "covariate" or cell.model == "logit"
    truth = X[:, 2] if cell.role == "covariate" else y
    other = y if cell.role == "covariate" else X[:, 2]
    if is_binary:
        level = (other - other.mean()) / other.std()
        wrong = {
            "good": np.full(N_ROWS, 0.08),
            "biased": expit(-2.0 + 0.8 * X[:, 0] - 1.0 * truth + 0.4 * level),
            "useless": np.full(N_ROWS, 0.5),
        }[cell.machine]
        return np.where(rng.random(N_ROWS) < wrong, 1.0 - truth, truth)
    if cell.model == "poisson":
        if cell.machine == "good":
            return np.maximum(y + rng.integers(-1, 2, N_ROWS) * (rng.random(N_ROWS) < 0.5), 0.0)
        mean = 0.5 * y + 0.5 * np.exp(0.3 * X[:, 0]) if cell.machine == "biased" else y.mean()
        return rng.poisson(mean, N_ROWS).astype(float)
    if cell.machine == "good":
        return y + 0.4 * rng.normal(size=N_ROWS)
    if cell.machine == "biased":
        return 0.6 * y + 0.5 * X[:, 0] + 0.4 + 0.6 * rng.normal(size=N_ROWS)
    return y.std() * rng.normal(size=N_ROWS)


def _labels(
    cell: Cell, x1: Any, unit: Any, rng: np.random.Generator
) -> tuple[np.ndarray, SamplingDesign]:
    n, labelled = cell.n_labels, np.zeros(N_ROWS, dtype=bool)
    if cell.design == "simple random":
        labelled[rng.permutation(N_ROWS)[:n]] = True
        return labelled, SamplingDesign(np.full(N_ROWS, n / N_ROWS), is_fixed=True)
    if cell.design == "stratified":
        strata = np.searchsorted([-0.7, 0.0, 0.7], x1)
        size = np.bincount(strata, minlength=4)
        drawn = np.round(n * np.array([0.1, 0.2, 0.3, 0.4])).astype(int)
        for stratum in range(4):
            rows = np.flatnonzero(strata == stratum)
            labelled[rng.permutation(rows)[: drawn[stratum]]] = True
        return labelled, SamplingDesign((drawn / size)[strata], is_fixed=True, groups=strata)
    if cell.design == "unequal":
        probability = np.exp(0.6 * x1)
        probability = np.clip(probability * n / probability.sum(), 0.3 * n / N_ROWS, 0.95)
        labelled = rng.random(N_ROWS) < probability
        factor = labelled.sum() / probability.sum()
        return labelled, SamplingDesign(np.minimum(probability * factor, 1.0), is_fixed=True)
    n_units, n_all = int(cell.design.split()[0]), unit[-1] + 1
    labelled = np.isin(unit, rng.permutation(n_all)[:n_units])
    probability = np.full(N_ROWS, n_units / n_all)
    return labelled, SamplingDesign(
        probability, is_fixed=True, units=unit, unit_probability=probability
    )


def labelled_data(cell: Cell, sample: Draw) -> LabelledData:
    """Return what an estimator makes of one data set."""
    covariates, outcome = sample.covariates.copy(), sample.outcome.copy()
    columns = {}
    if cell.role == "outcome":
        outcome[~sample.labelled] = np.nan
        target = Target("y", outcome)
    else:
        covariates[~sample.labelled, 2] = np.nan
        target = Target("topic", covariates[:, 2])
        columns = {"topic": 2}
    has_effects = cell.model == "fixed effects"
    absorbed = Absorbed(("g",), sample.effects[:, None], None) if has_effects else None
    return LabelledData(
        model=RULES[cell.model],
        versions=MatrixVersions(
            covariates=covariates,
            names=tuple(SLOPES),
            outcome=Outcome(outcome),
            targets=(target,),
            columns=columns,
            has_intercept=not has_effects,
        ),
        design=sample.design,
        factor=1.0,
        clusters=sample.design.units,
        absorbed=absorbed,
    )


def replicate(cell: Cell, seed: np.random.SeedSequence) -> dict[str, np.ndarray] | None:
    """Return estimates, standard errors and coverage of one replicate, or None without a root."""
    sample = draw(cell, np.random.default_rng(seed))
    data = labelled_data(cell, sample)
    options = VarianceOptions("auto", "poisson", "superpopulation", "diagonal")
    prediction = sample.machine[:, None]
    alone = gold_solution(data, small_sample=True)
    tuned = tuned_solution(data, prediction, "diagonal", alone)
    if alone is None or not (alone.is_solved and tuned.is_solved):
        return None
    assert tuned.parts is not None and alone.parts is not None and tuned.weights is not None
    result = {"plain": np.full(len(cell.truth), np.nan)}
    if cell.machine == "good":
        plain = plain_solution(data.problem(prediction))
        result["plain"] = plain.root.beta if plain.is_solved else result["plain"]
    for name, solution in (("tuned", tuned), ("gold", alone)):
        variance = variance_of(solution.parts, options, data, n_absorbed=data.n_absorbed)
        spent = 0.0
        if data.absorbed is not None:
            rank = data.absorbed.among(data.labelled).rank
            spent = rank * (1.0 - tuned.weights.diagonal.mean() if name == "tuned" else 1.0)
        df = options.degrees_of_freedom(data, spent, variance.from_labels)
        error = np.sqrt(np.diag(variance.cov))
        result[name] = solution.root.beta
        result[f"{name} se"] = error
        covered = np.abs(solution.root.beta - cell.truth) <= stats.t.ppf(0.975, df) * error
        result[f"{name} covered"] = covered
    result["weight"] = tuned.weights.diagonal
    return result


def by_estimator(cell: Cell, sample: Draw) -> Any:
    """Return the fit of the public estimator to the same data."""
    data = labelled_data(cell, sample)
    design = sample.design
    strata = design.groups
    gold = GoldSample.from_design(
        np.arange(N_ROWS),
        design.probability,
        sample.labelled,
        strata=strata,
        units=design.units,
        unit_probability=design.unit_probability,
        is_fixed=True,
    )
    options = {} if cell.role == "outcome" else {"predicted_features": [2]}
    model = ESTIMATORS[cell.model](learner=None, **options)
    extra = {} if data.absorbed is None else {"fixed_effects": sample.effects}
    versions: Any = data.versions
    return model.fit(
        versions.covariates,
        versions.outcome.values,
        surrogates=sample.machine,
        gold_sample=gold,
        **extra,
    )


def run_chunk(cell: Cell, chunk: int) -> pd.DataFrame:
    """Return means over the replicates of one chunk, a row for each coefficient."""
    entropy = zlib.crc32(repr(cell).encode())
    seeds = (
        np.random.SeedSequence(entropy, spawn_key=(number,))
        for number in range(chunk * CHUNK, (chunk + 1) * CHUNK)
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solved = [result for seed in seeds if (result := replicate(cell, seed)) is not None]
    stack = {key: np.stack([result[key] for result in solved]) for key in solved[0]}
    frame = pd.DataFrame({**cell._asdict(), "term": cell.terms, "chunk": chunk})
    frame["replicates"], frame["failed"] = len(solved), CHUNK - len(solved)
    for name in ("tuned", "gold", "plain"):
        frame[f"{name} error"] = (stack[name] - cell.truth).mean(axis=0)
        frame[f"{name} square"] = ((stack[name] - cell.truth) ** 2).mean(axis=0)
    for name in ("tuned se", "gold se", "tuned covered", "gold covered", "weight"):
        frame[name] = stack[name].mean(axis=0)
    return frame


def results_of(chunks: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each coefficient of a cell, over all its chunks."""
    keys = [*Cell._fields, "term"]
    values = chunks.columns.difference([*keys, "chunk", "replicates", "failed"])
    weighted = chunks[values].mul(chunks["replicates"], axis=0).join(chunks[keys])
    counts = chunks.groupby(keys, sort=False)[["replicates", "failed"]].sum()
    means = weighted.groupby(keys, sort=False).sum(min_count=1).div(counts["replicates"], axis=0)
    deviation = np.sqrt(means["tuned square"] - means["tuned error"] ** 2)
    # Chunks in which the untuned equation once had no root are left out of its comparison.
    both = weighted.assign(tuned=weighted["tuned square"], plain=weighted["plain square"])
    both = both[both["plain"].notna()].groupby(keys, sort=False)[["tuned", "plain"]].sum()
    return counts.assign(
        bias=means["tuned error"],
        sd=deviation,
        mean_se=means["tuned se"],
        coverage=means["tuned covered"],
        gold_coverage=means["gold covered"],
        weight=means["weight"],
        ratio_to_gold=means["tuned square"] / means["gold square"],
        ratio_to_plain=both["tuned"] / both["plain"],
    ).reset_index()


def summary_of(
    results: pd.DataFrame, by: Sequence[str] = ("model", "role", "machine")
) -> pd.DataFrame:
    """Return a row for each model, what is predicted, and machine, over designs and labels."""
    results = results.assign(ratio=results["mean_se"] / results["sd"])
    cells = results.groupby(list(Cell._fields), sort=False).agg(
        coverage=("coverage", "mean"),
        ratio=("ratio", "mean"),
        gold=("ratio_to_gold", "mean"),
        worst=("ratio_to_gold", "max"),
    )
    table = cells.groupby(list(by), sort=False).agg(
        **{
            "coverage, mean": ("coverage", "mean"),
            "lowest cell": ("coverage", "min"),
            "highest cell": ("coverage", "max"),
            "SE / SD": ("ratio", "mean"),
            "variance, tuned / gold only": ("gold", "mean"),
            "worst coefficient": ("worst", "max"),
        }
    )
    names = {"role": "predicted", "n_labels": "labels"}
    return table.round(3).reset_index().rename(columns=names)


def main() -> None:
    """Run the chunks that are not there yet and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=2500, help=f"in steps of {CHUNK}")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    parser.add_argument("--chunks", type=Path, default=Path("dsl_tuning_chunks.csv"))
    for name, values in zip(Cell._fields, (MODELS, ROLES, MACHINES, DESIGNS, LABELS), strict=True):
        kind = int if name == "n_labels" else str
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="*", type=kind, default=values)
    parser.add_argument("--few", action="store_true", help="50 labels, and 5 or 10 clusters")
    given = parser.parse_args()
    if given.few:
        cells, by = FEW, ["design", "n_labels", "model"]
        given.out = given.out.with_name(f"{given.out.stem}_few.csv")
    else:
        by = ["model", "role", "machine"]
        cells = [
            Cell(*values)
            for values in itertools.product(*(getattr(given, name) for name in Cell._fields))
        ]
    done = pd.read_csv(given.chunks) if given.chunks.exists() else pd.DataFrame()
    known = (
        set(done[[*Cell._fields, "chunk"]].itertuples(index=False, name=None))
        if len(done)
        else set()
    )
    todo = [
        (cell, chunk)
        for chunk in range(given.replicates // CHUNK)
        for cell in cells
        if (*cell, chunk) not in known
    ]
    work = (joblib.delayed(run_chunk)(*part) for part in todo)
    for frame in joblib.Parallel(given.jobs, return_as="generator")(work):
        frame.to_csv(given.chunks, mode="a", header=not given.chunks.exists(), index=False)
    chunks = pd.read_csv(given.chunks)
    asked = set(cells)  # the file may hold other cells as well
    rows = chunks[list(Cell._fields)].itertuples(index=False, name=None)
    results = results_of(chunks[[Cell(*row) in asked for row in rows]])
    results.round(5).to_csv(given.out, index=False)
    summary = given.out.with_name(f"{given.out.stem}_summary.csv")
    summary_of(results, by).to_csv(summary, index=False)


if __name__ == "__main__":
    # Workers find the functions of a module, not those of a script.
    from dsl_tuning import main as run

    run()
