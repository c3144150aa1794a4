"""Intervals cover known truths as often as they say, and standard errors are the spread.

Short versions run always, with models of censoring that are fitted quickly; the limits are
two-sided and tight enough to fail for standard errors that take the censoring curve for known. The
full cells (2,500 replicates) are marked slow; their results are committed under
``vignettes/evidence``.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trueness.censoring import KaplanMeierCensoring, survival_target
from trueness.censoring.inference.engine import weights_of, with_weights
from trueness.censoring.numerics.fits import linear_fit, logistic_fit

EVIDENCE = Path(__file__).parents[2] / "vignettes" / "evidence"


def load_study():
    """Import the study from the evidence folder, which is no package."""
    spec = importlib.util.spec_from_file_location(
        "censoring_coverage", EVIDENCE / "censoring_coverage.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


STUDY = load_study()


def assert_covers(params, errors, truth):
    """Compare standard errors and coverage with what so many replicates can show."""
    n = len(params)
    spread = params.std(axis=0, ddof=1)
    ratio = np.sqrt((errors**2).mean(axis=0)) / spread
    # A standard deviation from n draws is known to 1 / sqrt(2n); four of these, and 3 percent for
    # samples of 500 rows.
    room = 4 / np.sqrt(2 * n) + 0.03
    assert (np.abs(ratio - 1) < room).all(), ratio
    coverage = (np.abs(params - truth) < 1.96 * errors).mean(axis=0)
    room = 4 * np.sqrt(0.95 * 0.05 / n)
    assert (np.abs(coverage - 0.95) < room + 0.01).all(), coverage
    offset = (params.mean(axis=0) - truth) / spread
    assert np.abs(offset).max() < 0.05 + 3.5 / np.sqrt(n), offset
    return ratio


def run(estimate, replicates):
    """Collect coefficients and standard errors of every cell, and compare them with the truth."""
    found = {}
    for seed in range(1, replicates + 1):
        for cell, result in estimate(seed).items():
            found.setdefault(cell, []).append([result.params, result.std_errors])
    for cell, values in found.items():
        params, errors = np.array(values).transpose(1, 0, 2)
        if cell != STUDY.WRONG:
            assert_covers(params, errors, np.array(list(STUDY.truth(cell[0]).values())))
    return found


def test_marginal_curves():
    assert len(run(STUDY.by_marginal_curve, 250)) == 6


def test_cox_weights():
    assert len(run(STUDY.by_cox_weights, 60)) == 4


def test_taking_the_curve_for_known_would_be_seen():
    """The limits above are narrow enough: errors without the censoring term break them."""
    params, naive = [], []
    for seed in range(250):
        sample = STUDY.Sample("independent", seed)
        task = sample.task("linear")
        model = sample.fit(KaplanMeierCensoring())
        weights = weights_of(model, task, 0.0, quiet=True, describe=False)
        fit = with_weights(task, linear_fit, weights).fit
        moments = fit.score * np.where(weights.known, 1 / weights.survival, 0.0)[:, None]
        influence = np.linalg.solve(fit.curvature, moments.T).T
        params.append(fit.coef)
        naive.append(np.sqrt((influence**2).sum(axis=0)) / len(sample.x))
    params, naive = np.array(params), np.array(naive)
    ratio = np.sqrt((naive**2).mean(axis=0)) / params.std(axis=0, ddof=1)
    assert ratio[0] > 1 + 3 / np.sqrt(500)


def test_doubly_robust_outcomes():
    """Both curves marginal, which is right for censoring and wrong for the event."""

    def estimate(seed):
        sample = STUDY.Sample("independent", seed)
        models = [sample.fit(KaplanMeierCensoring(of=of)) for of in ("censoring", "event")]
        found = sample.robust(("linear", "logistic"), *models)
        return {(kind, "", ""): fit for kind, fit in found.items()}

    assert len(run(estimate, 200)) == 2


def test_survival_under_delayed_entry():
    """Greenwood's errors, a third of the rows under observation from the start."""
    times, params, errors = np.array([0.4, 0.8, 1.4]), [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        duration = rng.exponential(size=700)
        entry = np.where(rng.random(700) < 0.35, 0.0, rng.uniform(0.0, 1.2, 700))
        censored = entry + rng.exponential(1.6, 700)
        time = np.minimum(duration, censored)
        seen = time > entry
        y = survival_target(time[seen], (duration <= censored)[seen], entry[seen])
        model = KaplanMeierCensoring(of="event")
        curve = model.fit(None, y["time"], y["event"], entry=y["entry"]).curve_
        last = np.searchsorted(curve.times, times, side="right") - 1
        params.append(curve.values[last])
        errors.append(curve.std_errors[last])
    assert_covers(np.array(params), np.array(errors), np.exp(-times))


def test_truths_of_the_study_are_those_of_a_large_sample():
    rng = np.random.default_rng(0)
    n = 200_000
    x1, x2 = rng.random(n) - 0.5, rng.integers(0, 2, n) - 0.5
    duration = STUDY.scale(x1, x2) * rng.weibull(STUDY.SHAPE, n)
    design = np.column_stack([np.ones(n), x1, x2])
    ones = np.ones(n)
    restricted = np.minimum(duration, STUDY.HORIZON)
    fits = {
        "linear": linear_fit(design, restricted, ones, n).coef,
        "logistic": logistic_fit(design, (duration > STUDY.TIME).astype(float), ones, n).coef,
    }
    for kind, coef in fits.items():
        np.testing.assert_allclose(coef, list(STUDY.truth(kind).values()), atol=0.06)
    assert restricted.mean() == pytest.approx(STUDY.truth("mean")["mean"], abs=0.006)
    below = duration < design @ list(STUDY.truth("median").values())
    for column in design.T:  # the moments of the median vanish
        assert abs((column * (below - 0.5)).mean()) < 0.005
    _, y = STUDY.draw("dependent", 0, n)
    assert ((y["time"] < STUDY.HORIZON) & ~y["event"]).mean() == pytest.approx(0.45, abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("group", STUDY.GROUPS)
def test_full_study(group):
    for cell, part in cells_of(STUDY.run_group(group, 2500, n_jobs=-1)).items():
        if cell != STUDY.WRONG:
            check_summary(part)


def cells_of(table):
    return dict(list(table.groupby(["model", "method", "censoring"], sort=False)))


def check_summary(table):
    """Coverage of every coefficient, or the mean ratio of errors, as the package promises."""
    assert table["failures"].sum() == 0
    covers = table["coverage"].between(0.93, 0.97).all()
    assert covers or 0.95 <= table["se_over_sd"].mean() <= 1.05


def test_committed_results_keep_the_promise():
    table = pd.read_csv(EVIDENCE / "censoring_coverage.csv")
    cells = cells_of(table)
    expected = [cell for group in STUDY.GROUPS.values() for cell in group(0)]
    assert list(cells) == expected
    for cell, part in cells.items():
        assert (part["replicates"] == 2500).all()
        if cell != STUDY.WRONG:
            check_summary(part)
    # Marginal weights where censoring depends on x are biased, and their intervals show it.
    assert cells[STUDY.WRONG]["coverage"].min() < 0.9
    summary = pd.read_csv(EVIDENCE / "censoring_coverage_summary.csv", dtype=str)
    pd.testing.assert_frame_equal(STUDY.by_cell(table).astype(str), summary, check_dtype=False)


def test_where_intervals_cover_less_the_page_says_so():
    cells = cells_of(pd.read_csv(EVIDENCE / "censoring_coverage.csv"))
    coverage = cells["linear", "weights, Cox", "dependent"]["coverage"].mean()
    page = (EVIDENCE.parent / "evidence.md").read_text().replace("\n", " ")
    assert f"intervals of the linear regression cover {coverage:.0%}" in page
