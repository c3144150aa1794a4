"""``python -m trueness sample``, ``labels`` and ``budget``: from documents to gold labels."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from .dsl import (
    DSLLinearRegression,
    DSLLogisticRegression,
    DSLPoissonRegressor,
    GoldSample,
    krippendorff_alpha,
    label_budget,
    prior_budget,
)
from .dsl.estimators.covariates import CovariateModel
from .dsl.gold_sample.files import read_table
from .validation import did_you_mean, select_columns

COMMANDS = ("sample", "labels", "budget")
MODELS: dict[str, type[CovariateModel]] = {
    "linear": DSLLinearRegression,
    "logistic": DSLLogisticRegression,
    "poisson": DSLPoissonRegressor,
}
WISHES = ("standard_error", "width", "power")


def add_parsers(commands: Any) -> None:
    """Describe the subcommands."""
    draw = commands.add_parser("sample", help="draw the documents to label, write a coding sheet")
    draw.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet, a row per document")
    draw.add_argument("--n", type=int, required=True, help="labels, or units with --units")
    draw.add_argument("--id", help="column of ids; row numbers from 0 if not given")
    draw.add_argument("--independent", action="store_true", help="independent draws, for waves")
    draw.add_argument("--strata", metavar="COLUMN", help="a fixed number from each")
    draw.add_argument(
        "--allocation", choices=("proportional", "equal", "neyman"), default="proportional"
    )
    draw.add_argument("--spread", metavar="COLUMN", help="for neyman: expected size of errors")
    draw.add_argument("--size", metavar="COLUMN", help="probabilities proportional to it")
    draw.add_argument("--minimum", type=float, help="smallest probability, with --size")
    draw.add_argument("--units", metavar="COLUMN", help="draw whole units")
    draw.add_argument("--within", type=int, metavar="N", help="only so many rows of each unit")
    draw.add_argument("--seed", type=int, required=True)
    draw.add_argument("--show", nargs="+", default=[], help="columns that coders are to see")
    draw.add_argument("--label", nargs="+", default=["label"], help="columns for labels")
    draw.add_argument("--out", type=Path, required=True, help="coding sheet to write (.csv)")

    back = commands.add_parser("labels", help="check a coding sheet that came back")
    back.add_argument("file", type=Path, metavar="SHEET")
    back.add_argument("--sample", type=Path, help="file of the sample; found beside the sheet")
    back.add_argument("--label", nargs="+", default=["label"], help="columns of labels")
    back.add_argument("--codebook", nargs="+", help="possible labels, or LABEL=VALUE")
    back.add_argument("--coders", action="store_true", help="the columns are coders: agreement")
    back.add_argument("--scale", choices=("nominal", "ordinal", "interval"), default="nominal")
    back.add_argument("--out", type=Path, help="labels of all rows to write (.csv)")

    ask = commands.add_parser("budget", help="how many labels a wanted precision takes")
    ask.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet, a row per document")
    ask.add_argument("--outcome", help="gold labels, empty where there is none")
    ask.add_argument("--covariates", nargs="+", required=True, help="numeric columns")
    ask.add_argument("--surrogates", nargs="+", required=True, help="machine labels")
    ask.add_argument("--model", choices=list(MODELS), default="linear")
    ask.add_argument("--sample", type=Path, help="file of the gold sample")
    ask.add_argument("--design", default="srswor", help="without --sample: poisson or srswor")
    ask.add_argument("--learner", default="auto", help="auto, linear, boosting or none")
    ask.add_argument("--sensitivity", type=float, help="assumed, where there is no label yet")
    ask.add_argument("--specificity", type=float, help="assumed, where there is no label yet")
    ask.add_argument("--terms", nargs="+", help="coefficients; all but the intercept")
    ask.add_argument("--standard-error", type=float)
    ask.add_argument("--width", type=float, help="of the interval")
    ask.add_argument("--power", type=float, help="of the test of zero, with --effect")
    ask.add_argument("--effect", type=float, help="the coefficient to be found")
    ask.add_argument("--level", type=float, default=0.95)
    ask.add_argument("--cost", type=float, help="of a label")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--figure", type=Path, help="file to write, such as budget.png")


def run(options: argparse.Namespace, read: Callable[[Path], pd.DataFrame]) -> None:
    """Run one of the subcommands.

    Parameters
    ----------
    options : argparse.Namespace
    read : callable
        Reads a table.

    Raises
    ------
    ValueError
        If an option or the data cannot be used.
    """
    if options.command == "sample":
        draw_sample(options, read)
    elif options.command == "labels":
        check_labels(options)
    else:
        ask_budget(options, read(options.file))


def sample_path(sheet: Path) -> Path:
    """Return where the sample behind a coding sheet is kept.

    Examples
    --------
    >>> sample_path(Path("to_code.csv")).name
    'to_code.sample.csv'
    """
    return sheet.with_name(sheet.name.split(".")[0] + ".sample.csv")


def draw_sample(options: argparse.Namespace, read: Callable[[Path], pd.DataFrame]) -> None:
    """Draw, write the coding sheet and beside it the sample, and say what was drawn."""
    frame = read(options.file)
    ids: Any = len(frame)
    if options.id is not None:
        select_columns(frame, [options.id], f"{options.file}, --id")
        ids = read_table(options.file, as_text=(options.id,))[options.id]

    def column(name: str) -> Any:
        value = getattr(options, name)
        return (
            None if value is None else select_columns(frame, [value], _role(options, name))[value]
        )

    strata, units, size = column("strata"), column("units"), column("size")
    seed = {"random_state": options.seed}
    _check_design(options)
    if units is not None and options.within is not None:
        sample = GoldSample.two_stage(ids, units, options.n, options.within, strata=strata, **seed)
    elif units is not None:
        sample = GoldSample.clusters(ids, units, options.n, strata=strata, **seed)
    elif options.independent:
        sample = GoldSample.poisson(ids, n=options.n, size=size, minimum=options.minimum, **seed)
    elif size is not None:
        sample = GoldSample.unequal(
            ids, size, options.n, strata=strata, minimum=options.minimum, **seed
        )
    elif strata is not None:
        sample = GoldSample.stratified(
            ids, strata, options.n, options.allocation, spread=column("spread"), **seed
        )
    else:
        sample = GoldSample.simple_random(ids, options.n, **seed)
    show = select_columns(frame, options.show, f"{options.file}, --show") if options.show else None
    sample.coding_sheet(options.out, label=options.label, show=show, random_state=options.seed)
    kept = sample_path(options.out)
    sample.save(kept)
    print(sample.summary())
    print(
        f"Coding sheet: {options.out}\nSample, to keep: {kept} and {kept.with_suffix('.json').name}"
    )


def _check_design(options: argparse.Namespace) -> None:
    """Raise if an option would be ignored."""
    excluded = {
        "--within": options.within is not None and options.units is None and "--units",
        "--minimum": options.minimum is not None and options.size is None and "--size",
        "--spread": options.spread is not None
        and options.allocation != "neyman"
        and "--allocation neyman",
        "--allocation": options.allocation != "proportional"
        and options.strata is None
        and "--strata",
    }
    for option, needs in excluded.items():
        if needs:
            raise ValueError(f"{option} goes with {needs}.")
    both = [
        name
        for name in ("units", "size", "independent")
        if getattr(options, name) not in (None, False)
    ]
    if "units" in both and len(both) > 1:
        raise ValueError(f"--units does not go with --{both[1]}.")
    if options.independent and options.strata is not None:
        raise ValueError("--independent draws have no strata; leave one out.")


def _role(options: argparse.Namespace, role: str) -> str:
    return f"{options.file}, --{role}"


def check_labels(options: argparse.Namespace) -> None:
    """Read a coding sheet, say what is in it, and write labels of all rows."""
    path = options.sample or find_sample(options.file)
    sample = GoldSample.load(path)
    names = options.label if len(options.label) > 1 else options.label[0]
    labels = sample.read_labels(
        options.file,
        label=names,
        codebook=_codebook(options.codebook),
        partial=options.coders,
    )
    table = pd.DataFrame(labels)
    print(f"{options.file}: {sample.n_drawn:,} of {sample.n_drawn:,} rows labelled, as drawn.")
    for name in table:
        counts = table[name].value_counts()
        shown = ", ".join(f"{value} ({count:,})" for value, count in counts.head(8).items())
        print(f"  {name}: {shown}{', ...' if len(counts) > 8 else ''}")
    if options.coders:
        print(krippendorff_alpha(table, scale=options.scale, probability=sample.probability))
    if options.out is not None:
        written = sample.to_frame()[["id", "probability"]].join(table)
        written.to_csv(options.out, index=False)
        print(f"Labels: {options.out}")


def find_sample(sheet: Path) -> Path:
    """Return the sample that a coding sheet belongs to, among those beside it.

    Raises
    ------
    ValueError
        If there is no such file, or none with the hash that the sheet names.
    """
    if not sheet.is_file():
        raise ValueError(f"{sheet}: no such file.")
    frame = read_table(sheet, as_text=("id", "sample"))
    if "sample" not in frame or frame["sample"].isna().all():
        raise ValueError(
            f"{sheet} has no column 'sample', by which its gold sample could be found."
            f"{did_you_mean('sample', frame.columns)}"
        )
    wanted = str(frame["sample"].dropna().iloc[0])
    for facts in sorted(sheet.resolve().parent.glob("*.json")):
        if f'"hash": "{wanted}' in facts.read_text(encoding="utf-8", errors="replace"):
            for suffix in (".csv", ".csv.gz", ".parquet"):
                table = facts.with_name(facts.stem + suffix)
                if table.is_file():
                    return table
    raise ValueError(
        f"No gold sample with hash {wanted}... lies beside {sheet}; name its file by --sample."
    )


def _codebook(given: list[str] | None) -> Any:
    """Read labels, or LABEL=VALUE pairs."""
    if given is None:
        return None
    if not any("=" in item for item in given):
        return given
    if not all("=" in item for item in given):
        raise ValueError("--codebook: write LABEL=VALUE for all labels, or for none.")
    pairs = (item.partition("=") for item in given)
    return {label: value for label, _, value in pairs}


def ask_budget(options: argparse.Namespace, frame: pd.DataFrame) -> None:
    """Print a label budget, from labels or from what is assumed."""
    covariates = select_columns(frame, options.covariates, _role(options, "covariates"))
    surrogates = select_columns(frame, options.surrogates, _role(options, "surrogates"))
    wanted = {name: getattr(options, name) for name in WISHES}
    wanted |= {"effect": options.effect, "level": options.level, "target": options.terms}
    if options.outcome is None:
        if surrogates.shape[1] != 1:
            raise ValueError("Without --outcome one surrogate is needed, of 0 and 1.")
        budget = prior_budget(
            covariates,
            surrogates.iloc[:, 0],
            sensitivity=options.sensitivity,
            specificity=options.specificity,
            model=options.model,
            cost=options.cost,
            **wanted,
        )
    else:
        if options.sensitivity is not None or options.specificity is not None:
            raise ValueError("--sensitivity and --specificity are for files without --outcome.")
        outcome = select_columns(frame, [options.outcome], _role(options, "outcome"))
        model = MODELS[options.model](
            learner=None if options.learner == "none" else options.learner,
            design="poisson" if options.sample is not None else options.design,
            random_state=options.seed,
        )
        sample = None if options.sample is None else GoldSample.load(options.sample)
        model.fit(covariates, outcome.iloc[:, 0], surrogates=surrogates, gold_sample=sample)
        budget = label_budget(model, cost=options.cost, random_state=options.seed, **wanted)
    print(budget.summary())
    if options.figure is not None:
        budget.plot().savefig(options.figure, dpi=160)
        print(f"Figure: {options.figure}")
