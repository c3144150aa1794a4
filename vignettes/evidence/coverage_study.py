"""What the coverage studies share: replicates, summaries, the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from trueness.inference import Estimates


def against_truth(
    fits: Mapping[str, Estimates], truth: Mapping[str, float], seed: int
) -> pd.DataFrame:
    """Stack the coefficients of several methods beside their true values."""
    frames = []
    for method, result in fits.items():
        assert set(result.names) == set(truth)
        frame = result.to_frame()
        frames.append(frame.assign(method=method, truth=frame["term"].map(truth), seed=seed))
    return pd.concat(frames)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Bias, SE/SD and coverage of each method and term, with Monte Carlo errors."""
    frame = frame.assign(
        error=frame.estimate - frame.truth,
        covers=(frame.conf_low <= frame.truth) & (frame.truth <= frame.conf_high),
    )
    groups = frame.groupby(["method", "term"], sort=False)
    sd, n = groups["estimate"].std(), groups.size()
    coverage = groups["covers"].mean()
    return pd.DataFrame(
        {
            "truth": groups["truth"].first(),
            "bias": groups["error"].mean(),
            "bias_mcse": sd / np.sqrt(n),
            "sd": sd,
            # Root mean square: the standard error squared is what estimates the variance.
            "se_over_sd": np.sqrt((frame.std_error**2).groupby([frame.method, frame.term]).mean())
            / sd,
            "coverage": coverage,
            "coverage_mcse": np.sqrt(coverage * (1 - coverage) / n),
            "replicates": n,
            "failures": groups["estimate"].agg(lambda values: int((~np.isfinite(values)).sum())),
        }
    ).reset_index()


def summarise_cell(
    model: str,
    sampling: str,
    replicate: Callable[[int], pd.DataFrame],
    n_replicates: int,
    n_jobs: int,
) -> pd.DataFrame:
    """Run the replicates of one cell of a study, with seeds 0, 1, ..., and summarise them."""
    frames = Parallel(n_jobs=n_jobs)(delayed(replicate)(seed) for seed in range(n_replicates))
    summary = summarise(pd.concat(frames, ignore_index=True))
    summary.insert(0, "sampling", sampling)
    summary.insert(0, "model", model)
    return summary


def by_cell(table: pd.DataFrame) -> pd.DataFrame:
    """Average over the coefficients of each cell, and show the worst of them."""
    rows = []
    for (model, sampling), cell in table.groupby(["model", "sampling"], sort=False):
        ours, naive = (cell[cell.method == method] for method in ("dsl", "surrogate only"))
        rows.append(
            {
                "model": model,
                "sampling": sampling,
                "coverage": f"{ours.coverage.mean():.3f}",
                "worst coefficient": f"{worst(ours.coverage, 0.95):.3f}",
                "SE / SD": f"{ours.se_over_sd.mean():.3f}",
                "worst SE / SD": f"{worst(ours.se_over_sd, 1.0):.3f}",
                "largest bias / SD": f"{(ours.bias.abs() / ours.sd).max():.2f}",
                "coverage of surrogate only": f"{naive.coverage.mean():.3f}",
            }
        )
    return pd.DataFrame(rows)


def worst(values: pd.Series, target: float) -> float:
    """Return the value farthest from the target."""
    return float(values.iloc[(values - target).abs().argmax()])


def command_line(description: str | None, models: Iterable[str], out: Path) -> argparse.Namespace:
    """Read the arguments of a study."""
    models = list(models)
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=2500)
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--differential-error", type=float, default=None)
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()


def run_study(
    cells: Iterable[tuple[str, str]], run_cell: Callable[[str, str], pd.DataFrame], out: Path
) -> None:
    """Run all cells, print their means over coefficients and write both tables."""
    tables: list[pd.DataFrame] = []
    for model, sampling in cells:
        tables.append(run_cell(model, sampling))
        print(by_cell(tables[-1]).to_string(header=len(tables) == 1, index=False), flush=True)
    table = pd.concat(tables).round(6)
    table.to_csv(out, index=False, lineterminator="\n")
    summary = out.with_stem(f"{out.stem}_summary")
    by_cell(table).to_csv(summary, index=False, lineterminator="\n")
