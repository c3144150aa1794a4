"""Error of learned restricted mean durations, by how censoring is dealt with.

Designs of `make_censored_durations` with 1,200 rows: durations exp and wei, censoring that does not
depend on covariates (ind) or does (pos, neg), 40% of the restricted durations unknown; and exp_neg
with 60%, where rows that last long are hardly ever known. The learner is a ridge regression. Its
error is the mean squared distance of its predictions to the true regression function on 5,000 fresh
rows. Data set r of every cell is drawn with seed r.

    python vignettes/evidence/censoring_error.py --replicates 50 --jobs 2

writes ``censoring_error.csv`` beside this file. Methods: "full" knows all durations; "naive" takes
censored times for durations; "complete" drops rows that are not known; "marginal" weighs them by
the Kaplan-Meier curve of censoring, "auto" by the model of censoring that is chosen by its
leave-one-out Brier score; "doubly robust" regresses outcomes from models of censoring and of the
event, both chosen in that way.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.linear_model import Ridge
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from trueness.censoring import CensoredRegressor, CensoringWarning
from trueness.simulations.censoring import make_censored_durations

N_ROWS = 1200
N_FRESH = 5000
HORIZON = 3.0
CELLS = [
    *((f"{outcome}_{how}", 0.4) for outcome in ("exp", "wei") for how in ("ind", "pos", "neg")),
    ("exp_neg", 0.6),
]
Fitted = tuple[Any, dict[str, Any]]


def _censored(sample: Bunch, seed: int, **options: Any) -> Fitted:
    # Where positivity fails, nobody may be left at the horizon.
    horizon = min(HORIZON, float(sample.observed["y"]["time"].max()))
    model = CensoredRegressor(Ridge(), horizon=horizon, random_state=seed, **options)
    with warnings.catch_warnings():
        # Alarms are counted instead.
        warnings.simplefilter("ignore", CensoringWarning)
        model.fit(**sample.observed)
    found = model.diagnostics_
    return model, {
        "alarm": bool(found.alarms),
        "weight_sum": found.weight_sum,
        "censoring": found.model,
    }


def _full(sample: Bunch, seed: int) -> Fitted:
    return Ridge().fit(sample.observed["X"], sample.complete.restricted), {}


def _naive(sample: Bunch, seed: int) -> Fitted:
    time = np.minimum(sample.observed["y"]["time"], HORIZON)
    return Ridge().fit(sample.observed["X"], time), {}


def _complete(sample: Bunch, seed: int) -> Fitted:
    known = sample.complete.known
    return Ridge().fit(sample.observed["X"][known], sample.complete.restricted[known]), {}


def _marginal(sample: Bunch, seed: int) -> Fitted:
    return _censored(sample, seed, method="weights", censoring="km")


def _auto(sample: Bunch, seed: int) -> Fitted:
    model, facts = _censored(sample, seed, method="weights", censoring="auto")
    sample["chosen"] = model.censoring_model_.model_
    return model, facts


def _doubly_robust(sample: Bunch, seed: int) -> Fitted:
    # The model of censoring that "auto" has chosen for these data, if it has: choosing is slow.
    chosen = sample.get("chosen", "auto")
    return _censored(sample, seed, method="doubly_robust", censoring=chosen)


METHODS: dict[str, Callable[[Bunch, int], Fitted]] = {
    "full": _full,
    "naive": _naive,
    "complete": _complete,
    "marginal": _marginal,
    "auto": _auto,
    "doubly robust": _doubly_robust,
}


def replicate(
    design: str,
    level: float,
    seed: int,
    methods: Iterable[str] = tuple(METHODS),
    n_rows: int = N_ROWS,
) -> pd.DataFrame:
    """Draw one data set and return the error of every method on it."""
    sample = make_censored_durations(
        design=design, level=level, n_rows=n_rows, horizon=HORIZON, random_state=seed
    )
    # Far from the seeds of the data sets, and the same rows for every method.
    fresh = pd.DataFrame(
        np.random.default_rng(10**6 + seed).uniform(-1.0, 1.0, size=(N_FRESH, 4)),
        columns=sample.observed["X"].columns,
    )
    truth = sample.law.regression(fresh)
    rows = []
    with threadpool_limits(1):
        for name in methods:
            model, facts = METHODS[name](sample, seed)
            error = float(np.mean((model.predict(fresh) - truth) ** 2))
            rows.append({"method": name, "error": error, **facts})
    return pd.DataFrame(rows).assign(design=design, level=level, seed=seed)


def summarise(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean error, its Monte Carlo standard error, and how often the diagnostics raise an alarm."""
    groups = frame.groupby(["design", "level", "method"], sort=False)
    error = groups["error"]
    return pd.DataFrame(
        {
            "error": error.mean(),
            "error_mcse": error.std() / np.sqrt(error.size()),
            "weight_sum": groups["weight_sum"].mean(),
            "alarms": groups["alarm"].agg(lambda flags: flags.dropna().astype(float).mean()),
            "chosen": groups["censoring"].agg(_most_frequent),
            "data_sets": error.size(),
        }
    ).reset_index()


def _most_frequent(names: pd.Series[Any]) -> str:
    kinds = names.dropna().str.replace(r"[ ,]\(?.*", "", regex=True)
    return "" if kinds.empty else ", ".join(f"{k} {v}" for k, v in kinds.value_counts().items())


def study(n_replicates: int, n_jobs: int, out: Path) -> None:
    """Run all cells and write their summary, after every cell."""
    tables: list[pd.DataFrame] = []
    for design, level in CELLS:
        frames = Parallel(n_jobs=n_jobs)(
            delayed(replicate)(design, level, seed) for seed in range(n_replicates)
        )
        tables.append(summarise(pd.concat(frames, ignore_index=True)))
        print(tables[-1].to_string(index=False, header=len(tables) == 1), flush=True)
        pd.concat(tables).round(6).to_csv(out, index=False, lineterminator="\n")


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    arguments = parser.parse_args()
    study(arguments.replicates, arguments.jobs, arguments.out)


if __name__ == "__main__":
    main()
