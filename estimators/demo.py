"""The demonstration: hide all but a few gold labels and see which estimate recovers the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from textwrap import fill

import numpy as np
import pandas as pd

from .datasets import load_sentiment
from .dsl import DSLLinearRegression, compare_labels
from .inference import Estimates

CORPORA = ("tweets", "movies")
N_LABELS = 500
TRUTH = "All gold"
WIDTH = 88
COVARIATES = {
    "log_words": "log of the number of words",
    "negation": "contains a negation",
    "contrast": "contains a contrast (but, though, ...)",
    "first_person": "contains I, me, my, ...",
}


@dataclass(frozen=True)
class Demo:
    """One corpus: the estimates by label, and the coefficients when nothing is hidden."""

    corpus: str
    n_rows: int
    n_labels: int
    truth: Estimates
    results: dict[str, Estimates]

    def table(self) -> str:
        """Return estimates with 95% intervals, marked where the interval misses the truth."""
        columns = {TRUTH: [f"{value:.2f}" for value in self.truth.params]}
        for label, result in self.results.items():
            interval = result.conf_int()
            misses = self.misses(label)
            columns[label] = [
                f"{estimate:.2f} [{low:.2f}, {high:.2f}]{'*' if miss else ' '}"
                for estimate, low, high, miss in zip(
                    result.params, interval.conf_low, interval.conf_high, misses, strict=True
                )
            ]
        frame = pd.DataFrame(columns, index=pd.Index(self.truth.names))
        return frame.to_string()

    def misses(self, label: str) -> np.ndarray:
        """Return for each term whether the interval under a label misses the truth."""
        interval = self.results[label].conf_int()
        inside = (interval.conf_low <= self.truth.params) & (
            self.truth.params <= interval.conf_high
        )
        return ~inside.to_numpy()

    def gain(self) -> float:
        """Return the median over terms of the variance of DSL relative to gold-only."""
        dsl, gold = self.results["DSL"], self.results["Gold only"]
        return float(np.median((dsl.std_errors / gold.std_errors) ** 2))


def covariates(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the covariates of the demonstration from the sentiment data."""
    counts = {"negation": "negations", "contrast": "contrasts", "first_person": "first_person"}
    indicators = {name: (frame[column] > 0).astype(float) for name, column in counts.items()}
    return pd.DataFrame({"log_words": frame["log_words"], **indicators})


def run_corpus(corpus: str, *, n_labels: int = N_LABELS, random_state: int = 0) -> Demo:
    """Regress sentiment on features of the text with a simple random gold sample.

    Parameters
    ----------
    corpus : str
        One of the four corpora of `trueness.datasets.load_sentiment`.
    n_labels : int, default=500
        Gold labels drawn; all others are hidden.
    random_state : int, default=0
        Seeds the draw and the sample splits.

    Returns
    -------
    Demo
    """
    frame = load_sentiment(corpus).frame
    if not 0 < n_labels < len(frame):
        raise ValueError(f"n_labels={n_labels} must lie between 1 and {len(frame) - 1:,}.")
    X = covariates(frame)
    drawn = np.random.default_rng(random_state).choice(len(frame), n_labels, replace=False)
    gold = frame["rating"].where(frame.index.isin(drawn))
    # VADER's compound score lies in [-1, 1], people rate on -4..4.
    surrogates = pd.DataFrame({"vader": 4 * frame["vader"], "textblob": 4 * frame["textblob"]})
    model = DSLLinearRegression(
        design="srswor", target="population", n_repeats=3, random_state=random_state
    )
    results = compare_labels(model, X, gold, surrogates=surrogates)
    del results["Machine learning only"]  # four columns are what a terminal shows at a glance
    truth = DSLLinearRegression().fit(X, frame["rating"]).results_
    return Demo(corpus, len(frame), n_labels, truth, results)


def story(demos: Sequence[Demo]) -> str:
    """Say in a sentence what a reader should see in the tables."""
    n_terms = sum(len(demo.truth.names) for demo in demos)
    missed = {
        label: sum(int(demo.misses(label).sum()) for demo in demos)
        for label in ("Surrogate only", "DSL")
    }
    gains = " and ".join(f"{demo.gain():.2f} in the {demo.corpus}" for demo in demos)
    return (
        f"What to see: taking the machine for the truth gives short intervals that miss "
        f"{missed['Surrogate only']} of {n_terms} all-gold coefficients, while DSL misses "
        f"{missed['DSL']} (95% intervals miss 1 in 20) and needs no more labels than gold only, "
        f"whose variance it multiplies by {gains} (median over coefficients): much is gained "
        "where the machine is good, little where it is poor."
    )


def save_figure(demos: Sequence[Demo], path: str | PathLike[str]) -> None:
    """Save forest plots of all corpora side by side."""
    from matplotlib.figure import Figure

    from .plots import forest_plot

    figure = Figure(figsize=(5.5 * len(demos), 5.0), layout="constrained")
    for ax, demo in zip(figure.subplots(1, len(demos), squeeze=False)[0], demos, strict=True):
        forest_plot(
            demo.results,
            reference=dict(zip(demo.truth.names, demo.truth.params, strict=True)),
            reference_label=TRUTH,
            title=f"{demo.corpus} ({demo.n_rows:,} texts, {demo.n_labels} gold labels)",
            drop_intercept=True,
            ax=ax,
        )
    figure.savefig(path, dpi=150)


def run(
    corpora: Sequence[str] = CORPORA,
    *,
    n_labels: int = N_LABELS,
    random_state: int = 0,
    figure: str | PathLike[str] | None = None,
) -> list[Demo]:
    """Print the demonstration and save its figure.

    Parameters
    ----------
    corpora : sequence of str
        Which corpora.
    n_labels : int, default=500
    random_state : int, default=0
    figure : path, default=None
        Where to save the forest plots; no figure if None.
    """
    demos = [run_corpus(corpus, n_labels=n_labels, random_state=random_state) for corpus in corpora]
    opening = (
        "Sentiment of short texts: mean human rating (-4..4) on features of the text. People "
        f"rated every text; all but {n_labels} simple random gold labels per corpus are hidden "
        f"(seed {random_state})."
    )
    print(fill(opening, WIDTH))
    for demo in demos:
        print(f"\n{demo.corpus}: {demo.n_rows:,} texts, {demo.n_labels} gold labels")
        print(demo.table())
    print("\n[95% intervals]; * misses the all-gold coefficient of these texts.\n")
    print(fill(story(demos), WIDTH))
    if figure is not None:
        save_figure(demos, figure)
        print(f"\nFigure: {figure}")
    return demos
