"""Tables of estimates: one result in full, or several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..inference import Estimates
from ..reference import spread_of
from ..validation import check_level
from .markup import Cell, Row, Style, Table, to_html, to_latex, to_markdown
from .plaintext import to_text
from .rounding import NumberFormat, number_formats, p_text, statistic_text
from .tidy import Models, Terms, label_models, select_terms, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Statistic = Literal["std_error", "conf_int", "statistic", "p_value"]

_STATISTICS: tuple[Statistic, ...] = ("std_error", "conf_int", "statistic", "p_value")
_SIZE_FACTS = {"n", "rows", "observations"}
_STAR_LEVELS = (0.05, 0.01, 0.001)
_SHORT = 16  # facts common to all models and longer than this go above the table


# ----------------------------------------------------------------------------------- one result


def _percent(level: float) -> str:
    return f"{100 * level:g}%"


def _is_normal(estimates: Estimates) -> bool:
    return estimates.df is None or bool(np.isinf(estimates.df).all())


def _reference(estimates: Estimates) -> str:
    if _is_normal(estimates):
        return "normal distribution"
    assert estimates.df is not None
    df = spread_of(estimates.df)
    return f"t distribution with {df} degree{'' if df == '1' else 's'} of freedom"


def _number(text: str, mark: str = "") -> Cell:
    """Return a cell aligned at its decimal point, unless it has none or a power of ten."""
    aligned = any(map(str.isdigit, text)) and "e" not in text
    return Cell(text, "decimal" if aligned else "numeric", mark)


def _size_names(estimates: Estimates) -> list[str]:
    """Return the names under which the header tells the number of rows."""
    return [key for key in estimates.header if key.lower() in _SIZE_FACTS]


def _facts(estimates: Estimates, size_name: str = "N") -> dict[str, str]:
    """Return the header, and the number of rows in case the header does not tell it."""
    size = {} if _size_names(estimates) else {size_name: f"{estimates.n_obs:,}"}
    return {key: str(value) for key, value in estimates.header.items()} | size


def coefficient_table(estimates: Estimates, *, level: float = 0.95, digits: int = 3) -> Table:
    """Build the table of one result; see `render`."""
    frame = estimates.to_frame(check_level(level))
    formats = number_formats(frame, digits)
    records: Iterable[Any] = frame.itertuples()
    rows = []
    for row in records:
        write = formats[row.term]
        texts = [
            write(row.estimate),
            write(row.std_error),
            statistic_text(row.statistic),
            p_text(row.p_value),
            write(row.conf_low),
            write(row.conf_high),
        ]
        rows.append(Row(str(row.term), (tuple(map(_number, texts)),)))
    percent = _percent(level)
    statistic = "z" if _is_normal(estimates) else "t"
    return Table(
        title=estimates.title,
        facts=tuple(_facts(estimates).items()),
        stub="Term",
        columns=(
            *("Estimate", "Std. error", statistic, "p"),
            *(f"Lower {percent}", f"Upper {percent}"),
        ),
        groups=(tuple(rows),),
        notes=(
            f"{percent} confidence intervals and two-sided p values from the "
            f"{_reference(estimates)}.",
        ),
    )


def render(estimates: Estimates, style: Style, level: float = 0.95, *, digits: int = 3) -> str:
    """Write the table of one result: estimate, standard error, test and interval of each term.

    Parameters
    ----------
    estimates : Estimates
        The result.
    style : {"text", "html", "latex", "markdown"}
        Language to write. The text is at most 88 characters wide; LaTeX needs the package
        booktabs.
    level : float, default=0.95
        Confidence level of the intervals in (0, 1).
    digits : int, default=3
        Decimals of ordinary numbers. Estimates with small standard errors get more, so that two
        significant digits of these remain; those with large ones fewer.

    Raises
    ------
    ValueError
        If the style is unknown or the level outside (0, 1).

    Examples
    --------
    >>> from trueness.inference import Estimates
    >>> from trueness.tables import render
    >>> mean = Estimates([0.52], [[0.0004]], ["mean"], n_obs=600, title="Share of protests")
    >>> print(render(mean, "text"))
    Share of protests
    ================================================================
    N  600
    ----------------------------------------------------------------
    Term  Estimate  Std. error      z       p  Lower 95%  Upper 95%
    ----------------------------------------------------------------
    mean     0.520       0.020  26.00  <0.001      0.481      0.559
    ================================================================
    95% confidence intervals and two-sided p values from the normal
    distribution.
    """
    return _write(coefficient_table(estimates, level=level, digits=digits), style)


def _write(table: Table, style: Style) -> str:
    renderers = {
        "text": to_text,
        "html": to_html,
        "latex": to_latex,
        "markdown": to_markdown,
    }
    if style not in renderers:
        raise ValueError(f"style={style!r} is unknown; choose one of {list(renderers)}.")
    return renderers[style](table)


# ------------------------------------------------------------------------------ several results


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Several results side by side, made by `compare`.

    Attributes
    ----------
    models : mapping of str to Estimates
        The results by column heading.
    terms : mapping of str to str
        Labels of the terms by their names.
    level : float, default=0.95
        Confidence level of the intervals.
    statistic : tuple of str, default=("std_error",)
        What stands below each estimate.
    stars : tuple of float, default=()
        Thresholds of the two-sided p values, one star each.
    digits : int, default=3
        Decimals of ordinary numbers.
    title : str, default="Comparison of estimates"
        Heading.
    """

    models: Mapping[str, Estimates]
    terms: Mapping[str, str]
    level: float = 0.95
    statistic: tuple[Statistic, ...] = ("std_error",)
    stars: tuple[float, ...] = ()
    digits: int = 3
    title: str = "Comparison of estimates"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per model and term: model, then the columns of `Estimates.to_frame`."""
        return tidy(self.models, self.terms, self.level)

    def to_text(self) -> str:
        """Return the table as text, continued below where it is too wide."""
        return _write(comparison_table(self), "text")

    def to_html(self) -> str:
        """Return the table as HTML."""
        return _write(comparison_table(self), "html")

    def to_latex(self) -> str:
        """Return the table as LaTeX (booktabs)."""
        return _write(comparison_table(self), "latex")

    def to_markdown(self) -> str:
        """Return the table as markdown."""
        return _write(comparison_table(self), "markdown")

    def plot(self, **options: Any) -> Figure:
        """Return a forest plot of these models and terms; see `trueness.plots.forest_plot`."""
        from ..plots import forest_plot

        shown: dict[str, Any] = {"level": self.level, "terms": self.terms}
        return forest_plot(self.models, **shown | options)

    def __str__(self) -> str:
        return self.to_text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.to_html()


def compare(
    models: Models,
    *,
    level: float = 0.95,
    statistic: Statistic | Sequence[Statistic] = "std_error",
    stars: bool | Sequence[float] = False,
    terms: Terms | None = None,
    digits: int = 3,
    title: str = "Comparison of estimates",
) -> Comparison:
    """Set several results side by side, one column per model, as in a regression table.

    Terms appear in the order in which the models first have them; a term that a model lacks is
    left blank. The rows at the bottom tell the facts of the models' headers.

    Parameters
    ----------
    models : mapping of str to Estimates, or sequence of Estimates
        Results by column heading. The headings of a sequence are the titles. Fitted estimators
        stand for their ``results_``.
    level : float, default=0.95
        Confidence level of intervals in (0, 1).
    statistic : str or sequence of str, default="std_error"
        What to show below each estimate: "std_error" in parentheses, "conf_int" in brackets,
        "statistic" or "p_value"; several give several lines.
    stars : bool or sequence of float, default=False
        Mark estimates by two-sided p values, with one star for each threshold they are below;
        True means 0.05, 0.01 and 0.001.
    terms : sequence of str or mapping of str to str, default=None
        Terms to show, in this order, or terms and the labels to show them under. Several names
        under one label make one row. All terms if None.
    digits : int, default=3
        Decimals of ordinary numbers; small standard errors get more, large ones fewer.
    title : str, default="Comparison of estimates"
        Heading of the table.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a term is in no model, or an option is not one of those above.

    Examples
    --------
    >>> from trueness.inference import Estimates
    >>> from trueness.tables import compare
    >>> naive = Estimates([1.0, 0.31], [[0.01, 0.0], [0.0, 0.0004]], ["const", "x"], n_obs=900)
    >>> right = Estimates([1.2], [[0.04]], ["const"], n_obs=900, header={"Gold labels": "90"})
    >>> print(compare({"naive": naive, "corrected": right}))
    Comparison of estimates
    ================================================================
    Term          naive   corrected
    ----------------------------------------------------------------
    const         1.000     1.200
                 (0.100)   (0.200)
    x             0.310
                 (0.020)
    ----------------------------------------------------------------
    Gold labels               90
    N              900       900
    ================================================================
    Standard errors in parentheses.
    """
    named = label_models(models)
    statistics = (statistic,) if isinstance(statistic, str) else tuple(statistic)
    if unknown := [name for name in statistics if name not in _STATISTICS]:
        raise ValueError(f"statistic={unknown} is unknown; choose from {list(_STATISTICS)}.")
    thresholds = (_STAR_LEVELS if stars else ()) if isinstance(stars, bool) else tuple(stars)
    if not all(0.0 < threshold < 1.0 for threshold in thresholds):
        raise ValueError(f"stars={list(thresholds)}: the thresholds must lie between 0 and 1.")
    return Comparison(
        models=named,
        terms=select_terms(named, terms),
        level=check_level(level),
        statistic=statistics,
        stars=tuple(sorted(thresholds, reverse=True)),
        digits=digits,
        title=title,
    )


def comparison_table(comparison: Comparison) -> Table:
    """Build the table of several results; see `compare`."""
    frame = comparison.to_frame()
    formats = number_formats(frame, comparison.digits)
    records: Iterable[Any] = frame.itertuples()
    by_cell = {(row.model, row.term): row for row in records}
    blank = [Cell()] * (1 + len(comparison.statistic))
    rows = []
    for term in dict.fromkeys(comparison.terms.values()):
        stacks = []
        for model, estimates in comparison.models.items():
            row = by_cell.get((model, term))
            symbol = "z" if _is_normal(estimates) else "t"
            stacks.append(blank if row is None else _stack(row, formats[term], comparison, symbol))
        rows.append(Row(term, tuple(zip(*stacks, strict=True))))
    common, differing = _split_facts(comparison.models)
    return Table(
        title=comparison.title,
        facts=tuple(common.items()),
        stub="Term",
        columns=tuple(comparison.models),
        groups=(tuple(rows), tuple(differing)),
        notes=_comparison_notes(comparison),
        align="center",
    )


def _stack(row: Any, write: NumberFormat, comparison: Comparison, symbol: str) -> list[Cell]:
    """Return the cells that one model contributes to the row of one term."""
    p_value = p_text(row.p_value)
    below = {
        "std_error": _number(f"({write(row.std_error)})"),
        "conf_int": Cell(f"[{write(row.conf_low)}, {write(row.conf_high)}]", "numeric"),
        "statistic": Cell(f"{symbol} = {statistic_text(row.statistic)}", "numeric"),
        "p_value": Cell(
            f"p < {p_value[1:]}" if p_value.startswith("<") else f"p = {p_value}", "numeric"
        ),
    }
    n_stars = sum(row.p_value < threshold for threshold in comparison.stars)
    estimate = _number(write(row.estimate), "*" * n_stars if np.isfinite(row.estimate) else "")
    return [estimate, *(below[name] for name in comparison.statistic)]


def _split_facts(models: Mapping[str, Estimates]) -> tuple[dict[str, str], list[Row]]:
    """Separate long facts that all models share from those that need a row of their own."""
    names = [name for estimates in models.values() for name in _size_names(estimates)] or ["N"]
    facts = [_facts(estimates, size_name=names[0]) for estimates in models.values()]
    keys = dict.fromkeys(key for each in facts for key in each)
    common: dict[str, str] = {}
    rows = []
    for key in sorted(keys, key=names.__contains__):  # the size at the very end
        values = [each.get(key, "") for each in facts]
        if len(values) > 1 and len(set(values)) == 1 and len(values[0]) > _SHORT:
            common[key] = values[0]
        else:
            rows.append(Row(key, (tuple(Cell(value) for value in values),)))
    return common, rows


def _comparison_notes(comparison: Comparison) -> tuple[str, ...]:
    shown = {
        "std_error": "standard errors in parentheses",
        "conf_int": f"{_percent(comparison.level)} confidence intervals in brackets",
        "statistic": "test statistics of the hypothesis of zero",
        "p_value": "two-sided p values",
    }
    notes = []
    if comparison.statistic:
        text = "; ".join(shown[name] for name in comparison.statistic)
        notes.append(text[0].upper() + text[1:] + ".")
    if comparison.stars or set(comparison.statistic) - {"std_error"}:
        notes.append(_reference_note(comparison.models))
    if comparison.stars:
        stars = (f"{'*' * (i + 1)} p < {level:g}" for i, level in enumerate(comparison.stars))
        notes.append(", ".join(stars) + " (two-sided).")
    return tuple(notes)


def _reference_note(models: Mapping[str, Estimates]) -> str:
    names: dict[str, list[str]] = {}
    for label, estimates in models.items():
        names.setdefault(_reference(estimates), []).append(label)
    if len(names) == 1:
        return f"Reference: {next(iter(names))}."
    texts = (f"{reference} ({', '.join(labels)})" for reference, labels in names.items())
    return f"References: {'; '.join(texts)}."
