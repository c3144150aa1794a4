"""Estimated losses of clicks, and fits that minimise them, against known relevance.

    python vignettes/evidence/feedback_loss.py risks --draws 20000
    python vignettes/evidence/feedback_loss.py fits --replicates 50 --jobs 2

*risks* draws clicks on 40 x 30 pairs of `make_clicks` again and again, and compares mean and
variance of five estimated losses at fixed scores with their formulas; ``feedback_risks.csv``.

*fits* compares ways to learn from the same clicks; ``feedback_fits.csv``. Designs of `make_clicks`
with 400 users and 300 items: "few clicks", the defaults (one pair in ten shown, some 3,000 clicks),
and "more clicks" (three in ten shown). Twenty factors, squared loss. "oracle" sees the relevance R
of all pairs, "naive" has clip 1, "unbiased" clip 0, "clipped" one of the clips of `CLIPS`, "clip
0.1" and "clip 0.3" (the default) just this one, and "item-weighted" weighs items by their
propensities (one of `ITEM_CLIPS`); all with the true propensities. "power law 0.1" and "power law
0.3" have the default propensities, estimated from the clicks, with these clips.

The penalty of every method, and the clip where a method has several, are those with the best mean
of a measure over ten other data sets of the design, seeds 1000 to 1009: the same rule for all. The
methods marked "held out" choose within their data set, and without the truth: the fit to four
fifths of the clicks with the least unbiased loss on the last fifth. Penalties are shares of the
largest singular value of the pseudo-labels, so that no method gains by the scale of its weights.

Measures: ideal squared loss; ideal DCG@5, over all pairs and over those without a click; both for
the rare half of the items, ranked among themselves. Differences from naive are paired.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from trueness.feedback import PopularityPropensity, RankWarning, RelMF
from trueness.feedback.numerics.losses import (
    LOSSES,
    RISKS,
    click_risk,
    ideal_risk,
    risk_bias,
    risk_variance,
)
from trueness.simulations import make_clicks

DESIGNS: dict[str, dict[str, Any]] = {
    "few clicks": {},
    "more clicks": {"exposure": 0.3},
}
CLIPS = (0.05, 0.1, 0.2, 0.3, 0.5)
FIXED = (0.1, 0.3)
ITEM_CLIPS = (0.3, 1.0)
PENALTIES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
ITEM_PENALTIES = (0.1, 0.2, 0.3, 0.4)
N_FACTORS = 20
HELD_OUT = 0.2
FIRST_TUNING_SEED, N_TUNING = 1000, 10
# Larger is better for the gains.
MEASURES = {"loss": -1, "DCG": 1, "DCG, unseen": 1, "loss, rare": -1, "DCG, rare": 1}


# ---------------------------------------------------------------------------------------- risks


def compare_risks(n_draws: int, seed: int = 0) -> pd.DataFrame:
    """Compare means and variances over draws with the formulas.

    Returns
    -------
    DataFrame
        A row for each loss and risk: ``bias`` and ``variance`` by formula, those over the draws,
        and their distance in Monte Carlo standard errors (``bias_z``, ``variance_z``).
    """
    sample = make_clicks(n_users=40, n_items=30, exposure=0.3, random_state=seed)
    gamma, theta = sample.complete.relevance, sample.complete.exposure
    rng = np.random.default_rng(seed)
    scores = gamma + 0.2 * rng.standard_normal(gamma.shape)
    given: dict[str, dict[str, Any]] = {"wmf": {"weight": 3.0}, "clipped": {"clip": 0.2}}
    values: dict[tuple[str, str], list[float]] = {(k, r): [] for k in LOSSES for r in RISKS}
    for _ in range(n_draws):
        clicks = rng.random(gamma.shape) < gamma * theta
        for loss, risk in values:
            options = {"risk": risk, "loss": loss, "relevance": gamma, **given.get(risk, {})}
            values[loss, risk].append(click_risk(clicks, scores, theta, **options))
    rows = []
    for (loss, risk), drawn in values.items():
        options = {"risk": risk, "loss": loss, **given.get(risk, {})}
        error = np.array(drawn) - ideal_risk(gamma, scores, loss)
        bias = risk_bias(gamma, theta, scores, **options)
        variance = risk_variance(gamma, theta, scores, **options)
        squares = (error - error.mean()) ** 2
        mean_error, variance_error = (x.std() / np.sqrt(n_draws) for x in (error, squares))
        rows.append(
            {
                "loss": loss,
                "risk": risk,
                "bias": bias,
                "bias_drawn": error.mean(),
                "bias_z": (error.mean() - bias) / mean_error,
                "variance": variance,
                "variance_drawn": squares.mean(),
                "variance_z": (squares.mean() - variance) / variance_error,
                "draws": n_draws,
            }
        )
    return pd.DataFrame(rows)


# ----------------------------------------------------------------------------------------- fits


def candidates(sample: Bunch, clicks: Any, *, share: float = 1.0) -> Iterator[tuple[Any, ...]]:
    """Fit every method with every clip and penalty.

    Parameters
    ----------
    sample : Bunch
    clicks : sparse matrix
        All clicks or a random share of them, whose propensities are that share of the true ones.
    share : float, default=1.0

    Yields
    ------
    method, clip, penalty, scores
    """
    theta = share * sample.complete.propensity
    sets = {"naive": (1.0,), "unbiased": (0.0,), "clipped": CLIPS}
    sets |= {f"clip {clip:g}": (clip,) for clip in FIXED}
    done: dict[float, list[Any]] = {}
    for method, clips in sets.items():
        for clip in clips:
            if clip not in done:
                done[clip] = list(_path(clicks, theta, share * clip))
            yield from ((method, clip, penalty, scores) for penalty, scores in done[clip])
    if share == 1.0:
        everything = _path(sample.complete.relevant, 1.0, 0.0)
        yield from (("oracle", 0.0, penalty, scores) for penalty, scores in everything)
        estimated = PopularityPropensity().fit(clicks).item_propensities()
        for clip in FIXED:
            fits = _path(clicks, estimated, clip)
            yield from ((f"power law {clip:g}", clip, penalty, s) for penalty, s in fits)
    for clip in ITEM_CLIPS:
        fits = _item_weighted(clicks, theta, share * clip)
        yield from (("item-weighted", clip, penalty, scores) for penalty, scores in fits)


def _path(clicks: Any, theta: Any, clip: float) -> Iterator[tuple[float, Any]]:
    weights = np.broadcast_to(np.maximum(theta, clip), clicks.shape)
    top = _largest(clicks / weights)
    model = RelMF(N_FACTORS, clip=clip, dtype="float64", random_state=0)
    fits, _ = model.fit_path(clicks, top * np.array(PENALTIES), propensity=theta)
    return ((penalty, _scores(fit)) for penalty, fit in zip(PENALTIES, fits, strict=True))


def _item_weighted(clicks: Any, theta: Any, clip: float) -> Iterator[tuple[float, Any]]:
    top = _largest(clicks / (np.maximum(theta, clip) * np.sqrt(np.maximum(1.0, clip / theta))))
    for penalty in ITEM_PENALTIES:
        model = RelMF(N_FACTORS, clip=clip, regularization=penalty * top, item_weighted=True)
        model.set_params(max_iter=40, tol=1e-4, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 40 sweeps are close enough to the optimum
            yield penalty, _scores(model.fit(clicks, propensity=theta))


def _largest(labels: Any) -> float:
    table = sparse.csr_array(labels)
    first = np.ones(min(table.shape))
    return float(svds(table, k=1, v0=first, return_singular_vectors=False)[0])


def _scores(model: RelMF) -> Any:
    return np.asarray(model.user_factors_ @ model.item_factors_.T, dtype=float)


def measure(sample: Bunch, scores: Any) -> dict[str, float]:
    """Return all measures of scores, by the true relevance."""
    ideal, rare = sample.ideal, sample.rare
    return {
        "loss": ideal.loss(scores),
        "DCG": ideal.dcg(scores),
        "DCG, unseen": ideal.dcg(scores, exclude=sample.observed["X"]),
        "loss, rare": ideal.loss(scores, items=rare),
        "DCG, rare": ideal.dcg(scores, items=rare),
    }


def replicate(design: str, seed: int, *, hold_out: bool = True) -> pd.DataFrame:
    """Draw one data set and return the measures of every method, clip and penalty."""
    sample = make_clicks(**DESIGNS[design], random_state=seed)
    clicks = sample.observed["X"]
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", RankWarning)
        rows, known = [], {}
        for method, clip, penalty, scores in candidates(sample, clicks):
            # One fit may stand for several methods.
            key = (id(scores), clip, penalty)
            known[key] = known.get(key) or (scores, measure(sample, scores))
            rows.append({"method": method, "clip": clip, "penalty": penalty, **known[key][1]})
        frame = pd.DataFrame(rows).assign(design=design, seed=seed)
        if hold_out:
            index = ["method", "clip", "penalty"]
            held = _held_out_losses(sample, clicks, seed).set_index(index)["held_out"]
            frame = frame.join(held, on=index)
    return frame


def _held_out_losses(sample: Bunch, clicks: Any, seed: int) -> pd.DataFrame:
    """Return the unbiased loss, but for a constant, on clicks that the fit has not seen."""
    rng = np.random.default_rng(10**6 + seed)
    found = clicks.tocoo()
    held = rng.random(found.nnz) < HELD_OUT
    users, items = found.row[held], found.col[held]
    kept = sparse.csr_matrix(
        (found.data[~held], (found.row[~held], found.col[~held])), shape=found.shape
    )
    theta = np.broadcast_to(sample.complete.propensity, found.shape)[users, items]
    rows = []
    for method, clip, penalty, scores in candidates(sample, kept, share=1.0 - HELD_OUT):
        gain = np.sum(scores[users, items] / (HELD_OUT * theta)) / scores.size
        value = float(np.mean(scores**2) - 2.0 * gain)
        rows.append({"method": method, "clip": clip, "penalty": penalty, "held_out": value})
    return pd.DataFrame(rows)


# -------------------------------------------------------------------------------------- summary


def choose(tuning: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return clip and penalty of every method that are best by the mean of a measure."""
    means = tuning.groupby(["method", "clip", "penalty"], sort=False)[name].mean()
    best = (MEASURES[name] * means).groupby("method", sort=False).idxmax()
    return pd.DataFrame(list(best), columns=["method", "clip", "penalty"])


def summarise(tuning: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean of every measure with chosen clip and penalty, and differences from naive.

    ``better`` is the share of data sets in which the method is better than naive.
    """
    lowest = frame.groupby(["method", "seed"], sort=False)["held_out"]
    own = frame[frame["held_out"] == lowest.transform("min")]
    own = own[own["method"].isin(["naive", "unbiased", "clipped", "item-weighted"])]
    own = own.assign(method=own["method"] + ", held out")
    rows = []
    for name, sign in MEASURES.items():
        chosen = choose(tuning, name)
        fixed = frame.merge(chosen, on=["method", "clip", "penalty"])
        table = pd.concat([fixed, own]).pivot(index="seed", columns="method", values=name)
        options = chosen.set_index("method")
        for method in table:
            gain = table[method] - table["naive"]
            rows.append(
                {
                    "measure": name,
                    "method": method,
                    "mean": table[method].mean(),
                    "mcse": table[method].std() / np.sqrt(len(table)),
                    "from_naive": gain.mean(),
                    "from_naive_mcse": gain.std() / np.sqrt(len(table)),
                    "better": float((sign * gain > 0).mean()),
                    "clip": options["clip"].get(method, np.nan),
                    "penalty": options["penalty"].get(method, np.nan),
                    "data_sets": len(table),
                }
            )
    return pd.DataFrame(rows)


def by_method(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each design and method: what naive has, and differences from it."""
    cells = [
        f"{row.mean_:.4f}" if row.method == "naive" else f"{row.change:+.4f} ± {row.error:.4f}"
        for row in table.rename(
            columns={"mean": "mean_", "from_naive": "change", "from_naive_mcse": "error"}
        ).itertuples()
    ]
    wide = table.assign(cell=cells).pivot(
        index=["design", "method"], columns="measure", values="cell"
    )
    # naive first, the others by name
    order = sorted(wide.index, key=lambda key: (key[0], key[1] != "naive", key[1]))
    return wide.loc[order, list(MEASURES)].reset_index()


def study(
    designs: list[str], n_replicates: int, n_jobs: int, out: Path, kept: Path | None = None
) -> None:
    """Run all designs and write their summary, after every design.

    Data sets that are done lie in the folder ``kept``, if there is one, and are not run again.
    """
    tables: list[pd.DataFrame] = []
    seeds = range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + N_TUNING)
    for design in designs:
        run = Parallel(n_jobs=n_jobs)
        tuning = run(delayed(_once)(design, seed, False, kept) for seed in seeds)
        frames = run(delayed(_once)(design, seed, True, kept) for seed in range(n_replicates))
        tables.append(summarise(pd.concat(tuning), pd.concat(frames)))
        tables[-1].insert(0, "design", design)
        print(tables[-1].to_string(index=False, header=len(tables) == 1), flush=True)
        done = pd.concat(tables)
        done.round(6).to_csv(out, index=False, lineterminator="\n")
        summary = out.with_stem(f"{out.stem}_summary")
        by_method(done).to_csv(summary, index=False, lineterminator="\n")


def _once(design: str, seed: int, hold_out: bool, kept: Path | None) -> pd.DataFrame:
    if kept is None:
        return replicate(design, seed, hold_out=hold_out)
    file = kept / f"{design} {seed}.parquet"
    if not file.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        replicate(design, seed, hold_out=hold_out).to_parquet(file)
    return pd.read_parquet(file)


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=("risks", "fits"))
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--replicates", type=int, default=50)
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder of data sets that are done")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    out = arguments.out or Path(__file__).with_name(f"feedback_{arguments.part}.csv")
    if arguments.part == "risks":
        table = compare_risks(arguments.draws)
        print(table.to_string(index=False))
        table.to_csv(out, index=False, lineterminator="\n", float_format="%.6g")
        return
    study(arguments.designs, arguments.replicates, arguments.jobs, out, arguments.keep)


if __name__ == "__main__":
    main()
