"""Coverage on four real corpora whose every text has a human label.

From each corpus 300 simple random gold samples of 500 are drawn; the truth is the coefficient
that all gold labels give. Intervals are for this population of texts. Default learner ("auto"),
one sample split. Sample r is drawn with seed r. "DSL" gives the predictions the weight that the
labels suggest (the default), "DSL, full weight" is the published estimator (``tuning=None``) with
the same predictions.

    python vignettes/evidence/dsl_corpora.py --samples 300 --jobs 2

writes ``dsl_corpora.csv`` beside this file, and its means over coefficients as
``dsl_corpora_summary.csv``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from trueness.datasets import load_sentiment
from trueness.demo import covariates
from trueness.dsl import DSLLinearRegression

CORPORA = ("tweets", "editorials", "movies", "products")
METHODS = ("Surrogate only", "Gold only", "DSL, full weight", "DSL")
N_LABELS = 500
NOTHING = "none"  # the same in every sample


def sample(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw a gold sample and estimate under all kinds of labels."""
    drawn = np.random.default_rng(seed).choice(len(frame), N_LABELS, replace=False)
    X, gold = covariates(frame), frame["rating"].where(frame.index.isin(drawn))
    model = DSLLinearRegression(
        design="srswor", target="population", n_repeats=1, random_state=seed
    )
    with threadpool_limits(1):
        model.fit(X, gold, surrogates=4 * frame[["vader", "textblob"]])
        results = model.compare_labels()
        # The same predictions once more: fitting the learner again would double the time.
        (prediction,) = model._fitted.predictions
        published = clone(model).set_params(learner=None, tuning=None)
        results["DSL, full weight"] = published.fit(X, gold, surrogates=prediction).results_
    return pd.concat(
        [results[label].to_frame().assign(method=label, seed=seed) for label in METHODS]
    )


def run_corpus(corpus: str, n_samples: int, n_jobs: int = 1) -> pd.DataFrame:
    """Summarise the samples of one corpus by method and term."""
    frame = load_sentiment(corpus).frame
    all_gold = DSLLinearRegression().fit(covariates(frame), frame["rating"]).results_
    truth = dict(zip(all_gold.names, all_gold.params, strict=True))
    draws = pd.concat(
        Parallel(n_jobs=n_jobs)(delayed(sample)(frame, seed) for seed in range(n_samples))
    )
    draws["truth"] = draws["term"].map(truth)
    draws["covers"] = (draws.conf_low <= draws.truth) & (draws.truth <= draws.conf_high)
    draws["width"] = draws.conf_high - draws.conf_low
    groups = draws.groupby(["method", "term"], sort=False)
    table = pd.DataFrame(
        {
            "all_gold": groups["truth"].first(),
            "bias": groups["estimate"].mean() - groups["truth"].first(),
            "sd": groups["estimate"].std(),
            "se_over_sd": groups["std_error"].agg(lambda se: np.sqrt((se**2).mean()))
            / groups["estimate"].std(),
            "coverage": groups["covers"].mean(),
            "width": groups["width"].mean(),
            "samples": groups.size(),
        }
    ).reset_index()
    table.loc[table["method"] == "Surrogate only", ["sd", "se_over_sd"]] = np.nan
    table.insert(0, "corpus", corpus)
    return table


def by_corpus(table: pd.DataFrame) -> pd.DataFrame:
    """Average over the coefficients of each corpus and method; lengths relative to gold only."""
    rows = []
    for corpus, cell in table.groupby("corpus", sort=False):
        by_method = dict(tuple(cell.groupby("method")))
        gold = by_method["Gold only"]
        for method in METHODS:
            ours = by_method[method]
            length, variance = ours.width.array / gold.width, (ours.sd.array / gold.sd) ** 2
            is_random = method != "Surrogate only"
            rows.append(
                {
                    "corpus": corpus,
                    "labels": method,
                    "coverage": f"{ours.coverage.mean():.3f}",
                    "lowest": f"{ours.coverage.min():.3f}",
                    "SE / SD": f"{ours.se_over_sd.mean():.3f}" if is_random else NOTHING,
                    "length of interval": f"{length.mean():.2f}",
                    "variance": f"{variance.mean():.2f}" if is_random else NOTHING,
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    """Run all corpora, print the means over coefficients and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    options = parser.parse_args()
    tables = []
    for corpus in CORPORA:
        tables.append(run_corpus(corpus, options.samples, options.jobs))
        print(by_corpus(tables[-1]).to_string(header=len(tables) == 1, index=False), flush=True)
    table = pd.concat(tables).round(6)
    table.to_csv(options.out, index=False, lineterminator="\n")
    by_corpus(table).to_csv(
        options.out.with_stem(f"{options.out.stem}_summary"), index=False, lineterminator="\n"
    )


if __name__ == "__main__":
    main()
