"""``python -m trueness censored FILE``: predict durations of which some are censored."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from .censoring import (
    CensoredClassifier,
    CensoredRegressor,
    CensoredStratifiedKFold,
    score_report,
    survival_target,
)
from .censoring.estimators.gaps import learn_filling
from .censoring.estimators.learners import NAMES, resolve_learner
from .tables.markup import Cell, Row, Table
from .tables.plaintext import to_text
from .validation import select_columns

Array = NDArray[np.float64]

WRITERS = {".parquet": "to_parquet", ".csv": "to_csv"}
_METHODS = ("auto", "weights", "doubly_robust", "buckley_james", "pseudo")
_MODELS = ("auto", "km", "beran", "neighbors", "forest", "cox")
_METHOD_WORDS = {
    "complete": "none needed, nothing is censored",
    "weights": "weights",
    "doubly_robust": "doubly robust outcomes",
    "buckley_james": "Buckley-James outcomes",
    "pseudo": "pseudo-observations",
}


def add_parser(commands: Any) -> None:
    """Describe the subcommand."""
    fit = commands.add_parser("censored", help="durations of which some are censored")
    fit.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet, a row per case")
    fit.add_argument("--duration", required=True, help="column of times to event or censoring")
    fit.add_argument("--event", required=True, help="column, 1 event and 0 censored")
    fit.add_argument("--event-level", help="value of the event column that stands for the event")
    fit.add_argument("--entry", help="column of times from which rows were observed")
    fit.add_argument("--features", nargs="+", required=True, help="columns, numbers or words")
    fit.add_argument("--clusters", help="column of rows that belong together")
    fit.add_argument("--weights", help="column of case weights")
    fit.add_argument("--learner", choices=NAMES, default="boosting")
    fit.add_argument(
        "--predict",
        choices=("duration", "survival"),
        default="duration",
        help="mean duration up to the horizon, or probability of outliving it",
    )
    fit.add_argument("--horizon", default="auto", help="a time, auto, or none")
    fit.add_argument("--censoring", choices=_MODELS, default="auto", help="model of censoring")
    fit.add_argument("--method", choices=_METHODS, default="auto")
    fit.add_argument(
        "--referees",
        nargs="+",
        choices=_MODELS[1:],
        default=["km", "cox"],
        help="models of censoring, two or more, by whose weights predictions are scored",
    )
    fit.add_argument("--folds", type=int, default=5)
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--out", type=Path, help=f"predictions to write: {', '.join(WRITERS)}")


def run(options: argparse.Namespace, frame: pd.DataFrame) -> None:
    """Fit, score out of fold, print a table, write predictions.

    Parameters
    ----------
    options : argparse.Namespace
    frame : DataFrame
        The file.

    Raises
    ------
    ValueError
        If an option or the data cannot be used.
    """
    name = f"predicted_{options.predict}"
    _check(options, frame, name)
    X, y, beside = read_columns(frame, options)
    # Threads of boosting that wait for each other would take longer than one.
    with threadpool_limits(1):
        model = make_model(options).fit(X, y, **beside)
        fitted = predict(model, X)
        held_out = out_of_fold(model, X, y, beside, options.folds, options.seed)
        report = scores(held_out, X, y, beside, model, options)
    print(to_text(result_table(model, y, report, options)))
    if options.out is not None:
        written = frame.assign(**{name: fitted, f"{name}_out_of_fold": held_out})
        keep_index = {} if options.out.suffix.lower() == ".parquet" else {"index": False}
        getattr(written, WRITERS[options.out.suffix.lower()])(options.out, **keep_index)
        print(f"Predictions: {options.out}")


def _check(options: argparse.Namespace, frame: pd.DataFrame, name: str) -> None:
    if options.out is not None:
        if options.out.suffix.lower() not in WRITERS:
            raise ValueError(f"--out {options.out}: the name must end in {', '.join(WRITERS)}.")
        taken = [column for column in (name, f"{name}_out_of_fold") if column in frame]
        if taken:
            raise ValueError(
                f"{options.file} has a column {taken[0]!r} already, which --out would overwrite; "
                "rename it."
            )
    if len(set(options.referees)) < 2:
        raise ValueError(
            "--referees: scores depend on the model of censoring that weighs them; name at least "
            "two different ones."
        )


# ----------------------------------------------------------------------------------- reading


def read_columns(
    frame: pd.DataFrame, options: argparse.Namespace
) -> tuple[pd.DataFrame, NDArray[Any], dict[str, Any]]:
    """Return features as numbers, durations with events, and other keywords of ``fit``.

    Words become indicators of all their values but the first.

    Raises
    ------
    ValueError
        If a column is missing, or the linear learner meets gaps.
    """

    def column(name: str | None, role: str) -> pd.Series[Any] | None:
        return None if name is None else select_columns(frame, [name], _role(options, role))[name]

    level = options.event_level
    event = column(options.event, "event")
    assert event is not None
    if level is not None and pd.api.types.is_numeric_dtype(event):
        level = float(level)
    y = survival_target(
        column(options.duration, "duration"),
        event,
        column(options.entry, "entry"),
        event_level=level,
    )
    chosen = select_columns(frame, options.features, _role(options, "features"))
    X = pd.get_dummies(chosen, drop_first=True, dtype=float)
    gaps = chosen.columns[chosen.isna().any()]
    if options.learner == "linear" and len(gaps):
        raise ValueError(
            f"--features: {gaps[0]!r} has no value on {chosen[gaps[0]].isna().sum():,} of "
            f"{len(chosen):,} rows. --learner forest and boosting take gaps, linear does not."
        )
    beside = {
        "clusters": column(options.clusters, "clusters"),
        "sample_weight": column(options.weights, "weights"),
    }
    return X, y, {key: value for key, value in beside.items() if value is not None}


def _role(options: argparse.Namespace, role: str) -> str:
    return f"{options.file}, --{role}"


def _horizon(text: str) -> Any:
    if text in ("auto", "none"):
        return None if text == "none" else text
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"--horizon {text}: give a time, auto or none.") from None


# ----------------------------------------------------------------------------------- fitting


def make_model(options: argparse.Namespace) -> Any:
    """Return the estimator that the options describe."""
    horizon = _horizon(options.horizon)
    shared = {"censoring": options.censoring, "random_state": options.seed}
    if options.predict == "duration":
        learner = _seeded(resolve_learner(options.learner, "regression"), options.seed)
        return CensoredRegressor(learner, method=options.method, horizon=horizon, **shared)
    if not isinstance(horizon, float):
        raise ValueError("--predict survival needs the time to outlive: --horizon 1826, say.")
    if options.method not in ("auto", "weights"):
        raise ValueError(f"--predict survival has --method weights only, not {options.method}.")
    learner = _seeded(resolve_learner(options.learner, "probability"), options.seed)
    return CensoredClassifier(learner, horizon=horizon, **shared)


def _seeded(learner: Any, seed: int) -> Any:
    names = [name for name in learner.get_params() if name.split("__")[-1] == "random_state"]
    return learner.set_params(**dict.fromkeys(names, seed))


def predict(model: Any, X: pd.DataFrame) -> Array:
    """Return one number for each row, a duration or a probability."""
    if isinstance(model, CensoredRegressor):
        return np.asarray(model.predict(X), dtype=float)
    return np.asarray(model.predict_survival(X), dtype=float).reshape(len(X))


def out_of_fold(
    model: Any, X: pd.DataFrame, y: NDArray[Any], beside: dict[str, Any], n_folds: int, seed: int
) -> Array:
    """Predict every row by a fit, at the horizon of the fitted model, that has not seen it."""
    # Alarms were raised by the fit to all rows; those of the folds would repeat them.
    unfitted = clone(model).set_params(horizon=model.horizon_, positivity="ignore")
    folds: Any = CensoredStratifiedKFold(n_folds, shuffle=True, random_state=seed)
    parts = folds.split(X, y)
    if "clusters" in beside:
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        parts = folds.split(X, y["event"], beside["clusters"])
    predicted = np.empty(len(X))
    for train, test in parts:
        own = {name: values.iloc[train] for name, values in beside.items()}
        fitted = clone(unfitted).fit(X.iloc[train], y[train], **own)
        predicted[test] = predict(fitted, X.iloc[test])
    return predicted


# ----------------------------------------------------------------------------------- showing


def scores(
    predicted: Array,
    X: pd.DataFrame,
    y: NDArray[Any],
    beside: dict[str, Any],
    model: Any,
    options: argparse.Namespace,
) -> pd.DataFrame:
    """Return scores under every referee, a row per score."""
    shared = {
        "censoring": list(dict.fromkeys(options.referees)),
        "X": learn_filling(X).fill(X),
        "horizon": model.horizon_,
        "sample_weight": beside.get("sample_weight"),
    }
    if options.predict == "survival":
        times = [model.horizon_]
        return score_report(y, survival=predicted[:, None], times=times, **shared)
    report = score_report(y, predicted, **shared)
    squared = "mean squared error"
    report.loc[squared] = np.sqrt(report.loc[squared])
    return report.rename(index={squared: "root mean squared error"})


def result_table(
    model: Any, y: NDArray[Any], report: pd.DataFrame, options: argparse.Namespace
) -> Table:
    """Return what is printed: what was done, and how well it predicts."""
    d = model.diagnostics_
    n_rows, n_events = len(y), int(y["event"].sum())
    horizon = "none" if d.horizon is None else f"{d.horizon:g}"
    facts = {
        "Rows": f"{n_rows:,}",
        "Events": f"{n_events:,} ({n_events / n_rows:.1%})",
        "Horizon": horizon + (" (chosen)" if options.horizon == "auto" and d.horizon else ""),
        "Target known": f"{d.n_known:,} rows ({d.n_known / n_rows:.1%})",
        "Effective sample size": f"{d.effective_size:,.0f} of {d.n_known:,} known rows",
        "Model of censoring": d.model,
        "Method": _METHOD_WORDS[getattr(model, "method_", "weights")],
        "Learner": options.learner,
    }
    rows = tuple(
        Row(f"{name[0].upper()}{name[1:]}", (cells,))
        for name, cells in zip(map(str, report.index), map(_cells, report.to_numpy()), strict=True)
    )
    notes = [
        f"Scores are out of fold ({options.folds} folds), weighted by each model of censoring.",
        *(f"Alarm: {alarm}." for alarm in d.alarms),
    ]
    if (np.abs(report.loc["weight sum"] - 1.0) > 0.05).any():
        notes.append("Where weights do not sum to 1, the scores beneath are not to be trusted.")
    if options.entry is not None:
        notes.append("Scores of survival and of order are not made for entry times.")
    what = "Mean duration up to the horizon"
    if options.predict == "survival":
        what = f"Probability of outliving {horizon}"
    return Table(
        title=f"{what}: {options.duration} in {options.file.name}",
        facts=tuple(facts.items()),
        stub="Score",
        columns=tuple(str(name) for name in report.columns),
        groups=(rows,),
        notes=tuple(notes),
    )


def _cells(values: Array) -> tuple[Cell, ...]:
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)
    decimals = 3 if largest < 1 else max(0, 3 - int(np.floor(np.log10(largest))))
    return tuple(
        Cell(f"{value:,.{decimals}f}", "decimal") if np.isfinite(value) else Cell("none")
        for value in values
    )
