"""Cost of design-based supervised learning, beside prediction-powered inference in one run.

No test: what it measures depends on the machine. It needs Linux and ``pip install ppi-python``;
from the root of the repository,

    python tests/benchmarks/dsl.py --record

takes some minutes and writes ``dsl.md`` beside this file. Without ``--record`` the tables are
only printed.

CPU seconds are user and system time of one process in which linear algebra has one thread, for
both packages. Memory is measured in processes of their own: by how much the peak of the resident
memory during ``fit`` exceeds what was resident before, as a multiple of X, y and the surrogate.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import ppi_py
from scipy.special import expit
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLPoissonRegressor

N_COVARIATES = 10
PEERS = {"linear": ppi_py.ppi_ols_ci, "logit": ppi_py.ppi_logistic_ci}
ESTIMATORS = {
    "linear": DSLLinearRegression,
    "logit": DSLLogisticRegression,
    "Poisson": DSLPoissonRegressor,
    "multinomial, 3 classes": DSLLogisticRegression,
    "linear, a predicted covariate": DSLLinearRegression,
}


class Line(NamedTuple):
    """One measured number and the limit it should stay under, if there is one."""

    what: str
    value: float
    limit: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


# ---------------------------------------------------------------------- data


@dataclass(frozen=True)
class Task:
    """Data of one fit."""

    estimator: Any
    X: np.ndarray
    truth: np.ndarray
    surrogate: np.ndarray
    labelled: np.ndarray
    options: dict[str, Any] = field(default_factory=dict)
    fixed_effects: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Bytes of X, y and the surrogate."""
        return self.X.nbytes + self.truth.nbytes + self.surrogate.nbytes

    def given(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of ``fit``."""
        X, y = self.X, self.truth
        if "predicted_features" in self.options:
            X = X.copy()
            X[~self.labelled, 0] = np.nan
        else:
            y = np.where(self.labelled, y, np.nan)
        more = {} if self.fixed_effects is None else {"fixed_effects": self.fixed_effects}
        return (X, y), {"surrogates": self.surrogate, **more}

    def fitting(self, **options: Any) -> Callable[[], Any]:
        """Return the call to be measured."""
        model = self.estimator(random_state=0, **self.options, **options)
        positional, named = self.given()
        return lambda: model.fit(*positional, **named)

    def peer_arguments(self) -> tuple[np.ndarray, ...]:
        """Return what prediction-powered inference takes; it has no intercept of its own."""
        design = np.column_stack([np.ones(len(self.X)), self.X])
        known, other = self.labelled, ~self.labelled
        return (
            design[known],
            self.truth[known],
            self.surrogate[known],
            design[other],
            self.surrogate[other],
        )


def make_task(family: str, n_rows: int, n_labelled: int) -> Task:
    """Draw data of a family; 15% of the machine's classes and counts are of other rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, N_COVARIATES))
    index = X @ np.linspace(-0.5, 0.5, N_COVARIATES) + 0.2
    labelled = np.zeros(n_rows, dtype=bool)
    labelled[rng.choice(n_rows, n_labelled, replace=False)] = True
    options: dict[str, Any] = {}
    if family == "Poisson":
        truth = rng.poisson(np.exp(index)).astype(float)
    elif family == "logit":
        truth = (rng.random(n_rows) < expit(index)).astype(float)
    elif family == "multinomial, 3 classes":
        utility = np.column_stack([np.zeros(n_rows), index, -index])
        truth = (utility + rng.gumbel(size=utility.shape)).argmax(axis=1).astype(float)
    else:
        truth = index + rng.normal(size=n_rows)
    if family == "linear, a predicted covariate":
        options["predicted_features"] = [0]
        surrogate = X[:, 0] + 0.5 * rng.normal(size=n_rows)
    elif family == "linear":
        surrogate = truth + 0.5 * rng.normal(size=n_rows)
    else:
        surrogate = np.where(rng.random(n_rows) < 0.85, truth, rng.permutation(truth))
    return Task(ESTIMATORS[family], X, truth, surrogate, labelled, options)


def make_panel(n_rows: int, n_units: int, n_periods: int, n_labelled: int) -> Task:
    """Draw a linear model with unbalanced effects of units, correlated with X, and of periods."""
    rng = np.random.default_rng(0)
    task = make_task("linear", n_rows, n_labelled)
    unit, period = rng.integers(0, n_units, n_rows), rng.integers(0, n_periods, n_rows)
    effect = rng.normal(size=n_units)[unit]
    X = task.X + 0.3 * effect[:, None]
    level = effect + rng.normal(size=n_periods)[period]
    effects = np.column_stack([unit, period])
    return Task(
        task.estimator,
        X,
        task.truth + level,
        task.surrogate + level,
        task.labelled,
        fixed_effects=effects,
    )


# ---------------------------------------------------------------------- measuring


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return user and system time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def fastest(*calls: Callable[[], Any], n_rounds: int = 3) -> list[float]:
    """Return the least CPU seconds of each call; calls take turns, as machines have moods."""
    rounds = [[cpu_seconds(call) for call in calls] for _ in range(n_rounds)]
    return np.min(rounds, axis=0).tolist()


def growth_of_peak(task_of: Callable[..., Task], sizes: tuple[Any, ...], **options: Any) -> float:
    """Return by how much memory peaks during a fit, as a multiple of the input."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_growth_here, task_of, sizes, options).result()


def _growth_here(task_of: Callable[..., Task], sizes: tuple[Any, ...], options: Any) -> float:
    make_task("linear", 3000, 1000).fitting(**options)()  # what is loaded at the first fit
    task = task_of(*sizes)
    fit = task.fitting(**options)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    before = _memory("VmRSS")
    fit()
    return (_memory("VmHWM") - before) / task.size


def _memory(name: str) -> int:
    """Return what is resident now (VmRSS), or was at the peak (VmHWM), in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"The system does not tell {name}.")


# ---------------------------------------------------------------------- parts


def against_peer(n_rows: int) -> list[Line]:
    """All but the learner, per split, beside the peer with and without its own tuning."""
    lines = []
    for family, interval in PEERS.items():
        small = make_task(family, 3000, 1000)
        small.fitting(learner=None, tuning=None)()
        interval(*small.peer_arguments(), lam=1)  # compiles
        for n_labelled in (1_000, 10_000):
            task = make_task(family, n_rows, n_labelled)
            fit, given = task.fitting(learner=None, tuning=None), task.peer_arguments()
            ours, same, ours_tuned, tuned = fastest(
                fit,
                partial(interval, *given, lam=1),
                task.fitting(learner=None),
                partial(interval, *given),
            )
            agreement = _agreement(fit().results_, interval(*given, lam=1))
            what = f"{family}, {n_labelled:,} labels: CPU over that of `{interval.__name__}`"
            note = f"{ours:.2f} s over {same:.2f} s; {agreement}"
            lines.append(Line(f"{what} with lam=1", ours / same, 1.0, note))
            note = f"{ours_tuned:.2f} s over {tuned:.2f} s"
            lines.append(Line(f"{what}, both tuned", ours_tuned / tuned, 1.0, note))
    return lines


def _agreement(ours: Any, interval: Any) -> str:
    """Compare with the 90% intervals of the peer, whose estimator is nearly the same."""
    low, high = interval
    ratio = (high - low) / (2.0 * ours.critical_value(0.9) * ours.std_errors)
    gap = np.abs((low + high) / 2.0 - ours.params) / ours.std_errors
    return f"standard errors {ratio.min():.3f} to {ratio.max():.3f} times, gap {gap.max():.2f} SE"


SPLITS: dict[str, dict[str, Any]] = {
    "no learner, 1 split": {"learner": None},
    "linear learner, 10 splits": {"learner": "linear", "n_repeats": 10},
}


def memory(n_rows: int) -> list[Line]:
    """Peak memory of a fit over its input."""
    cases = {family: (make_task, (family, n_rows, 1_000)) for family in PEERS}
    cases["linear, two-way effects"] = (make_panel, (n_rows, n_rows // 10, 50, n_rows // 100))
    return [
        Line(f"{family}, {name}: peak over input", growth_of_peak(*case, **options), 6.0)
        for family, case in cases.items()
        for name, options in SPLITS.items()
    ]


def repeats(n_rows: int) -> list[Line]:
    """Wall time with the default learner, and 10 splits on 2 cores."""
    lines = []
    for family in PEERS:
        task = make_task(family, n_rows, 1_000)
        start = time.perf_counter()
        task.fitting(n_jobs=2)()
        wall = time.perf_counter() - start
        cpu = cpu_seconds(task.fitting(n_jobs=1))
        name = f'{family}, learner="auto", 10 splits, n_jobs=2: wall seconds'
        lines.append(Line(name, wall, 60.0, f"{cpu:.1f} CPU seconds with n_jobs=1"))
    return lines


def by_rows(sizes: tuple[int, ...]) -> list[Line]:
    """CPU per row in samples of growing size."""
    lines = []
    for family in ESTIMATORS:
        per_row = []
        for n_rows in sizes:
            fit = make_task(family, n_rows, min(1_000, n_rows // 10)).fitting(learner=None)
            fit()
            per_row.append(1e6 * fastest(fit)[0] / n_rows)
        shown = zip(sizes, per_row, strict=True)
        note = "microseconds: " + ", ".join(f"{cost:.2f} at {n:,}" for n, cost in shown)
        what = f"{family}: CPU per row at {sizes[-1]:,} rows over the least at fewer"
        lines.append(Line(what, per_row[-1] / min(per_row[:-1]), 1.5, note))
    return lines


def effects(n_rows: int) -> list[Line]:
    """Wall time with many one-way and 50 second-way effects."""
    n_units = n_rows // 10
    task = make_panel(n_rows, n_units, 50, n_rows // 100)
    lines = []
    for name, options in SPLITS.items():
        start = time.perf_counter()
        cpu = cpu_seconds(task.fitting(**options))
        wall = time.perf_counter() - start
        what = f"{n_units:,} x 50 effects, {name}: wall seconds"
        lines.append(Line(what, wall, 30.0, f"{cpu:.1f} CPU seconds"))
    return lines


# ---------------------------------------------------------------------- report


def machine() -> str:
    """Describe processor and software."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    names = ("trueness", "ppi-python", "numpy", "scipy", "scikit-learn", "numba")
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{model}, {cpu_count()} cores; Python {platform.python_version()}; {packages}."


def as_markdown(title: str, lines: list[Line]) -> str:
    rows = [f"## {title}", "", "| | measured | limit | | |", "|---|---:|---:|---|---|"]
    for line in lines:
        limit = "" if line.limit is None else f"{line.limit:g}"
        verdict = "holds" if line.holds else "**missed**"
        rows.append(f"| {line.what} | {line.value:.2f} | {limit} | {verdict} | {line.note} |")
    return "\n".join([*rows, ""])


def main() -> int:
    parts = {
        "peer": lambda n: ("Beside the peer", against_peer(n)),
        "memory": lambda n: ("Memory", memory(n)),
        "repeats": lambda n: ("Repeated splits", repeats(n // 10)),
        "rows": lambda n: ("Number of rows", by_rows((n // 100, n // 10, n))),
        "effects": lambda n: ("Fixed effects", effects(n)),
    }
    parser = argparse.ArgumentParser(description="Speed and memory of DSL beside ppi-python.")
    parser.add_argument("--rows", type=int, default=1_000_000, help="largest number of rows")
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--record", action="store_true", help="write dsl.md beside this file")
    options = parser.parse_args()
    tables, all_hold = [], True
    with threadpool_limits(1):
        for part in options.parts:
            title, lines = parts[part](options.rows)
            tables.append(as_markdown(title, lines))
            print(tables[-1], flush=True)
            all_hold &= all(line.holds for line in lines)
    if options.record:
        header = (
            "# Cost of design-based supervised learning\n\n"
            f"Written by `python tests/benchmarks/dsl.py --record`, {options.rows:,} rows of "
            f"{N_COVARIATES} covariates where nothing else is said.\n\n{machine()}\n"
        )
        Path(__file__).with_suffix(".md").write_text("\n".join([header, *tables]))
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
