"""Performance measures: definitions, exact values, and what is not there."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint
from study_frames import NAN, hand_made, values

from trueness.simulations.performance import compare_methods, performance
from trueness.simulations.performance.measures import wilson

# ---------------------------------------------------------------------------------- exact values


def test_exact_values_of_a_hand_made_frame():
    rows = values(performance(hand_made()))
    error = np.array([-1.0, 0.0, 1.0, 4.0])  # mean 1, squares 18, squares about the mean 14
    # Intervals are [0.5, 2], [1, 4], [2, 5], [4, 10]: the estimand 2 is in three of them, the
    # mean estimate 3 in two.
    expected = {
        "mean_estimate": 3.0,
        "bias": 1.0,
        "relative_bias": 0.5,
        "median_bias": 0.5,
        "empirical_se": np.sqrt(14 / 3),
        "mad_se": 1.0 / 0.6744897501960817,  # distances to the median 1.5, 0.5, 0.5, 3.5
        "model_se": np.sqrt((1 + 4 + 4 + 16) / 4),
        "median_se": 2.0,
        "se_ratio": np.sqrt(25 / 4) / np.sqrt(14 / 3),
        "mse": 4.5,
        "rmse": np.sqrt(4.5),
        "coverage": 0.75,
        "bias_eliminated_coverage": 0.5,
        "rejection_rate": 2 / 3,
        "mean_width": (1.5 + 3 + 3 + 6) / 4,
        "failures": 0.2,
        "nonconverged": 0.2,
    }
    assert list(rows.index) == list(expected)
    np.testing.assert_allclose(rows["value"], list(expected.values()), rtol=1e-12)
    assert rows["n_used"].to_dict() == {
        name: {"rejection_rate": 3, "failures": 5, "nonconverged": 5}.get(name, 4)
        for name in expected
    }
    assert (rows["n_replicates"] == 5).all()

    variance, fourth = 14 / 3, np.mean((error - 1) ** 4)
    exact = {
        "bias": np.sqrt(variance / 4),
        "relative_bias": np.sqrt(variance / 4) / 2,
        "empirical_se": np.sqrt((fourth - variance**2 / 3) / 4) / (2 * np.sqrt(variance)),
        "mse": np.sqrt(np.sum((error**2 - 4.5) ** 2) / (4 * 3)),
        "coverage": np.sqrt(0.75 * 0.25 / 4),
        "rejection_rate": np.sqrt(2 / 9 / 3),
        "failures": np.sqrt(0.2 * 0.8 / 5),
    }
    exact["rmse"] = exact["mse"] / (2 * np.sqrt(4.5))
    for name, value in exact.items():
        assert rows.loc[name, "mcse"] == pytest.approx(value, rel=1e-12), name


def test_normal_kurtosis_gives_the_published_error_of_the_empirical_se():
    # Three values with probabilities 1/6, 2/3, 1/6 have kurtosis 3, like the normal distribution.
    x = np.repeat([-1.0, 0.0, 1.0], [1000, 4000, 1000])
    frame = pd.DataFrame({"replicate": range(6000), "method": "m", "term": "x", "estimate": x})
    row = values(performance(frame)).loc["empirical_se"]
    assert row["mcse"] == pytest.approx(row["value"] / np.sqrt(2 * 5999), rel=1e-3)


def test_delta_method_agrees_with_the_jackknife():
    rng = np.random.default_rng(4)
    n = 150
    x = rng.gamma(3.0, size=(2, n))
    se = np.exp(0.3 * rng.standard_normal((2, n)) + 0.1 * x)
    frame = pd.concat(
        pd.DataFrame({"replicate": range(n), "estimate": e, "std_error": s}).assign(method=name)
        for name, e, s in zip("ab", x, se, strict=True)
    ).assign(term="x", estimand=2.0)
    frame["conf_low"], frame["conf_high"] = frame["estimate"] - 1, frame["estimate"] + x[0].mean()

    def both(data):
        measures = performance(data).to_frame().query("method == 'b'")
        return pd.concat([measures, compare_methods(data, "a").to_frame()])

    full = both(frame).set_index("measure")
    parts = [frame[frame["replicate"] != i].assign(left_out=i) for i in range(n)]
    without = both(pd.concat(parts)).pivot(index="measure", columns="left_out", values="value")
    jackknife = np.sqrt((n - 1) ** 2 / n * without.var(axis=1))
    smooth = ["bias", "empirical_se", "model_se", "se_ratio", "mse", "rmse", "mean_estimate"]
    smooth += ["bias_difference", "empirical_se_ratio", "mse_ratio", "rmse_ratio"]
    np.testing.assert_allclose(full.loc[smooth, "mcse"], jackknife[smooth], rtol=0.06)


@pytest.mark.parametrize(("count", "n"), [(0, 10), (10, 10), (3, 17), (950, 1000)])
def test_wilson_interval(count, n):
    low, high = wilson(np.array([count / n]), np.array([float(n)]))
    expected = proportion_confint(count, n, method="wilson")
    np.testing.assert_allclose([low[0], high[0]], expected, atol=1e-14)


def test_intervals_of_the_frame_are_wilson_for_shares_and_symmetric_otherwise():
    rows = values(performance(hand_made()))
    for name, n in {"coverage": 4, "rejection_rate": 3, "failures": 5}.items():
        share = rows.loc[name, "value"]
        expected = proportion_confint(round(share * n), n, method="wilson")
        np.testing.assert_allclose(rows.loc[name, ["mc_low", "mc_high"]].astype(float), expected)
    bias = rows.loc["bias"]
    assert bias["mc_high"] - bias["value"] == pytest.approx(1.959964 * bias["mcse"])
    assert bias["value"] - bias["mc_low"] == pytest.approx(1.959964 * bias["mcse"])


def test_medians_of_many_groups_agree_with_numpy():
    rng = np.random.default_rng(0)
    sizes = [1, 2, 3, 10, 101]
    parts = [rng.standard_cauchy(size) for size in sizes]
    frame = pd.concat(
        pd.DataFrame({"replicate": range(len(x)), "estimate": x, "cell": i})
        for i, x in enumerate(parts)
    ).assign(method="m", term="x", estimand=0.5)
    wide = performance(frame.sample(frac=1, random_state=0)).to_frame(wide=True)
    wide = wide.sort_values("cell")
    np.testing.assert_allclose(wide["median_bias"], [np.median(x) - 0.5 for x in parts])
    mad = [1.482602218505602 * np.median(np.abs(x - np.median(x))) for x in parts]
    np.testing.assert_allclose(wide["mad_se"], mad)
    assert wide["median_bias_mcse"].isna().tolist() == [True, False, False, False, False]


# ------------------------------------------------------------------------- what is not there


def test_failures_are_counted_by_method_and_never_dropped():
    frame = pd.concat([hand_made(), hand_made().iloc[:4].assign(method="sure")])
    result = performance(frame)
    assert values(result, method="ols").loc["failures", "value"] == pytest.approx(0.2)
    sure = values(result, method="sure")
    assert sure.loc["failures", "value"] == 0
    assert sure.loc["failures", "n_replicates"] == 4


def test_converged_only_turns_estimates_into_failures():
    rows = values(performance(hand_made(), converged_only=True))
    assert rows.loc["failures", "value"] == pytest.approx(0.4)
    assert rows.loc["nonconverged", "value"] == pytest.approx(0.2)
    assert rows.loc["bias", "value"] == 0
    assert rows.loc["bias", "n_used"] == 3


def test_a_method_that_always_fails_in_a_cell_keeps_its_terms():
    good = pd.concat([hand_made().iloc[:4], hand_made().iloc[:4].assign(term="z")])
    bad = pd.DataFrame({"replicate": [0, 1, 2], "method": "ols", "term": "", "estimate": NAN})
    wide = performance(pd.concat([good.assign(n=10), bad.assign(n=20)])).to_frame(wide=True)
    assert wide[["n", "term", "n_replicates", "failures"]].values.tolist() == [
        [10, "x", 4, 0.0],
        [10, "z", 4, 0.0],
        [20, "x", 3, 1.0],
        [20, "z", 3, 1.0],
    ]
    assert wide.loc[2:, "bias"].isna().all()


def test_a_method_that_never_works_is_a_row():
    bad = pd.DataFrame({"replicate": [0, 1, 2], "method": "mle", "term": "", "estimate": NAN})
    wide = performance(pd.concat([hand_made(), bad])).to_frame(wide=True)
    assert wide[["method", "term", "failures"]].values.tolist() == [
        ["ols", "x", 0.2],
        ["mle", "", 1.0],
    ]


def test_a_term_that_is_missing_in_some_replicates_fails_there():
    frame = hand_made().iloc[:4]
    extra = frame.iloc[:1].assign(term="z")
    wide = performance(pd.concat([frame, extra])).to_frame(wide=True).set_index("term")
    assert wide["failures"].to_dict() == {"x": 0.0, "z": 0.75}


def test_methods_without_standard_errors_have_no_coverage():
    frame = hand_made().drop(columns=["std_error", "conf_low", "conf_high", "p_value"])
    rows = values(performance(frame))
    absent = ["model_se", "median_se", "se_ratio", "coverage", "bias_eliminated_coverage"]
    absent += ["rejection_rate", "mean_width"]
    assert rows.loc[absent, ["value", "mcse", "mc_low", "mc_high"]].isna().all(axis=None)
    assert (rows.loc[absent, "n_used"] == 0).all()
    assert rows.loc["bias", "value"] == 1


def test_without_estimand_there_is_spread_but_no_bias():
    rows = values(performance(hand_made().drop(columns="estimand")))
    assert rows.loc[["bias", "rmse", "coverage", "median_bias"], "value"].isna().all()
    assert rows.loc["empirical_se", "value"] == pytest.approx(np.sqrt(14 / 3))
    assert rows.loc["bias_eliminated_coverage", "value"] == 0.5


def test_an_estimand_of_each_replicate_moves_with_the_estimates():
    frame = hand_made()
    shift = np.array([5.0, -3.0, 0.0, 10.0, NAN])
    moved = frame.copy()
    for name in ("estimate", "estimand", "conf_low", "conf_high"):
        moved[name] += shift
    before, after = values(performance(frame)), values(performance(moved))
    same = [name for name in before.index if name not in ("mean_estimate", "relative_bias")]
    pd.testing.assert_frame_equal(before.loc[same], after.loc[same])


def test_an_estimand_of_zero_has_no_relative_bias():
    rows = values(performance(hand_made().assign(estimand=0.0)))
    assert np.isnan(rows.loc["relative_bias", "value"])
    assert rows.loc["bias", "value"] == 3


def test_infinite_intervals_cover_and_have_infinite_width():
    frame = hand_made()
    frame.loc[0, ["conf_low", "conf_high"]] = -np.inf, np.inf
    frame.loc[3, "conf_low"] = -np.inf
    rows = values(performance(frame))
    assert rows.loc["coverage", "value"] == 1
    assert rows.loc["coverage", "mcse"] == 0
    assert rows.loc["mean_width", "value"] == np.inf
    assert np.isnan(rows.loc["mean_width", "mcse"])


def test_infinite_estimates_are_failures():
    frame = hand_made()
    frame.loc[0, "estimate"] = np.inf
    assert values(performance(frame)).loc["failures", "value"] == pytest.approx(0.4)


@pytest.mark.parametrize("n", [1, 2])
def test_few_replicates_give_no_warnings(n):
    frame = hand_made().iloc[:n]
    rows = values(performance(frame))
    assert np.isnan(rows.loc["bias", "mcse"]) == (n == 1)
    pair = pd.concat([frame, frame.assign(method="b", estimate=frame["estimate"] + 1)])
    assert values(compare_methods(pair, "b")).loc["bias_difference", "value"] == -1


def test_constant_estimates_have_no_errors():
    frame = hand_made().iloc[:4].assign(estimate=2.0, conf_low=1.0, conf_high=3.0)
    rows = values(performance(frame))
    names = ["bias", "empirical_se", "rmse", "mad_se", "coverage", "bias_eliminated_coverage"]
    assert rows.loc[names, "value"].tolist() == [0, 0, 0, 0, 1, 1]
    assert rows.loc[names, "mcse"].tolist() == [0] * 6
    assert rows.loc["se_ratio", "value"] == np.inf
