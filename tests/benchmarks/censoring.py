"""Cost of learning from censored durations, beside other packages in one run.

No test: what it measures depends on the machine. It needs Linux; from the root of the repository,

    python tests/benchmarks/censoring.py --record

takes a few minutes and writes ``censoring.md`` beside this file. Without ``--record`` the tables
are only printed. ``--peers gpl`` adds scikit-survival, if it is installed; its licence is why
neither the package nor its tests know it.

CPU seconds are user and system time of one process in which linear algebra has one thread, for all
packages; the least of several rounds in which calls take turns. Memory is measured in processes of
their own: by how much the peak of the resident memory exceeds what was resident before.
"""

from __future__ import annotations

import argparse
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
from lifelines import KaplanMeierFitter
from statsmodels.duration.survfunc import SurvfuncRight
from threadpoolctl import threadpool_limits

from trueness.censoring import (
    BeranCensoring,
    CensoringWarning,
    CoxCensoring,
    ForestCensoring,
    NeighborsCensoring,
    censoring_weights,
    concordance_index_ipcw,
    survival_target,
)

MEBIBYTE = 2.0**20


class Line(NamedTuple):
    """One measured number and the limit it should keep, if there is one."""

    what: str
    value: float
    limit: float | None = None
    note: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


# ---------------------------------------------------------------------- data


class Durations(NamedTuple):
    """Covariates, durations and events."""

    X: np.ndarray
    time: np.ndarray
    event: np.ndarray


def make_durations(n_rows: int, n_covariates: int = 1, *, whole: bool = False) -> Durations:
    """Draw durations of which two fifths are censored; whole ones are days of some years."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, n_covariates))
    duration = np.exp(0.5 * X[:, 0]) * rng.exponential(size=n_rows)
    censored = 1.5 * np.exp(0.5 * X[:, -1]) * rng.exponential(size=n_rows)
    observed = np.minimum(duration, censored)
    return Durations(X, np.ceil(365.0 * observed) if whole else observed, duration <= censored)


# ---------------------------------------------------------------------- measuring


def cpu_seconds(call: Callable[[], Any]) -> float:
    """Return user and system time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def fastest(*calls: Callable[[], Any], n_rounds: int = 5) -> list[float]:
    """Return the least CPU seconds of each call; calls take turns, as machines have moods."""
    rounds = [[cpu_seconds(call) for call in calls] for _ in range(n_rounds)]
    return np.min(rounds, axis=0).tolist()


def peak_growth(model: Any, sizes: tuple[int, int]) -> float:
    """Return by how many MiB memory peaks while all rows are weighed."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_growth_here, model, sizes).result()


def _growth_here(model: Any, sizes: tuple[int, int]) -> float:
    with threadpool_limits(1):
        small = make_durations(2000, sizes[1])
        model.fit(*small).training_survival(small.time, "left")  # what is loaded at first
        data = make_durations(*sizes)
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
        before = _memory("VmRSS")
        model.fit(*data).training_survival(data.time, "left")
        return (_memory("VmHWM") - before) / MEBIBYTE


def _memory(name: str) -> int:
    """Return what is resident now (VmRSS), or was at the peak (VmHWM), in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"The system does not tell {name}.")


# ---------------------------------------------------------------------- parts


def marginal_weights(n_rows: int, peers: str) -> list[Line]:
    """Weights with diagnostics, beside bare curves of others."""
    lines = []
    for name, limit, whole in (("continuous", 0.25, False), ("whole", 0.05, True)):
        data = make_durations(n_rows, whole=whole)
        calls: dict[str, Callable[[], Any]] = {
            "ours": lambda data=data: censoring_weights(data.time, data.event),
            "lifelines": lambda data=data: KaplanMeierFitter().fit(data.time, ~data.event),
            "statsmodels": lambda data=data: SurvfuncRight(data.time, ~data.event),
        }
        if peers == "gpl":
            from sksurv.nonparametric import ipc_weights

            calls["scikit-survival"] = lambda data=data: ipc_weights(data.event, data.time)
        seconds = dict(zip(calls, fastest(*calls.values()), strict=True))
        ours = seconds.pop("ours")
        lines.append(Line(f"{name} times, {n_rows:,} rows: CPU seconds", ours, limit))
        for peer, theirs in seconds.items():
            # On whole times a sorted table of few rows is all that others make.
            needed = 4.0 if not whole and peer != "statsmodels" else None
            what = f"{name} times: CPU of {peer} over ours"
            lines.append(Line(what, theirs / ours, needed, f"{theirs:.2f} s", at_least=True))
    return lines


class Local(NamedTuple):
    """A model whose curves differ between rows, and its limits."""

    name: str
    model: Any
    n_rows: int
    n_covariates: int
    seconds: float | None = None
    megabytes: float | None = None

    def lines(self) -> list[Line]:
        """Return CPU and memory of leave-one-out survival of all rows."""
        data = make_durations(self.n_rows, self.n_covariates)
        fit = cpu_seconds(lambda: self.model.fit(*data))
        use = cpu_seconds(lambda: self.model.training_survival(data.time, "left"))
        what = f"{self.name}, {self.n_rows:,} rows, {self.n_covariates} covariates"
        note = f"of which {fit:.2f} s for the fit"
        peak = peak_growth(self.model, (self.n_rows, self.n_covariates))
        return [
            Line(f"{what}: CPU seconds", fit + use, self.seconds, note),
            Line(f"{what}: MiB beside the data", peak, self.megabytes),
        ]


def neighbors(n_rows: int, peers: str) -> list[Line]:
    """Nearest neighbours, without the row itself."""
    cases = [
        Local("50 neighbours", NeighborsCensoring(n_neighbors=50), n_rows, 5, 10.0, 60.0),
        Local("50 neighbours", NeighborsCensoring(n_neighbors=50), n_rows, 2, 10.0, 60.0),
        Local("200 neighbours", NeighborsCensoring(n_neighbors=200), n_rows, 5),
    ]
    return [line for case in cases for line in case.lines()]


def kernels(n_rows: int, peers: str) -> list[Line]:
    """A Gaussian kernel over all rows, and a forest, most of whose memory is trees."""
    cases = [
        Local("Gaussian kernel", BeranCensoring(bandwidth="effective"), n_rows, 5, 10.0, 60.0),
        Local("forest out of bag", ForestCensoring(random_state=0), n_rows // 2, 5),
    ]
    return [line for case in cases for line in case.lines()]


def concordance(n_rows: int, peers: str) -> list[Line]:
    """Uno's concordance with its weights, in days with ties; given covariates in bins."""
    lines = []
    for n, limit, rounds in ((n_rows // 10, 0.3, 5), (n_rows, 2.5, 3)):
        data = make_durations(n, whole=True)
        y, risk = survival_target(data.time, data.event), -np.round(data.X[:, 0], 2)
        horizon = float(np.quantile(data.time, 0.9))
        calls: dict[str, Callable[[], Any]] = {
            "ours": lambda y=y, risk=risk, horizon=horizon: concordance_index_ipcw(
                y, risk, censoring="km", horizon=horizon
            )
        }
        if peers == "gpl" and n == n_rows // 10:
            from sksurv.metrics import concordance_index_ipcw as theirs_of

            calls["scikit-survival"] = lambda y=y, risk=risk, horizon=horizon: theirs_of(
                y[["event", "time"]], y[["event", "time"]], risk, tau=horizon
            )
            rounds = 1
        ours, *others = fastest(*calls.values(), n_rounds=rounds)
        lines.append(Line(f"Uno's concordance, {n:,} rows: CPU seconds", ours, limit))
        for theirs in others:
            what = "Uno's concordance: CPU of scikit-survival over ours"
            lines.append(Line(what, theirs / ours, 100.0, f"{theirs:.2f} s", at_least=True))
    data = make_durations(n_rows // 50, 5)
    y = survival_target(data.time, data.event)
    model = CoxCensoring().fit(data.X, data.time, data.event)
    (seconds,) = fastest(
        lambda: concordance_index_ipcw(
            y, -data.X[:, 0], censoring=model, X=data.X, horizon=2.0, floor=0.01
        ),
        n_rounds=1,
    )
    what = f"Uno's concordance given covariates, in bins, {n_rows // 50:,} rows: CPU seconds"
    return [*lines, Line(what, seconds)]


# ---------------------------------------------------------------------- report


def machine(peers: str) -> str:
    """Describe processor and software."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    names = ["trueness", "lifelines", "statsmodels", "numpy", "scipy", "scikit-learn"]
    names += ["scikit-survival"] if peers == "gpl" else []
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return f"{model}, {cpu_count()} cores; Python {platform.python_version()}; {packages}."


def as_markdown(title: str, lines: list[Line]) -> str:
    rows = [f"## {title}", "", "| | measured | limit | | |", "|---|---:|---:|---|---|"]
    for line in lines:
        sign = "≥ " if line.at_least else "≤ "
        limit = "" if line.limit is None else f"{sign}{line.limit:g}"
        verdict = "" if line.limit is None else "holds" if line.holds else "**missed**"
        rows.append(f"| {line.what} | {line.value:.3g} | {limit} | {verdict} | {line.note} |")
    return "\n".join([*rows, ""])


PARTS: dict[str, tuple[str, Callable[[int, str], list[Line]], int]] = {
    "weights": ("Weights without covariates", marginal_weights, 1_000_000),
    "neighbors": ("Weights from neighbours", neighbors, 100_000),
    "kernels": ("Weights from kernels and forests", kernels, 20_000),
    "concordance": ("Concordance", concordance, 1_000_000),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed and memory of censored durations.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--share", type=float, default=1.0, help="share of the rows, for a try")
    parser.add_argument("--peers", choices=["permissive", "gpl"], default="permissive")
    parser.add_argument("--record", action="store_true", help="write censoring.md beside this file")
    options = parser.parse_args()
    tables, all_hold = [], True
    # Alarms of the weights are no part of what is measured.
    warnings.simplefilter("ignore", CensoringWarning)
    with threadpool_limits(1):
        for part in options.parts:
            title, measure, n_rows = PARTS[part]
            lines = measure(int(options.share * n_rows), options.peers)
            tables.append(as_markdown(title, lines))
            print(tables[-1], flush=True)
            all_hold &= all(line.holds for line in lines)
    if options.record:
        command = "python tests/benchmarks/censoring.py --record"
        command += " --peers gpl" if options.peers == "gpl" else ""
        header = (
            "# Cost of learning from censored durations\n\n"
            f"Written by `{command}`.\n\n{machine(options.peers)}\n"
        )
        Path(__file__).with_suffix(".md").write_text("\n".join([header, *tables]))
    return 0 if all_hold else 1


if __name__ == "__main__":
    sys.exit(main())
