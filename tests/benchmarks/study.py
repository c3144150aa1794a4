"""What the engine of simulation studies costs: time per replicate, idle workers, memory.

    python tests/benchmarks/study.py

prints the table and writes it to ``study.csv`` beside this file.

* Overhead: replicates that compute nothing, so that all of their time is the engine's; the best of
  three runs of 5,000, with checkpoints. Goal: less than 1 ms a replicate.
* Efficiency: replicates of 50 ms on two processes, against the time that they would take if nothing
  was lost. They wait rather than compute, so that other programs on the machine hardly count. Goal:
  at least 90%.
* Load: what else the machine had to do, as programs per processor when the script began. With more
  than a few tenths the clock measures the others too.
* Memory: highest resident memory of a process that runs 10,000 and 40,000 replicates of two methods
  with ``collect=False``, beside one that returns the frame. Goal: no growth.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from trueness.simulations.study import SimulationStudy

SECONDS = 0.05


def generate(random_state: Any) -> dict[str, Any]:
    """Return nothing but a truth."""
    return {"truth": {"mean": 0.0}}


def instant(sample: Any, random_state: Any) -> list[dict[str, Any]]:
    """Return a constant."""
    return [{"term": "mean", "estimate": 1.0, "std_error": 1.0}]


def waiting(sample: Any, random_state: Any) -> list[dict[str, Any]]:
    """Return a constant after 50 ms."""
    time.sleep(SECONDS)
    return [{"term": "mean", "estimate": 1.0}]


def timed(function: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the shortest of three runs in seconds."""
    runs = []
    for _ in range(3):
        start = clock()
        function()
        runs.append(clock() - start)
    return min(runs)


def run(study: SimulationStudy, **options: Any) -> None:
    """Run a study into a new directory."""
    with tempfile.TemporaryDirectory() as folder:
        study.run(folder, progress=False, **options)


def overhead() -> dict[str, float]:
    """Return milliseconds per replicate."""
    n = 5000
    study = SimulationStudy(generate, {"instant": instant}, n_replicates=n)
    return {
        "overhead, 1 process (ms)": 1000 / n * timed(lambda: run(study)),
        "overhead, 1 process (ms of processor)": 1000
        / n
        * timed(lambda: run(study), time.process_time),
        "overhead, 2 processes (ms)": 1000 / n * timed(lambda: run(study, n_jobs=2)),
    }


def efficiency() -> dict[str, float]:
    """Return the share of the time of two processes that replicates fill."""
    n = 400
    study = SimulationStudy(generate, {"waiting": waiting}, n_replicates=n)
    run(study, n_jobs=2)  # starts the processes
    return {"efficiency, 2 processes": n * SECONDS / 2 / timed(lambda: run(study, n_jobs=2))}


MEMORY = """
import resource, sys, tempfile
sys.path.insert(0, sys.argv[1])
from study import generate, instant
from trueness.simulations.study import SimulationStudy
study = SimulationStudy(generate, {"a": instant, "b": instant}, n_replicates=int(sys.argv[2]))
with tempfile.TemporaryDirectory() as folder:
    result = study.run(folder, progress=False, collect=sys.argv[3] == "True")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def memory() -> dict[str, float]:
    """Return the highest resident memory in MiB."""
    peaks = {}
    for collect in (False, True):
        for n in (10_000, 40_000):
            arguments = [str(Path(__file__).parent), str(n), str(collect)]
            command = [sys.executable, "-c", MEMORY, *arguments]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            peaks[f"memory, {n} replicates, collect={collect} (MiB)"] = float(output)
    return peaks


def main() -> None:
    """Print and write the table."""
    load = {"load per processor before": os.getloadavg()[0] / (os.cpu_count() or 1)}
    figures = load | overhead() | efficiency() | memory()
    table = pd.Series(figures, name="value").rename_axis("figure").round(3).reset_index()
    print(table.to_string(index=False))
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
