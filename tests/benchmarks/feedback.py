"""Cost of learning from clicks, beside ``implicit`` in one run.

No test: what it measures depends on the machine. It needs Linux and ``implicit``; from the root of
the repository,

    python tests/benchmarks/feedback.py --record

takes a few minutes and writes ``feedback.md`` beside this file. Without ``--record`` the table is
only printed. Everything is measured twice, in processes of their own: with the extra ``fast``, and
with numba hidden. Both packages have the same number of threads (``--threads``, 1 by default).

CPU seconds are user and system time of the process; the least of several rounds in which the
packages take turns. A sweep is the difference between fits of several sweeps and of one, per sweep.
Memory is by how much the peak of the resident memory exceeds what was resident before the fit.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

MEBIBYTE = 2.0**20
LARGE = (50_000, 20_000, 5_000_000)
SMALL = (943, 1_682, 55_375)
N_RECOMMENDED = 5_000
SWEEPS = 3


class Line(NamedTuple):
    """One measured number beside that of the peer, and the limit of their ratio."""

    what: str
    ours: float
    theirs: float | None
    limit: float | None
    is_ratio: bool = True

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs if self.theirs else float("nan")

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        value = self.ratio if self.is_ratio else self.ours
        return "holds" if value <= self.limit else "FAILS"


# ---------------------------------------------------------------------- data and measuring


def make_log(n_users: int, n_items: int, n_clicks: int) -> Any:
    """Draw clicks whose items and users are popular and active by power laws."""
    rng = np.random.default_rng(0)
    cells = np.empty(0, dtype=np.int64)
    while len(cells) < n_clicks:
        users = (n_users * rng.random(n_clicks) ** 1.5).astype(np.int64)
        items = (n_items * rng.random(n_clicks) ** 2.5).astype(np.int64)
        cells = np.unique(np.concatenate([cells, users * n_items + items]))
    cells = np.sort(rng.choice(cells, n_clicks, replace=False))
    rows, columns = np.divmod(cells, n_items)
    indptr = np.searchsorted(rows, np.arange(n_users + 1)).astype(np.int32)
    ones = np.ones(n_clicks, dtype=np.float32)
    return sparse.csr_matrix((ones, columns.astype(np.int32), indptr), shape=(n_users, n_items))


def seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Return CPU and wall time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.process_time() - cpu, time.perf_counter() - wall


def fastest(*calls: Callable[[], Any], n_rounds: int) -> np.ndarray:
    """Return the least CPU and wall seconds of each call, shape (calls, 2)."""
    rounds = [[seconds(call) for call in calls] for _ in range(n_rounds)]
    return np.min(rounds, axis=0)


def _memory(name: str) -> int:
    """Return what is resident now (VmRSS), or was at the peak (VmHWM), in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"The system does not tell {name}.")


# ---------------------------------------------------------------------- the two packages


def ours(X: Any, n_factors: int, n_sweeps: int, threads: int) -> Any:
    """Fit RelMF with the default propensities and a given penalty."""
    from trueness.feedback import RelMF, SolverWarning

    model = RelMF(
        n_factors, regularization=10.0, max_iter=n_sweeps, tol=0.0, random_state=0, n_jobs=threads
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SolverWarning)
        return model.fit(X)


def theirs(X: Any, n_factors: int, n_sweeps: int, threads: int) -> Any:
    """Fit implicit's alternating least squares by conjugate gradients, its default."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=n_factors, iterations=n_sweeps, num_threads=threads, random_state=0
    )
    model.fit(X, show_progress=False)
    return model


def growth(package: str, threads: int) -> float:
    """Return by how many MiB memory peaks in a fit to the large clicks."""
    fit = ours if package == "ours" else theirs
    with threadpool_limits(threads):
        if package == "ours":  # the compiler's memory is no part of a fit's
            from trueness.feedback.numerics import kernels

            worth, kernels.WORTH_COMPILING = kernels.WORTH_COMPILING, 0
        fit(make_log(300, 200, 4_000), 8, 1, threads)  # what is loaded and compiled at first
        if package == "ours":
            kernels.WORTH_COMPILING = worth
        X = make_log(*LARGE)
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what is freed but kept would hide a growth
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = _memory("VmRSS")
        fit(X, 64, 2, threads)
        return (_memory("VmHWM") - before) / MEBIBYTE


# ---------------------------------------------------------------------- parts


def sweeps(X: Any, threads: int, n_rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return CPU and wall seconds per sweep of both packages."""
    calls = [
        lambda fit=fit, n=n: fit(X, 64, n, threads)
        for fit in (ours, theirs)
        for n in (1, 1 + SWEEPS)
    ]
    calls[0]()  # compiles
    found = fastest(*calls, n_rounds=n_rounds)
    return (found[1] - found[0]) / SWEEPS, (found[3] - found[2]) / SWEEPS


def recommending(X: Any, threads: int, n_rounds: int) -> np.ndarray:
    """Return CPU and wall seconds for ten items for each of some users, seen ones left out."""
    mine, peer = ours(X, 64, 1, threads), theirs(X, 64, 1, threads)
    users = np.arange(N_RECOMMENDED)
    mine.recommend(users, 10)  # compiles
    return fastest(
        lambda: mine.recommend(users, 10),
        lambda: peer.recommend(users, X[users], N=10),
        n_rounds=n_rounds,
    )


def measure(threads: int, with_numba: bool, n_rounds: int) -> list[Line]:
    """Measure everything but memory, in this process."""
    if not with_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]
    with threadpool_limits(threads):
        X = make_log(*LARGE)
        (cpu, wall), (their_cpu, their_wall) = sweeps(X, threads, n_rounds)
        mine, peer = recommending(X, threads, n_rounds)
        small = make_log(*SMALL)
        ours(small, 20, 1, threads)
        least = fastest(
            lambda: ours(small, 20, 15, threads),
            lambda: theirs(small, 20, 15, threads),
            n_rounds=n_rounds,
        )
    return [
        Line("large: CPU s per sweep", cpu, their_cpu, 0.4),
        Line("large: wall s per sweep", wall, their_wall, 0.4 if with_numba else None),
        Line("small: CPU s of 15 sweeps", least[0, 0], least[1, 0], 0.2, is_ratio=False),
        Line("recommend: CPU s", mine[0], peer[0], 1.0 if with_numba else 4.0),
        Line("recommend: wall s", mine[1], peer[1], 1.0 if with_numba else 4.0),
    ]


def measure_memory(threads: int, with_numba: bool, package: str) -> float:
    """Measure memory, in this process."""
    if not with_numba:
        sys.modules["numba"] = None  # type: ignore[assignment]
    return growth(package, threads)


def in_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def table(title: str, lines: list[Line]) -> str:
    """Return lines as a markdown table."""
    rows = [
        f"## {title}",
        "",
        "| | trueness | implicit | ratio | limit | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for line in lines:
        limit = "" if line.limit is None else f"{line.limit:g}"
        if limit:
            limit += " (ratio)" if line.is_ratio else " (trueness)"
        other = "" if line.theirs is None else f"{line.theirs:.3g}"
        rows.append(
            f"| {line.what} | {line.ours:.3g} | {other} | {line.ratio:.2f} | {limit} |"
            f" {line.verdict} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    parts = []
    for with_numba in (True, False):
        lines = in_process(measure, options.threads, with_numba, options.rounds)
        memory = [
            in_process(measure_memory, options.threads, with_numba, package)
            for package in ("ours", "theirs")
        ]
        lines.append(Line("large: peak memory of a fit, MiB", *memory, 1.5))
        name = "With the extra `fast`" if with_numba else "Without it"
        parts.append(table(name, lines))
        print(parts[-1], "\n")
    n_users, n_items, n_clicks = LARGE
    head = (
        "# Learning from clicks: cost beside implicit\n\n"
        f"Made by `tests/benchmarks/feedback.py --record`. Large: {n_users:,} users, {n_items:,} "
        f"items, {n_clicks:,} clicks, 64 factors, float32. Small: {SMALL[0]:,} users, {SMALL[1]:,} "
        f"items, {SMALL[2]:,} clicks, 20 factors. Recommend: 10 items for each of "
        f"{N_RECOMMENDED:,} users of the large clicks, without those clicked on.\n\n"
        f"{options.threads} thread(s) of a machine with {cpu_count()} cores "
        f"({platform.machine()}), "
        f"Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "numba", "implicit"))
        + f"; the least of {options.rounds} rounds."
    )
    if options.record:
        Path(__file__).with_suffix(".md").write_text(head + "\n\n" + "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
