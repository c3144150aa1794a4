"""``python -m trueness recommend FILE``: recommend items from clicks that needed exposure."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from .feedback import (
    ClickMatrix,
    PopularityPropensity,
    RelMF,
    WeightDiagnostics,
    clicks_to_matrix,
    weight_diagnostics,
)
from .tables.markup import Cell, Row, Table
from .tables.plaintext import to_text
from .validation import select_columns

WRITERS = {".parquet": "to_parquet", ".csv": "to_csv"}
LOSSES = ("squared", "cross_entropy", "squared_sigmoid")
_SHOWN_USERS, _SHOWN_ITEMS = 5, 3
_BY = {"popularity": "item", "item": "item", "user": "user", "both": "both"}


def add_parser(commands: Any) -> None:
    """Describe the subcommand."""
    fit = commands.add_parser("recommend", help="items for users, from clicks")
    fit.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet, a row per click")
    fit.add_argument("--user", required=True, help="column of users")
    fit.add_argument("--item", required=True, help="column of items")
    fit.add_argument("--rating", help="column of ratings or counts; with --at-least")
    fit.add_argument("--at-least", type=float, help="ratings from here on are clicks")
    fit.add_argument(
        "--propensity",
        choices=tuple(_BY),
        default="popularity",
        help="exposure by a power law of the clicks of items (popularity), or in proportion to the "
        "clicks of items, of users or of both",
    )
    fit.add_argument("--power", type=float, help="exponent of --propensity, .5 for popularity")
    fit.add_argument("--clip", type=float, default=0.3, help="least propensity that is believed")
    fit.add_argument("--loss", choices=LOSSES, default="squared")
    fit.add_argument("--factors", type=int, default=20)
    fit.add_argument("--regularization", default="auto", help="penalty of factors, or auto")
    fit.add_argument("--bias", action="store_true", help="biases of users and items")
    fit.add_argument(
        "--item-weighted",
        action="store_true",
        help="weigh items by their propensities in the place of shrinking labels",
    )
    fit.add_argument("--n", type=int, default=10, help="items for each user")
    fit.add_argument("--include-seen", action="store_true", help="recommend clicked items, too")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument("--out", type=Path, help=f"file to write: {', '.join(WRITERS)}")


def run(options: argparse.Namespace, frame: pd.DataFrame) -> None:
    """Fit, print a table with the first lists, write all of them.

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
    if options.out is not None and options.out.suffix.lower() not in WRITERS:
        raise ValueError(f"--out {options.out}: the name must end in {', '.join(WRITERS)}.")
    clicks = read_clicks(frame, options)
    propensity = _propensity(options)
    weights = weight_diagnostics(clicks, propensity, clip=options.clip)
    model = make_model(options).fit(clicks, propensity=propensity)
    lists = model.recommend(n=options.n, exclude_seen=not options.include_seen)
    recommended = lists.to_frame().rename(columns={"user": options.user, "item": options.item})
    print(to_text(result_table(model, clicks, weights, recommended, options)))
    if options.out is not None:
        keep_index = {} if options.out.suffix.lower() == ".parquet" else {"index": False}
        getattr(recommended, WRITERS[options.out.suffix.lower()])(options.out, **keep_index)
        print(f"Recommendations: {options.out}")


def read_clicks(frame: pd.DataFrame, options: argparse.Namespace) -> ClickMatrix:
    """Return the clicks; users and items of rows that are none keep their place.

    Raises
    ------
    ValueError
        If a column is missing, or ratings come without a threshold or the other way round.
    """

    def column(name: str, role: str) -> pd.Series[Any]:
        return select_columns(frame, [name], f"{options.file}, --{role}")[name]

    if options.user == options.item:
        raise ValueError(f"--user and --item are both {options.user!r}; name two columns.")
    if (options.rating is None) != (options.at_least is None):
        raise ValueError("--rating and --at-least go together: ratings from there on are clicks.")
    users, items = column(options.user, "user"), column(options.item, "item")
    everyone = clicks_to_matrix(users, items, repeats="ignore")
    if options.rating is None:
        return everyone
    ratings = column(options.rating, "rating")
    if not pd.api.types.is_numeric_dtype(ratings):
        raise ValueError(f"{options.file}, --rating: {options.rating!r} does not hold numbers.")
    clicked = (ratings >= options.at_least).to_numpy()
    if not clicked.any():
        raise ValueError(
            f"{options.file}: there are no clicks, as no {options.rating!r} is at least "
            f"{options.at_least:g}; the largest is {ratings.max():g}."
        )
    return clicks_to_matrix(
        users[clicked],
        items[clicked],
        user_names=everyone.users,
        item_names=everyone.items,
        repeats="ignore",
    )


def _propensity(options: argparse.Namespace) -> PopularityPropensity:
    power = options.power
    if power is None:
        power = 0.5 if options.propensity == "popularity" else 1.0
    return PopularityPropensity(by=_BY[options.propensity], power=power)  # type: ignore[arg-type]


def make_model(options: argparse.Namespace) -> RelMF:
    """Return the estimator that the options describe.

    Raises
    ------
    ValueError
        If the penalty is neither a number nor auto.
    """
    penalty = options.regularization
    if penalty != "auto":
        try:
            penalty = float(penalty)
        except ValueError:
            raise ValueError(f"--regularization {penalty}: give a number or auto.") from None
    return RelMF(
        n_factors=options.factors,
        clip=options.clip,
        regularization=penalty,
        loss=options.loss,
        fit_bias=options.bias,
        item_weighted=options.item_weighted,
        random_state=options.seed,
    )


def result_table(
    model: RelMF,
    clicks: ClickMatrix,
    weights: WeightDiagnostics,
    recommended: pd.DataFrame,
    options: argparse.Namespace,
) -> Table:
    """Return what is printed: what was done, and the lists of the first users."""
    n_users, n_items = clicks.matrix.shape
    facts = {
        "Users": _with_silent(n_users, weights.n_silent_users),
        "Items": _with_silent(n_items, weights.n_silent_items),
        "Clicks": f"{weights.n_clicks:,} ({weights.n_clicks / (n_users * n_items):.2%} of pairs)",
        "Rows that repeat a pair": f"{clicks.n_repeats:,}",
        "Propensities": f"{weights.propensity}, from {weights.propensity_quantiles['min']:.3g}",
        "Clip": f"{options.clip:g} ({weights.share_clipped:.1%} of clicks below)",
        "Effective clicks": f"{weights.effective_size:,.0f}",
        "Loss": options.loss.replace("_", " "),
        "Factors": f"{options.factors}" + (" and biases" if options.bias else ""),
        "Penalty": f"{model.regularization_:.4g}",
        "Iterations": f"{model.n_iter_:,}",
    }
    groups = recommended.groupby(options.user, sort=False)[options.item]
    lists = groups.agg(list).head(_SHOWN_USERS)
    n_columns = min(options.n, _SHOWN_ITEMS)
    rows = tuple(
        Row(str(user), (tuple(Cell(str(item)) for item in _filled(items, n_columns)),))
        for user, items in lists.items()
    )
    notes = [f"Alarm: {alarm}." for alarm in weights.alarms]
    n_lists = recommended[options.user].nunique()
    if n_lists > len(rows) or options.n > n_columns:
        notes.insert(0, f"The best {n_columns} items of {len(rows)} users out of {n_lists:,}.")
    return Table(
        title=f"Recommendations from clicks: {options.file.name}",
        facts=tuple(facts.items()),
        stub="User",
        columns=tuple(f"{rank}" for rank in range(1, n_columns + 1)),
        groups=(rows,),
        notes=tuple(notes),
    )


def _with_silent(n: int, n_silent: int) -> str:
    return f"{n:,}" + (f" ({n_silent:,} without a click)" if n_silent else "")


def _filled(items: list[Any], n: int) -> list[Any]:
    return [*items[:n], *[""] * (n - len(items))]
