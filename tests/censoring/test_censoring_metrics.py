"""Scores equal their formulas, written out, and do not change where they must not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_pinball_loss, mean_squared_error, r2_score

from trueness.censoring import (
    CensoredRegressor,
    CoxCensoring,
    KaplanMeierCensoring,
    calibration_table,
    concordance_index,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    ipcw_bias,
    ipcw_brier_score,
    ipcw_calibration_slope,
    ipcw_integrated_brier_score,
    ipcw_mean_absolute_error,
    ipcw_mean_pinball_loss,
    ipcw_mean_squared_error,
    ipcw_r2_score,
    score_report,
    survival_target,
)

N, HORIZON = 120, 3.0
POINT_SCORES = {
    ipcw_mean_squared_error: lambda z, f, w: np.average((z - f) ** 2, weights=w),
    ipcw_mean_absolute_error: lambda z, f, w: np.average(abs(z - f), weights=w),
    ipcw_mean_pinball_loss: lambda z, f, w: mean_pinball_loss(z, f, sample_weight=w),
    ipcw_r2_score: lambda z, f, w: r2_score(z, f, sample_weight=w),
    ipcw_bias: lambda z, f, w: np.average(f - z, weights=w),
    ipcw_calibration_slope: lambda z, f, w: np.polyfit(f, z, 1, w=np.sqrt(w))[0],
}


@pytest.fixture(scope="module")
def sample():
    """Tied durations, censored given x, with predictions."""
    rng = np.random.default_rng(11)
    x = rng.normal(size=(N, 2))
    duration = np.exp(x[:, 0] / 2) * rng.exponential(2.0, N)
    censored = np.exp(x[:, 1]) * rng.exponential(4.0, N)
    time = np.ceil(4 * np.minimum(duration, censored)) / 4
    y = survival_target(time, duration <= censored)
    return x, y, np.clip(1.5 + 0.5 * x[:, 0], 0.1, HORIZON)


def curve(y, at, side, weight=None):
    """The marginal censoring curve, written out."""
    weight = np.ones(len(y)) if weight is None else weight
    time, event = y["time"], y["event"]
    values = np.ones(len(at))
    for v in np.unique(time[~event]):
        falls, stays = weight[(time == v) & ~event].sum(), weight[time > v].sum()
        values[at > v if side == "left" else at >= v] *= stays / (stays + falls)
    return values


def weights(y, horizon=HORIZON, weight=None):
    z = np.minimum(y["time"], horizon)
    known = y["event"] | (y["time"] >= horizon)
    case = np.ones(len(y)) if weight is None else weight
    return z, np.where(known, case / curve(y, z, "left", weight), 0.0)


# ------------------------------------------------------------------------- predicted durations


@pytest.mark.parametrize("score", POINT_SCORES)
@pytest.mark.parametrize("weighted", [False, True])
def test_point_scores_are_weighted_scores_of_known_rows(sample, score, weighted):
    _, y, prediction = sample
    case = np.random.default_rng(2).uniform(0.5, 2, N) if weighted else None
    z, w = weights(y, weight=case)
    kept = w > 0
    expected = POINT_SCORES[score](z[kept], prediction[kept], w[kept])
    found = score(y, prediction, censoring="km", horizon=HORIZON, sample_weight=case)
    assert found == pytest.approx(expected, rel=1e-12)


def test_under_a_cox_model_weights_are_those_of_the_model(sample):
    x, y, prediction = sample
    model = CoxCensoring().fit(x, y["time"], y["event"])
    z = np.minimum(y["time"], HORIZON)
    w = (y["event"] | (y["time"] >= HORIZON)) / model.survival(x, z, side="left")
    expected = mean_squared_error(z, prediction, sample_weight=w)
    for censoring in ("cox", model, CoxCensoring()):
        found = ipcw_mean_squared_error(y, prediction, censoring=censoring, X=x, horizon=HORIZON)
        assert found == pytest.approx(expected, rel=1e-12)


def test_a_fitted_model_is_not_fitted_again(sample):
    _, y, prediction = sample
    half = KaplanMeierCensoring().fit(None, y["time"][: N // 2], y["event"][: N // 2])
    found = ipcw_bias(y, prediction, censoring=half, horizon=2.0)
    z = np.minimum(y["time"], 2.0)
    w = (y["event"] | (y["time"] >= 2.0)) / half.survival(None, z, side="left")
    assert found == pytest.approx(np.average(prediction - z, weights=w), rel=1e-12)


def test_nothing_censored_gives_the_scores_of_scikit_learn(sample):
    _, y, prediction = sample
    complete = survival_target(y["time"], np.ones(N))
    found = ipcw_mean_squared_error(complete, prediction, censoring="km")
    assert found == pytest.approx(mean_squared_error(y["time"], prediction), rel=1e-14)


def test_scores_do_not_depend_on_units_or_order(sample):
    _, y, prediction = sample
    order = np.random.default_rng(0).permutation(N)
    days = survival_target(365.25 * y["time"][order], y["event"][order])
    for score, power in ((ipcw_mean_squared_error, 2), (ipcw_bias, 1), (ipcw_r2_score, 0)):
        years = score(y, prediction, censoring="km", horizon=HORIZON)
        other = score(days, 365.25 * prediction[order], censoring="km", horizon=365.25 * HORIZON)
        assert other == pytest.approx(365.25**power * years, rel=1e-10)


def test_case_weights_count_rows(sample):
    _, y, prediction = sample
    times = np.random.default_rng(5).integers(0, 3, N)
    twice = np.repeat(y, times)
    options = {"censoring": "km", "horizon": HORIZON}
    assert ipcw_r2_score(y, prediction, sample_weight=times, **options) == pytest.approx(
        ipcw_r2_score(twice, np.repeat(prediction, times), **options), rel=1e-10
    )
    assert concordance_index_ipcw(y, -prediction, sample_weight=times, **options) == pytest.approx(
        concordance_index_ipcw(twice, -np.repeat(prediction, times), **options), rel=1e-10
    )


def test_known_censoring_times_select_rows_and_do_not_weigh(sample):
    _, y, prediction = sample
    rng = np.random.default_rng(9)
    ends = np.where(y["event"], y["time"] + rng.exponential(2.0, N), y["time"])
    kept = ends >= HORIZON
    z = np.minimum(y["time"], HORIZON)
    options = {"censoring": "known", "censoring_times": ends}
    found = ipcw_mean_squared_error(y, prediction, horizon=HORIZON, **options)
    assert found == pytest.approx(mean_squared_error(z[kept], prediction[kept]))
    assert 0 < kept.sum() < (y["event"] | (y["time"] >= HORIZON)).sum()  # events are left out too
    beyond = ends > 2.0
    brier = ipcw_brier_score(y, np.full(N, 0.3), 2.0, **options)
    alive = y["time"][beyond] > 2.0
    assert brier[0] == pytest.approx(np.mean((alive - 0.3) ** 2))
    chosen = {name: values[kept] for name, values in (("y", y), ("risk", -prediction))}
    expected = concordance_index_ipcw(
        survival_target(chosen["y"]["time"], chosen["y"]["event"] | (chosen["y"]["time"] > 0)),
        chosen["risk"],
        censoring="km",
        horizon=HORIZON,
    )
    late = chosen["y"]["time"] < HORIZON  # all of these are events
    assert chosen["y"]["event"][late].all()
    uno = concordance_index_ipcw(y, -prediction, horizon=HORIZON, **options)
    assert uno == pytest.approx(expected)


# ------------------------------------------------------------------------- survival


def test_brier_scores_written_out(sample):
    x, y, _ = sample
    times = np.array([0.5, 1.0, 2.25])
    survival = 1 / (1 + np.exp(-(1 - times + x[:, :1])))
    expected = []
    for u, s in zip(times, survival.T, strict=True):
        failed, alive = y["event"] & (y["time"] <= u), y["time"] > u
        losses = failed * s**2 / curve(y, y["time"], "left").clip(1e-9)
        losses += alive * (1 - s) ** 2 / curve(y, np.full(N, u), "right")
        expected.append(losses.mean())
    found = ipcw_brier_score(y, survival, times, censoring="km")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    integrated = ipcw_integrated_brier_score(y, survival, times, censoring="km")
    mean = (expected[0] + expected[1]) / 2 * 0.5 + (expected[1] + expected[2]) / 2 * 1.25
    assert integrated == pytest.approx(mean / 1.75, rel=1e-12)


def test_auc_written_out(sample):
    x, y, _ = sample
    model = CoxCensoring().fit(x, y["time"], y["event"])
    risk, u = np.round(-x[:, 0], 1), 1.5
    cases = (y["event"] & (y["time"] <= u)) / model.survival(x, y["time"], side="left")
    controls = (y["time"] > u) / model.survival(x, np.full(N, u))
    wins = (risk[:, None] > risk) + 0.5 * (risk[:, None] == risk)
    expected = cases @ wins @ controls / (cases.sum() * controls.sum())
    found = cumulative_dynamic_auc(y, risk, u, censoring="cox", X=x)
    assert found[0] == pytest.approx(expected, rel=1e-12)


# ------------------------------------------------------------------------- concordance


def test_uno_with_ties_as_worked_by_hand():
    """E4 of the derivation: left limits, and rows censored at the time of an event are partners.

    Censoring curve: at 11 one of 6 leaves (5/6), at 26 one of 5 (2/3), at 128 one of 3 (4/9), so
    that the events at 11 and 89 (the others are not before 299) weigh 1 and 9/4. The event at 11
    has 6 partners, of which only those with risks -0.56, -1.33, -0.81, -1.29 are below -0.02: 4.
    The event at 89 has risk -1.33 and 3 partners, none below. So C = 4 / (6 + 3 * 9/4) = 16/51.
    """
    time = [11, 11, 26, 89, 128, 299, 300]
    event = [1, 0, 0, 1, 0, 1, 0]
    risk = [-0.02, 1.2, -0.56, -1.33, -0.81, 1.02, -1.29]
    found = concordance_index_ipcw(survival_target(time, event), risk, censoring="km", horizon=299)
    assert found == pytest.approx(16 / 51, abs=1e-15)
    assert found == pytest.approx(0.3137254901960785, abs=1e-15)


def pairs_written_out(y, risk, g_own, g_pair, horizon):
    """g_pair[i, j] is the curve of row j just before the time of row i."""
    above = below = 0.0
    for i in np.flatnonzero(y["event"] & (y["time"] < horizon)):
        for j in range(len(y)):
            tied = y["time"][j] == y["time"][i] and not y["event"][j]
            if y["time"][j] > y["time"][i] or tied:
                weight = 1 / (g_own[i] * g_pair[i, j])
                below += weight
                above += weight * ((risk[j] < risk[i]) + 0.5 * (risk[j] == risk[i]))
    return above / below


def test_concordance_given_covariates(sample):
    x, y, _ = sample
    risk = np.round(-x[:, 0], 1)
    model = CoxCensoring().fit(x, y["time"], y["event"])
    grid = model.survival_grid(x, y["time"], side="left").T
    expected = pairs_written_out(y, risk, np.diag(grid), grid, HORIZON)
    options = {"censoring": model, "X": x, "horizon": HORIZON}
    assert concordance_index_ipcw(y, risk, **options) == pytest.approx(expected, rel=1e-12)
    # As many bins as rows are exact as well; few are close.
    binned = concordance_index_ipcw(y, risk, n_bins=N, **options)
    assert binned == pytest.approx(expected, rel=1e-12)
    close = concordance_index_ipcw(y, risk, n_bins=8, **options)
    assert close != expected
    assert close == pytest.approx(expected, abs=3e-3)


def test_concordance_of_order(sample):
    _, y, prediction = sample
    forward = concordance_index(y, -prediction)
    assert concordance_index(y, np.exp(-3 * prediction)) == pytest.approx(forward, abs=1e-15)
    assert concordance_index(y, prediction) == pytest.approx(1 - forward, abs=1e-12)
    ones = np.ones((N, N))
    expected = pairs_written_out(y, -prediction, np.ones(N), ones, np.inf)
    assert forward == pytest.approx(expected, abs=1e-12)


def test_binned_concordance_finds_the_truth_where_the_marginal_one_does_not():
    """Censoring that follows the risk biases marginal weights; bins of its curve do not."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(12):
        x = rng.normal(size=(1500, 1))
        duration = np.exp(x[:, 0]) * rng.exponential(size=1500)
        censored = np.exp(1.5 * x[:, 0]) * rng.exponential(1.5, 1500)
        y = survival_target(np.minimum(duration, censored), duration <= censored)
        complete = survival_target(duration, np.ones(1500))
        options = {"horizon": 2.0}
        truth = concordance_index_ipcw(complete, -x[:, 0], censoring="km", **options)
        marginal = concordance_index_ipcw(y, -x[:, 0], censoring="km", **options)
        binned = concordance_index_ipcw(
            y, -x[:, 0], censoring="cox", X=x, n_bins=32, floor=0.01, **options
        )
        found.append([marginal - truth, binned - truth])
    bias, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(12)
    assert abs(bias[0]) > 4 * error[0]
    assert abs(bias[1]) < abs(bias[0]) / 2


# ------------------------------------------------------------------------- calibration, report


def test_calibration_table_written_out(sample):
    _, y, prediction = sample
    table = calibration_table(y, prediction, censoring="km", horizon=HORIZON, n_groups=4)
    assert table["rows"].sum() == N
    assert table["rows"].between(20, 40).all()
    z, w = weights(y)
    low = prediction <= np.sort(prediction)[table["rows"][0] - 1]
    assert table["observed"][0] == pytest.approx(np.average(z[low], weights=w[low]))
    assert table["predicted"][0] == pytest.approx(prediction[low].mean())
    assert table["known"][0] == (w[low] > 0).sum()
    spread = np.sqrt((w[low] ** 2 * (z[low] - table["observed"][0]) ** 2).sum()) / w[low].sum()
    assert table["std_error"][0] == pytest.approx(spread)


def test_calibration_of_survival_uses_the_weights_of_the_brier_score(sample):
    _, y, prediction = sample
    chance = prediction / 4
    table = calibration_table(y, chance, censoring="km", survival_at=1.5, n_groups=1)
    w = (y["event"] & (y["time"] <= 1.5)) / curve(y, y["time"], "left").clip(1e-9)
    alive = (y["time"] > 1.5) / curve(y, np.full(N, 1.5), "right")
    assert table["observed"][0] == pytest.approx(alive.sum() / (w + alive).sum())


def test_equal_predictions_stay_in_one_group(sample):
    _, y, _ = sample
    table = calibration_table(y, np.repeat([1.0, 2.0], N // 2), censoring="km", horizon=2.0)
    assert table["rows"].tolist() == [N // 2, N // 2]


def test_report_holds_every_score_under_every_model(sample):
    x, y, prediction = sample
    times = np.array([1.0, 2.0])
    survival = np.clip(np.column_stack([prediction, prediction - 0.05]) / 4, 0, 1)
    report = score_report(
        y,
        prediction,
        censoring={"marginal": "km", "given x": CoxCensoring()},
        X=x,
        horizon=HORIZON,
        survival=survival,
        times=times,
    )
    assert report.columns.tolist() == ["marginal", "given x"]
    for name, censoring in (("marginal", "km"), ("given x", "cox")):
        options = {"censoring": censoring, "X": x}
        expected = {
            "mean squared error": ipcw_mean_squared_error(
                y, prediction, horizon=HORIZON, **options
            ),
            "bias": ipcw_bias(y, prediction, horizon=HORIZON, **options),
            "Uno's C": concordance_index_ipcw(y, -prediction, horizon=HORIZON, **options),
            "Brier score at 2": ipcw_brier_score(y, survival, times, **options)[1],
            "integrated Brier score": ipcw_integrated_brier_score(y, survival, times, **options),
            "AUC at 1": cumulative_dynamic_auc(y, 1 - survival, times, **options)[0],
        }
        for score, value in expected.items():
            assert report.loc[score, name] == pytest.approx(value, rel=1e-12), score
    assert report.loc["weight sum", "marginal"] == pytest.approx(1.0, abs=1e-12)
    assert report.loc["Harrell's C"].nunique() == 1
    assert report.notna().all(axis=None)


def test_report_takes_frames_and_events_apart(sample):
    x, y, prediction = sample
    frame = pd.DataFrame({"time": y["time"], "event": y["event"]})
    options = {"censoring": ["km", "cox"], "X": x, "horizon": HORIZON}
    report = score_report(y, prediction, **options)
    pd.testing.assert_frame_equal(score_report(frame, prediction, **options), report)
    apart = score_report(y["time"], prediction, event=y["event"], **options)
    pd.testing.assert_frame_equal(apart, report)


# ------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, f: ipcw_bias(y["time"], f, censoring="km"), "without events"),
        (lambda y, f: ipcw_bias(y, f[:5], censoring="km"), "one number for each of 120 rows"),
        (lambda y, f: ipcw_bias(y, f, censoring="cox"), "needs covariates"),
        (lambda y, f: ipcw_bias(y, f, censoring="kaplan"), "is no model of censoring"),
        (lambda y, f: ipcw_bias(y, f, censoring="km", horizon=-1.0), "horizon=-1.0 must be"),
        (lambda y, f: ipcw_bias(y, f, censoring="km", floor=1.5), "floor=1.5"),
        (lambda y, f: ipcw_bias(y, f, censoring="known"), "belong together"),
        (
            lambda y, f: ipcw_bias(
                y, f, censoring="known", horizon=1.0, censoring_times=y["time"] / 2
            ),
            "contradict the data on",
        ),
        (
            lambda y, f: ipcw_bias(y, f, censoring="known", censoring_times=y["time"] + y["event"]),
            "needs a horizon",
        ),
        (lambda y, f: ipcw_bias(y, np.where(f > 2, np.nan, f), censoring="km"), "y_pred: of 120"),
        (lambda y, f: ipcw_mean_pinball_loss(y, f, censoring="km", quantile=1.0), "quantile=1.0"),
        (lambda y, f: ipcw_brier_score(y, f / 2, 1.0, censoring="km"), r"outside \[0, 1\] on"),
        (lambda y, f: ipcw_brier_score(y, f / 9, 99.0, censoring="km"), "after 99"),
        (lambda y, f: ipcw_brier_score(y, f / 9, [2.0, 1.0], censoring="km"), "increasing"),
        (lambda y, f: cumulative_dynamic_auc(y, f, [-1.0], censoring="km"), "negative on 1"),
        (lambda y, f: score_report(y, f, censoring=["km"]), "at least two models"),
        (lambda y, f: score_report(y, f, censoring="km"), "at least two models"),
        (lambda y, f: score_report(y, f, censoring=["km", "km"]), "Two models"),
        (lambda y, f: score_report(y, censoring=["km", "km"]), "nothing to score"),
        (lambda y, f: calibration_table(y, f, censoring="km", n_groups=0), "n_groups=0"),
        (lambda y, f: concordance_index_ipcw(y, f, censoring="km", n_bins=0), "n_bins=0"),
    ],
)
def test_bad_input_is_named(sample, call, message):
    _, y, prediction = sample
    with pytest.raises(ValueError, match=message):
        call(y, prediction)


def test_zero_chance_to_be_known_is_an_error_that_says_what_to_do():
    y = survival_target([1, 2, 3, 4], [1, 0, 1, 1])
    short = KaplanMeierCensoring().fit(None, [1.0, 2.0], [1, 0])
    with (
        pytest.warns(UserWarning, match="past the last time"),
        pytest.raises(ValueError, match="zero for 2 of 4 rows that are known .rows 2, 3.*floor"),
    ):
        ipcw_bias(y, [1, 2, 2, 2], censoring=short)


# ------------------------------------------------------------------------- delayed entry


@pytest.fixture(scope="module")
def late():
    """Exponential durations given x, of which those are seen that last beyond their entry."""
    rng = np.random.default_rng(5)
    n = 20_000
    x = rng.integers(0, 2, n).astype(float)
    duration, entry = (1.0 + x) * rng.exponential(size=n), rng.uniform(0.0, 1.5, n)
    entry[rng.random(n) < 0.3] = 0.0
    time = np.minimum(duration, entry + rng.exponential(2.0, n))
    seen = time > entry
    y = survival_target(time[seen], (duration == time)[seen], entry[seen])
    return x[seen, None], y, x, duration


@pytest.mark.parametrize("horizon", [0.75, 2.0])  # some enter after the first
def test_scores_of_durations_are_those_of_everybody_and_not_of_who_lived_to_enter(late, horizon):
    _, y, _, duration = late
    options = {"censoring": "km", "horizon": horizon}
    expected = np.minimum(duration, horizon).mean()
    found = -ipcw_bias(y, np.zeros(len(y)), **options)
    assert found == pytest.approx(expected, rel=0.02)
    plain = survival_target(y["time"], y["event"])
    assert -ipcw_bias(plain, np.zeros(len(y)), **options) > 1.05 * expected


def test_score_of_a_regressor_counts_entries(late):
    x, y, everybody, duration = late
    model = CensoredRegressor("linear", horizon=2.0, censoring="km").fit(x, y)
    expected = r2_score(np.minimum(duration, 2.0), model.predict(everybody[:, None]))
    assert model.score(x, y) == pytest.approx(expected, abs=0.015)
    # Among those who lived to enter the slope is another.
    blind = model.score(x, survival_target(y["time"], y["event"]))
    assert abs(blind - expected) > 0.03


@pytest.mark.parametrize(
    "call",
    [
        lambda y: ipcw_brier_score(y, np.full((len(y), 1), 0.5), [1.0], censoring="km"),
        lambda y: cumulative_dynamic_auc(y, np.arange(len(y)), [1.0], censoring="km"),
        lambda y: concordance_index_ipcw(y, np.arange(len(y)), censoring="km"),
    ],
)
def test_scores_of_survival_and_order_refuse_entries(late, call):
    with pytest.raises(ValueError, match=r"not made for entry times.*censoring_weights\(\.\.\., e"):
        call(late[1][:300])


def test_reports_with_entries_have_the_scores_of_durations(late):
    y = late[1][:300]
    report = score_report(y, np.ones(len(y)), censoring=["km", "cox"], X=late[0][:300])
    whole = score_report(
        y[["event", "time"]], np.ones(len(y)), censoring=["km", "cox"], X=late[0][:300]
    )
    assert set(whole.index) - set(report.index) == {"Uno's C", "Harrell's C"}
    error = ipcw_mean_squared_error(y, np.ones(len(y)), censoring="km")
    assert report.loc["mean squared error", "Kaplan-Meier"] == pytest.approx(error, rel=1e-12)
