"""How long it takes to summarise the frame of a study.

A million rows: 50 cells x 1000 replicates x 5 methods x 4 terms, names as text, then the same rows
in random order. The goal is 3 seconds. All of it runs in one thread: the seconds of the processor
are what the clock shows on a machine that does nothing else.

    python tests/benchmarks/performance.py

prints the best of three runs and writes them to ``performance.csv`` beside this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from trueness.simulations.performance import compare_methods, performance

SHAPE = (50, 1000, 5, 4)  # cells, replicates, methods, terms
N_RUNS = 5


def make_frame() -> pd.DataFrame:
    """Return the frame of a study with every column that measures are made of."""
    rng = np.random.default_rng(0)
    cell, replicate, method, term = (index.ravel() for index in np.indices(SHAPE))
    estimate = rng.standard_normal(len(cell))
    std_error = np.exp(0.1 * rng.standard_normal(len(cell)))
    names = np.array([f"method {i}" for i in range(SHAPE[2])], dtype=object)
    terms = np.array([f"x{i}" for i in range(SHAPE[3])], dtype=object)
    return pd.DataFrame(
        {
            "n": 100 * (1 + cell // 10),
            "rho": 0.1 * (cell % 10),
            "replicate": replicate,
            "method": names[method],
            "term": terms[term],
            "estimate": estimate,
            "std_error": std_error,
            "p_value": rng.random(len(cell)),
            "conf_low": estimate - 1.96 * std_error,
            "conf_high": estimate + 1.96 * std_error,
            "estimand": 0.0,
            "converged": True,
            "error": "",
        }
    )


def best_seconds(function: Callable[[], object]) -> dict[str, float]:
    """Return the shortest of several runs, by the clock and of the processor."""
    clocks = {"seconds": time.perf_counter, "cpu_seconds": time.process_time}
    runs = []
    for _ in range(N_RUNS):
        start = [clock() for clock in clocks.values()]
        function()
        runs.append([clock() - begin for clock, begin in zip(clocks.values(), start, strict=True)])
    return dict(zip(clocks, np.min(runs, axis=0).round(2).tolist(), strict=True))


def main() -> None:
    """Time summary and comparison, print and write the seconds."""
    frame = make_frame()
    shuffled = frame.sample(frac=1, random_state=0)
    runs: dict[str, Callable[[], object]] = {
        "performance": lambda: performance(frame),
        "performance, rows in random order": lambda: performance(shuffled),
        "compare_methods": lambda: compare_methods(frame, "method 0"),
    }
    table = pd.DataFrame(
        {"call": name, "rows": len(frame), **best_seconds(run)} for name, run in runs.items()
    )
    print(table.to_string(index=False))
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
