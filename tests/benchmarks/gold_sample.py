"""Cost of allocating and drawing gold samples, beside numpy's weighted draw in one run.

No test: what it measures depends on the machine. From the root of the repository,

    python tests/benchmarks/gold_sample.py --record

writes ``gold_sample.md`` beside this file; without ``--record`` the table is only printed. Figures
are CPU seconds (user and system) with one thread, and the growth of the peak of traced memory from
100,000 to 1,000,000 documents.

``Generator.choice(replace=False, p=...)`` is what people reach for. It draws one row after the
other with probabilities proportional to what is left, so that inclusion probabilities are not those
stated.
"""

from __future__ import annotations

import argparse
import platform
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from trueness.dsl import DSLLinearRegression, GoldSample, optimal_allocation

SMALL, LARGE = 100_000, 1_000_000
N_LABELS, N_PILOT = 1000, 200
# Seconds for a million documents, and growth of memory for ten times as many.
LIMIT, GROWTH = 5.0, 12.0


def cpu_seconds(call: Callable[[], object]) -> float:
    """Return user and system time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def peak(call: Callable[[], object]) -> float:
    """Return the peak of the memory that a call allocates."""
    tracemalloc.start()
    call()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(found)


def tasks(n_rows: int) -> dict[str, Callable[[], object]]:
    """Return what is measured; the peer comes last."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 3))
    size = np.exp(x[:, 0])
    strata = rng.integers(0, 20, n_rows)
    units = np.arange(n_rows) // 20
    y = x @ [0.5, -0.5, 0.2] + rng.normal(size=n_rows)
    machine = y + np.exp(0.6 * x[:, 1]) * rng.normal(size=n_rows)
    pilot = GoldSample.simple_random(n_rows, N_PILOT, random_state=1)
    fit = DSLLinearRegression(learner=None).fit(
        x, np.where(pilot.drawn, y, np.nan), surrogates=machine, gold_sample=pilot
    )
    seed = {"random_state": 0}

    def allocated() -> GoldSample:
        found = optimal_allocation(fit, N_LABELS, target="x1", random_state=0)
        return found.draw(n_rows, **seed)

    return {
        "allocated from a pilot, and drawn": allocated,
        "independent": lambda: GoldSample.poisson(n_rows, n=N_LABELS, size=size, **seed),
        "simple random": lambda: GoldSample.simple_random(n_rows, N_LABELS, **seed),
        "stratified": lambda: GoldSample.stratified(n_rows, strata, N_LABELS, **seed),
        "unequal, fixed size": lambda: GoldSample.unequal(n_rows, size, N_LABELS, **seed),
        "whole units": lambda: GoldSample.clusters(n_rows, units, 50, size="rows", **seed),
        "two stages": lambda: GoldSample.two_stage(n_rows, units, 200, 5, **seed),
        "numpy's choice": lambda: np.random.default_rng(0).choice(
            n_rows, N_LABELS, replace=False, p=size / size.sum()
        ),
    }


def table() -> str:
    """Measure, and return the table as markdown."""
    with threadpool_limits(1):
        large = {name: cpu_seconds(task) for name, task in tasks(LARGE).items()}
        memory = [{name: peak(task) for name, task in tasks(n).items()} for n in (SMALL, LARGE)]
    peer = large["numpy's choice"]
    lines = [
        "| draw of 1,000,000 documents | CPU seconds | times numpy's choice | memory, 10 times the "
        "documents |",
        "|---|---|---|---|",
    ]
    for name, seconds in large.items():
        growth = memory[1][name] / memory[0][name]
        lines.append(f"| {name} | {seconds:.2f} | {seconds / peer:.1f} | {growth:.1f} |")
    slowest = max(large.values())
    growth = max(memory[1][name] / memory[0][name] for name in large)
    verdict = "holds" if slowest <= LIMIT and growth <= GROWTH else "DOES NOT HOLD"
    lines += ["", f"Under {LIMIT:.0f} CPU seconds and linear memory: {verdict}."]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and record it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write gold_sample.md")
    given = parser.parse_args()
    found = table()
    print(found)
    if given.record:
        text = (
            "# Gold samples\n\nWritten by `python tests/benchmarks/gold_sample.py --record`, "
            f"Python {platform.python_version()}, numpy {np.__version__}, one thread.\n\n{found}\n"
        )
        Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
