"""Performance measures: definitions, exact values, failures, grouping and bad frames."""

import numpy as np
import pandas as pd
import pytest
from shared import FRAMES
from statsmodels.stats.proportion import proportion_confint

from trueness.simulations.performance import compare_methods, performance
from trueness.simulations.performance.frame import FRAME_COLUMNS, RESULT_COLUMNS
from trueness.simulations.performance.measures import wilson

NAN = float("nan")
NUMBERS = ["estimate", "std_error", "p_value", "conf_low", "conf_high"]


def hand_made():
    """Return five replicates of one method, one of them a failure, with estimand 2."""
    frame = pd.DataFrame(
        {
            "replicate": [0, 1, 2, 3, 4],
            "method": "ols",
            "term": ["x", "x", "x", "x", ""],
            "estimate": [1.0, 2.0, 3.0, 6.0, NAN],
            "std_error": [1.0, 2.0, 2.0, 4.0, NAN],
            "p_value": [0.04, 0.05, 0.06, NAN, NAN],
            "estimand": [2.0, 2.0, 2.0, 2.0, NAN],
            "converged": [True, True, True, False, False],
            "error": ["", "", "", "", "ValueError: no"],
        }
    )
    frame["conf_low"] = frame["estimate"] - frame["std_error"] / 2
    frame["conf_high"] = frame["estimate"] + frame["std_error"]
    return frame


def values(result, **selected):
    """Return value and Monte Carlo error by measure of one group."""
    frame = result.to_frame()
    for name, value in selected.items():
        frame = frame[frame[name] == value]
    assert not frame["measure"].duplicated().any()
    return frame.set_index("measure")


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


# ------------------------------------------------------------------------------------ grouping


def grid():
    """Return two cells x two methods x two terms, their errors known by construction."""
    parts = []
    for n in (10, 20):
        for kind in ("normal", None):
            for j, method in enumerate("ab"):
                for k, term in enumerate("xy"):
                    part = hand_made().iloc[:4].assign(n=n, kind=kind, method=method, term=term)
                    parts.append(part.assign(estimate=part["estimate"] + n + 2 * j + k))
    return pd.concat(parts, ignore_index=True)


def test_groups_are_cells_methods_and_terms_in_order_of_appearance():
    result = performance(grid())
    wide = result.to_frame(wide=True)
    assert result.parameters == ("n", "kind")
    assert list(wide.columns[:5]) == ["n", "kind", "method", "term", "n_replicates"]
    assert wide["n"].tolist() == [10] * 8 + [20] * 8
    assert wide["kind"].isna().tolist() == ([False] * 4 + [True] * 4) * 2
    assert wide["method"].tolist() == list("aabb") * 4
    assert wide["term"].tolist() == list("xy") * 8
    expected = 1 + wide["n"] + 2 * (wide["method"] == "b") + (wide["term"] == "y")
    np.testing.assert_allclose(wide["bias"], expected)


@pytest.mark.parametrize("by", ["n", ["n"], ["n", "method"]])
def test_by_pools_the_other_parameters(by):
    wide = performance(grid(), by).to_frame(wide=True)
    assert list(wide.columns[:4]) == ["n", "method", "term", "n_replicates"]
    assert len(wide) == 8
    assert (wide["n_replicates"] == 8).all()
    everything = performance(grid(), by=[]).to_frame(wide=True)
    assert list(everything.columns[:3]) == ["method", "term", "n_replicates"]
    assert everything["bias"].tolist() == [16, 17, 18, 19]


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    frame = pd.concat(
        [grid().assign(replicate=lambda d, i=i: d["replicate"] + 4 * i) for i in (0, 1)]
    )
    frame["estimate"] += rng.standard_normal(len(frame))
    keys = ["n", "kind", "method", "term"]
    one = performance(frame).to_frame(wide=True).sort_values(keys, ignore_index=True)
    shuffled = frame.sample(frac=1, random_state=1)
    two = performance(shuffled).to_frame(wide=True).sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(one, two, rtol=1e-10)


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_every_kind(kind):
    frame = hand_made().assign(n=10)
    columns = {name: frame[name].tolist() for name in frame}
    expected = performance(frame).to_frame()
    result = performance(FRAMES[kind](columns)).to_frame()
    pd.testing.assert_frame_equal(result, expected, check_dtype=False)


def test_long_and_wide_frames_hold_the_same():
    result = performance(grid())
    long, wide = result.to_frame(), result.to_frame(wide=True)
    assert len(long) == len(wide) * len(result.measures)
    for name in result.measures:
        rows = long[long["measure"] == name]
        np.testing.assert_array_equal(rows["value"], wide[name])
        np.testing.assert_array_equal(rows["mcse"], wide[f"{name}_mcse"])
    long["value"] = 0.0
    assert result.to_frame()["value"].abs().max() > 0


# ------------------------------------------------------------------------------------ comparison


def test_exact_values_of_a_comparison():
    first = hand_made()
    second = hand_made().assign(method="huber", estimate=[2.0, 2.0, NAN, 3.0, 1.0], term="x")
    second["estimand"] = 2.0
    second["conf_low"], second["conf_high"] = second["estimate"] - 0.5, second["estimate"] + 0.5
    rows = values(compare_methods(pd.concat([first, second]), "ols"))
    # Replicates 0, 1 and 3 have both: errors -1, 0, 4 of ols and 0, 0, 1 of huber.
    ours, theirs = np.array([0.0, 0.0, 1.0]), np.array([-1.0, 0.0, 4.0])
    difference = ours - theirs
    assert rows["method"].unique().tolist() == ["huber"]
    assert (rows.loc[["bias_difference", "mse_ratio"], "n_used"] == 3).all()
    expected = {
        "bias_difference": difference.mean(),
        "empirical_se_ratio": ours.std() / theirs.std(),
        "mse_ratio": 1 / 17,
        "rmse_ratio": np.sqrt(1 / 17),
        "coverage_difference": 2 / 3 - 2 / 3,
        "width_ratio": 3.0 / (1.5 + 3 + 6),
    }
    for name, value in expected.items():
        assert rows.loc[name, "value"] == pytest.approx(value), name
    assert rows.loc["bias_difference", "mcse"] == pytest.approx(difference.std(ddof=1) / np.sqrt(3))
    influence = (ours**2 - theirs**2 / 17) / (17 / 3)
    assert rows.loc["mse_ratio", "mcse"] == pytest.approx(influence.std(ddof=1) / np.sqrt(3))


def test_pairs_are_made_within_cells_replicates_and_terms():
    frame = grid().sample(frac=1, random_state=0)
    wide = compare_methods(frame, "a").to_frame(wide=True)
    assert len(wide) == 8
    np.testing.assert_allclose(wide["bias_difference"], 2)
    np.testing.assert_allclose(wide["bias_difference_mcse"], 0, atol=1e-12)
    back = compare_methods(frame, "b", by="n")
    assert back.reference == "b"
    np.testing.assert_allclose(back.to_frame(wide=True)["bias_difference"], -2)


def test_comparison_needs_another_method_with_the_same_terms():
    with pytest.raises(ValueError, match=r"no method 'olss'. Did you mean 'ols'\?"):
        compare_methods(hand_made(), "olss")
    with pytest.raises(ValueError, match="'ols' is the only method"):
        compare_methods(hand_made(), "ols")
    other = hand_made().iloc[:4].assign(method="b", term="z")
    with pytest.raises(ValueError, match="The terms are ols: x; b: z"):
        compare_methods(pd.concat([hand_made(), other]), "ols")


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop(columns="method"), "no column is named 'method'"),
        (lambda d: d.iloc[:0], "no rows; run the study first"),
        (lambda d: d.assign(value=1), r"\['value'\] cannot be parameters"),
        (lambda d: d.assign(estimate="1.0"), "'estimate' must hold numbers"),
        (lambda d: d.assign(p_value=[[1]] * 5), "'p_value' must hold numbers"),
        (lambda d: d.assign(converged="yes"), "'converged' must hold true or false"),
        (lambda d: d.assign(n=[[1]] * 5), "'n' holds lists or other objects"),
        (
            lambda d: pd.concat([d, d.iloc[[1]]]),
            "1 rows repeat another row, the first at replicate",
        ),
        (lambda d: d.assign(estimand=[1, NAN, 1, 1, NAN]), "known in 75% of the replicates"),
        (lambda d: d.rename(columns={"error": "p_value"}), "appear more than once"),
    ],
)
def test_bad_frames(change, message):
    with pytest.raises(ValueError, match=message):
        performance(change(hand_made()))


def test_bad_arguments():
    with pytest.raises(TypeError, match="frame is a list"):
        performance([1, 2])
    with pytest.raises(ValueError, match=r"by: 'N' is no parameter of the grid. Did you mean 'n'"):
        performance(hand_made().assign(n=1), by="N")
    with pytest.raises(ValueError, match="The study has one cell"):
        performance(hand_made(), by="m")
    with pytest.raises(ValueError, match="level=95"):
        performance(hand_made(), level=95)
    for function in (performance, lambda frame, **o: compare_methods(frame, "ols", **o)):
        with pytest.raises(ValueError, match="alpha=0 must"):
            function(hand_made(), alpha=0)
    result = performance(hand_made().assign(bias=1))
    with pytest.raises(ValueError, match=r"\['bias'\] are named like measures"):
        result.to_frame(wide=True)
    with pytest.raises(ValueError, match=r"no measure 'rsme'. Did you mean 'rmse'"):
        result.select("rsme")


@pytest.mark.parametrize("name", RESULT_COLUMNS)
def test_every_column_of_the_result_is_reserved(name):
    with pytest.raises(ValueError, match="cannot be parameters"):
        performance(hand_made().assign(**{name: 1}))


def test_reserved_names_are_those_of_the_frames():
    assert not set(RESULT_COLUMNS) & set(FRAME_COLUMNS)
    columns = performance(hand_made().assign(n=1)).to_frame().columns
    assert set(columns) == {"n", "method", "term", *RESULT_COLUMNS}
