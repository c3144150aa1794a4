"""The command line: ``python -m trueness demo``, ``dsl``, ``sample`` and so on."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from . import __version__, cli_censored, cli_gold, cli_recommend, cli_study, demo
from .dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    DSLTwoStageLeastSquares,
    GoldSample,
)
from .dsl.estimators.covariates import CovariateModel
from .inference import Estimates
from .validation import select_columns

MODELS: dict[str, type[CovariateModel]] = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
    "2sls": DSLTwoStageLeastSquares,
}
WRITERS = {".html": "to_html", ".tex": "to_latex", ".md": "to_markdown", ".csv": "to_frame"}


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m trueness",
        description="Statistical estimation from biased and surrogate labels.",
    )
    top.add_argument("--version", action="version", version=f"trueness {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    show = commands.add_parser("demo", help="machine labels against human ones, truth known")
    show.add_argument("--corpus", nargs="+", default=list(demo.CORPORA), help="which corpora")
    show.add_argument("--labels", type=int, default=demo.N_LABELS, help="gold labels to draw")
    show.add_argument("--seed", type=int, default=0)
    show.add_argument("--figure", type=Path, default=Path("sentiment.png"), help="file to write")

    fit = commands.add_parser("dsl", help="regression with machine labels and gold labels")
    fit.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet, a row per document")
    fit.add_argument(
        "--formula",
        help='such as "y ~ x1 * x2 + C(g) | unit + period" or "y ~ x | treatment ~ z"; in the '
        "place of --outcome and --covariates",
    )
    fit.add_argument("--outcome", help="gold labels, empty where there is none")
    fit.add_argument("--covariates", nargs="+", help="numeric columns")
    fit.add_argument(
        "--surrogates",
        nargs="+",
        help="machine labels, known on every row: columns, or with --formula "
        "VARIABLE=COLUMN[,COLUMN...] for each predicted variable",
    )
    fit.add_argument("--probability", help="column of known sampling probabilities")
    fit.add_argument("--clusters", nargs="+", help="one or two columns")
    fit.add_argument("--weights", help="column of analysis weights")
    fit.add_argument("--model", choices=list(MODELS), default="linear")
    fit.add_argument(
        "--design", default="poisson", help="poisson, srswor, or stratified (with --strata)"
    )
    fit.add_argument("--strata", metavar="COLUMN", help="strata that gold labels were drawn from")
    fit.add_argument(
        "--gold-sample", type=Path, metavar="FILE", help="a saved sample, in the place of both"
    )
    fit.add_argument(
        "--tuning",
        choices=["diagonal", "scalar", "matrix", "none"],
        default="diagonal",
        help="weight of the predictions; none gives them full weight",
    )
    fit.add_argument("--target", default="superpopulation", help="superpopulation or population")
    fit.add_argument("--covariance", default="auto", help="auto, HC0-HC3, CR0-CR2")
    fit.add_argument("--learner", default="auto", help="auto, linear, boosting or none")
    fit.add_argument("--folds", type=int, default=5)
    fit.add_argument("--repeats", type=int, default=10)
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--level", type=float, default=0.95, help="confidence level")
    fit.add_argument("--out", type=Path, help=f"table to write: {', '.join(WRITERS)}")
    cli_gold.add_parsers(commands)
    cli_censored.add_parser(commands)
    cli_recommend.add_parser(commands)
    cli_study.add_parser(commands)
    return top


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file.

    Raises
    ------
    ValueError
        If there is no such file or its name ends otherwise.
    """
    readers: dict[str, Any] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    name = path.name.removesuffix(".gz")
    reader = readers.get(Path(name).suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: a .csv, .csv.gz or .parquet file is needed.")
    if not path.is_file():
        raise ValueError(f"{path}: no such file.")
    frame: pd.DataFrame = reader(path)
    if frame.empty:
        raise ValueError(f"{path}: the file has no rows.")
    return frame


def fit_file(options: argparse.Namespace) -> Estimates:
    """Fit the model that the options describe to the file that they name."""
    if options.out is not None and options.out.suffix.lower() not in WRITERS:
        raise ValueError(f"--out {options.out}: the name must end in {', '.join(WRITERS)}.")
    frame = read_table(options.file)

    model = MODELS[options.model](
        learner=None if options.learner == "none" else options.learner,
        tuning=None if options.tuning == "none" else options.tuning,
        n_folds=options.folds,
        n_repeats=options.repeats,
        covariance=options.covariance,
        design=options.design,
        target=options.target,
        random_state=options.seed,
    )
    if options.formula is None:
        return _fit_columns(model, frame, options).results_
    if options.outcome or options.covariates:
        raise ValueError("--formula takes the place of --outcome and --covariates; give one.")
    model.fit_formula(
        options.formula,
        frame,
        surrogates=surrogates_by_variable(options.surrogates),
        sampling_probability=options.probability,
        strata=options.strata,
        gold_sample=_gold_sample(options),
        clusters=options.clusters,
        sample_weight=options.weights,
    )
    return model.results_


def _gold_sample(options: argparse.Namespace) -> GoldSample | None:
    return None if options.gold_sample is None else GoldSample.load(options.gold_sample)


def _fit_columns(
    model: CovariateModel, frame: pd.DataFrame, options: argparse.Namespace
) -> CovariateModel:
    """Fit a model whose terms are columns of the file."""
    if not options.outcome or not options.covariates:
        raise ValueError("--outcome and --covariates are needed, or --formula.")
    if options.model == "2sls":
        raise ValueError('--model 2sls needs --formula "y ~ x | treatment ~ instrument".')

    def columns(names: Sequence[str] | None, role: str) -> pd.DataFrame | None:
        return None if names is None else select_columns(frame, names, f"{options.file}, --{role}")

    def column(name: str | None, role: str) -> pd.Series[Any] | None:
        chosen = columns(name and [name], role)
        return None if chosen is None else chosen.iloc[:, 0]

    model.fit(
        columns(options.covariates, "covariates"),
        column(options.outcome, "outcome"),
        surrogates=columns(options.surrogates, "surrogates"),
        sampling_probability=column(options.probability, "probability"),
        strata=column(options.strata, "strata"),
        gold_sample=_gold_sample(options),
        clusters=columns(options.clusters, "clusters"),
        sample_weight=column(options.weights, "weights"),
    )
    return model


def surrogates_by_variable(given: Sequence[str] | None) -> Any:
    """Read ``VARIABLE=COLUMN[,COLUMN...]``; plain columns stand for the only variable.

    Raises
    ------
    ValueError
        If some are given in one form and some in the other.
    """
    if given is None:
        return None
    with_variable = ["=" in item for item in given]
    if not any(with_variable):
        return list(given)
    if not all(with_variable):
        raise ValueError(
            "--surrogates: with several predicted variables each item reads "
            "VARIABLE=COLUMN[,COLUMN...]."
        )
    pairs = [item.partition("=") for item in given]
    return {variable: columns.split(",") for variable, _, columns in pairs}


def write_table(results: Estimates, path: Path, level: float) -> None:
    """Write the table in the format that the file name asks for."""
    table = getattr(results, WRITERS[path.suffix.lower()])(level)
    text = table.to_csv(index=False) if isinstance(table, pd.DataFrame) else table
    path.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 2 after an error in what the user gave."""
    options = parser().parse_args(arguments)
    warnings.showwarning = _show_warning
    try:
        if options.command == "demo":
            demo.run(
                options.corpus,
                n_labels=options.labels,
                random_state=options.seed,
                figure=options.figure,
            )
        elif options.command in cli_gold.COMMANDS:
            cli_gold.run(options, read_table)
        elif options.command == "study":
            cli_study.run(options)
        elif options.command == "censored":
            cli_censored.run(options, read_table(options.file))
        elif options.command == "recommend":
            cli_recommend.run(options, read_table(options.file))
        else:
            results = fit_file(options)
            print(results.summary(options.level))
            if options.out is not None:
                write_table(results, options.out, options.level)
                print(f"Table: {options.out}")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
