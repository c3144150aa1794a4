"""How good surrogates are: numbers by hand, and a test of differential error of the right size."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit
from scipy.stats import binomtest, kstest

from trueness.dsl import DSLLinearRegression, DSLLogisticRegression, DSLMean

N = 500
N_REPLICATES = 200
NUMBERS = ["bias", "rmse", "correlation", "accuracy"]


def draw(seed, *, binary, differential=0.0):
    """Complete data, and machine versions of y and b whose errors may depend on a and on y."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=N)
    if binary:
        guess = lambda truth, by: (  # noqa: E731
            rng.random(N) < expit(3 * truth - 1.5 + 5 * differential * by)
        ).astype(float)
        b = (rng.random(N) < 0.4).astype(float)
        y = (rng.random(N) < expit(0.5 * a + b - 0.5)).astype(float)
        machine_y, machine_b = guess(y, a), guess(b, y)
    else:
        b = 0.5 * a + rng.normal(size=N)
        y = a + b + rng.normal(size=N)
        # The spread of the errors may depend on a: robust tests do not mind.
        machine_y = 0.8 * y + differential * a + np.exp(0.3 * a) * rng.normal(size=N)
        machine_b = b + differential * y + 0.5 * rng.normal(size=N)
    chance = expit(0.2 + 0.4 * a)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "y": y,
            "machine_y": machine_y,
            "machine_b": machine_b,
            "chance": chance,
            "drawn": rng.random(N) < chance,
        }
    )


def fit(frame, *, binary=False, **options):
    """Fit with gaps in y and b, each with its own surrogate."""
    gold = frame.assign(**{name: frame[name].where(frame["drawn"]) for name in ("y", "b")})
    estimator = DSLLogisticRegression if binary else DSLLinearRegression
    return estimator(**{"learner": None, "normalize": False} | options).fit_formula(
        "y ~ a + b",
        gold,
        surrogates={"y": "machine_y", "b": "machine_b"},
        sampling_probability="chance",
    )


def row(quality, variable, source, group="all"):
    chosen = quality[
        (quality["variable"] == variable)
        & (quality["source"] == source)
        & (quality["group"] == group)
    ]
    assert len(chosen) == 1
    return chosen.iloc[0]


def by_hand(frame, variable, *, binary):
    """Bias, rmse, correlation and accuracy of the labelled rows, weighted by 1 / probability."""
    known = frame[frame["drawn"]]
    gold, machine = known[variable].to_numpy(), known[f"machine_{variable}"].to_numpy()
    weight = (1 / known["chance"]).to_numpy()
    spread = np.cov(gold, machine, aweights=weight)
    return {
        "bias": np.average(machine - gold, weights=weight),
        "rmse": np.sqrt(np.average((machine - gold) ** 2, weights=weight)),
        "correlation": spread[0, 1] / np.sqrt(spread[0, 0] * spread[1, 1]),
        "accuracy": np.average(machine == gold, weights=weight) if binary else np.nan,
    }


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("variable", ["y", "b"])
def test_numbers_by_hand(variable, binary):
    frame = draw(0, binary=binary, differential=0.2)
    quality = fit(frame, binary=binary).surrogate_quality()
    ours = row(quality, variable, f"machine_{variable}")
    assert ours["labels"] == frame["drawn"].sum()
    expected = by_hand(frame, variable, binary=binary)
    np.testing.assert_allclose(
        ours[NUMBERS].to_numpy(float), [expected[name] for name in NUMBERS], rtol=1e-10
    )
    # Other probabilities, other numbers: the weights count.
    flat = by_hand(frame.assign(chance=0.5), variable, binary=binary)
    assert abs(flat["rmse"] / expected["rmse"] - 1) > 1e-4


def test_one_row_for_each_variable_and_its_own_surrogate():
    quality = fit(draw(0, binary=False)).surrogate_quality()
    assert quality[["variable", "source", "group"]].to_numpy().tolist() == [
        ["y", "machine_y", "all"],
        ["b", "machine_b", "all"],
    ]


def robust_wald(errors, gold, columns, weight):
    """Weighted least squares on everything, and the HC3 Wald statistic of the last columns."""
    X = np.column_stack([np.ones(len(errors)), gold, columns])
    bread = np.linalg.inv(X.T @ (X * weight[:, None]))
    slopes = bread @ X.T @ (weight * errors)
    leverage = weight * np.einsum("ij,jk,ik->i", X, bread, X)
    scores = X * (weight * (errors - X @ slopes) / (1 - leverage))[:, None]
    cov = bread @ scores.T @ scores @ bread
    return slopes[2:] @ np.linalg.solve(cov[2:, 2:], slopes[2:])


def test_the_test_written_out():
    """Errors of y on the covariates, errors of b on the other covariate and the outcome."""
    frame = draw(1, binary=False, differential=0.1)
    quality = fit(frame).surrogate_quality()
    known = frame[frame["drawn"]]
    weight = (1 / known["chance"]).to_numpy()
    for variable, others in {"y": ["a", "b"], "b": ["a", "y"]}.items():
        errors = (known[f"machine_{variable}"] - known[variable]).to_numpy()
        expected = robust_wald(errors, known[variable], known[others].to_numpy(), weight)
        ours = row(quality, variable, f"machine_{variable}")
        assert ours["differential_chi2"] == pytest.approx(expected, rel=1e-8)
        assert ours["differential_df"] == 2


@pytest.mark.parametrize("binary", [False, True])
def test_size_where_errors_are_not_differential(binary):
    """Errors may depend on the true value, by a slope or by class, and the test still holds."""
    p_values = np.array(
        [
            fit(draw(seed, binary=binary), binary=binary).surrogate_quality()["differential_p"]
            for seed in range(N_REPLICATES)
        ]
    )
    for p_value in p_values.T:
        rejected = int((p_value < 0.05).sum())
        assert binomtest(rejected, N_REPLICATES, 0.05).pvalue > 0.01
        assert kstest(p_value, "uniform").pvalue > 0.001


@pytest.mark.parametrize("binary", [False, True])
def test_power_where_errors_are_differential(binary):
    p_values = [
        fit(draw(seed, binary=binary, differential=0.4), binary=binary)
        .surrogate_quality()["differential_p"]
        .to_numpy()
        for seed in range(20)
    ]
    assert (np.array(p_values) < 0.05).mean(axis=0).min() > 0.8


def test_power_where_both_classes_are_mistaken_more_often():
    """Mistakes in either direction become likelier with a, as where texts get harder to read."""
    p_values = []
    for seed in range(20):
        frame = draw(seed, binary=True)
        rng = np.random.default_rng([1, seed])
        wrong = rng.random(N) < expit(-1.5 + 2 * frame["a"])
        frame["machine_y"] = np.where(wrong, 1 - frame["y"], frame["y"])
        quality = fit(frame, binary=True).surrogate_quality()
        p_values.append(row(quality, "y", "machine_y")["differential_p"])
    assert (np.array(p_values) < 0.05).mean() > 0.8


def test_clusters_make_the_test_cautious():
    """Errors shared within clusters along which a covariate varies look differential by rows."""
    rng = np.random.default_rng(4)
    firm = np.repeat(np.arange(50), 20)
    x = rng.normal(size=50)[firm]
    y = x + rng.normal(size=1000)
    machine = y + rng.normal(size=50)[firm] + 0.3 * rng.normal(size=1000)
    gold = np.where(rng.random(1000) < 0.5, y, np.nan)
    chi2 = []
    for clusters in (None, firm):
        model = DSLLinearRegression(learner=None)
        model.fit(x[:, None], gold, surrogates=machine, clusters=clusters)
        chi2.append(model.surrogate_quality()["differential_chi2"][0])
    assert chi2[1] < 0.5 * chi2[0]


def test_groups_one_by_one():
    frame = draw(2, binary=False)
    region = np.array(["east", "north", "west"])[np.random.default_rng(0).integers(0, 3, N)]
    frame["machine_y"] += 0.5 * (region == "west")
    quality = fit(frame).surrogate_quality(by=region)
    assert quality["group"].tolist() == ["all", "east", "north", "west"] * 2
    for level in ("east", "north", "west"):
        ours = row(quality, "y", "machine_y", level)
        expected = by_hand(frame[region == level], "y", binary=False)
        assert ours["labels"] == (frame["drawn"] & (region == level)).sum()
        assert ours["rmse"] == pytest.approx(expected["rmse"], rel=1e-10)
        assert ours["bias"] == pytest.approx(expected["bias"], rel=1e-10)
        assert np.isnan(ours["differential_p"])
    # The test is now one of groups: two dummies.
    assert row(quality, "y", "machine_y")["differential_df"] == 2
    assert row(quality, "y", "machine_y")["differential_p"] < 0.01
    known = frame["drawn"].to_numpy()
    dummies = np.column_stack([region[known] == level for level in ("north", "west")])
    labelled = frame[known]
    expected = robust_wald(
        (labelled["machine_y"] - labelled["y"]).to_numpy(),
        labelled["y"],
        dummies,
        (1 / labelled["chance"]).to_numpy(),
    )
    assert row(quality, "y", "machine_y")["differential_chi2"] == pytest.approx(expected, rel=1e-8)


def test_groups_by_a_variable_of_the_model():
    frame = draw(3, binary=True)
    frame["a"] = np.where(frame["a"] > 0, 1.0, 0.0)
    model = fit(frame, binary=True)
    named, given = model.surrogate_quality(by="a"), model.surrogate_quality(by=frame["a"])
    pd.testing.assert_frame_equal(named, given)
    assert named["group"].tolist() == ["all", 0.0, 1.0] * 2


def three_classes(seed=5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=N)
    truth = np.array(["law", "war", "work"])[rng.integers(0, 3, N)]
    machine = np.where(rng.random(N) < 0.7, truth, "law")
    drawn = rng.random(N) < 0.6
    return x, truth, machine, drawn


def test_classes():
    """RMSE over all indicators, accuracy of the most probable class, neither bias nor r."""
    x, truth, machine, drawn = three_classes()
    model = DSLLogisticRegression(learner=None)
    model.fit(x[:, None], pd.Series(truth, name="topic").where(drawn), surrogates=machine)
    ours = model.surrogate_quality().iloc[0]
    right = (machine == truth)[drawn]
    assert ours["variable"] == "topic"
    assert ours["accuracy"] == pytest.approx(right.mean(), rel=1e-12)
    assert ours["rmse"] == pytest.approx(np.sqrt(2 * (~right).mean()), rel=1e-12)
    assert np.isnan(ours["bias"]) and np.isnan(ours["correlation"])
    assert 0.0 <= ours["differential_p"] <= 1.0 and ours["differential_df"] == 2


def test_classes_are_tested_one_by_one():
    """The largest statistic, its p value times the number of classes."""
    p_values = []
    for seed in range(60):
        x, truth, machine, drawn = three_classes(seed)
        gold = pd.Series(truth).where(drawn)
        model = DSLLogisticRegression(learner=None).fit(x[:, None], gold, surrogates=machine)
        p_values.append(model.surrogate_quality()["differential_p"][0])
    assert (np.array(p_values) < 0.05).mean() < 0.15  # Bonferroni: 5 percent at most
    x, truth, machine, drawn = three_classes()
    machine = np.where(x > 0.5, "war", machine)
    gold = pd.Series(truth).where(drawn)
    model = DSLLogisticRegression(learner=None).fit(x[:, None], gold, surrogates=machine)
    assert model.surrogate_quality()["differential_p"][0] < 1e-4


def test_predictions_are_those_out_of_fold_averaged_over_repeats():
    frame = draw(6, binary=False)
    model = fit(frame, learner="linear", n_repeats=3, random_state=1)
    quality = model.surrogate_quality()
    assert quality["source"].tolist() == ["machine_y", "cross-fitted", "machine_b", "cross-fitted"]
    drawn = frame["drawn"].to_numpy()
    mean = model._fitted.predictions.mean(axis=0)
    for column, variable in enumerate(("y", "b")):
        predicted = frame.assign(**{f"machine_{variable}": mean[:, column]})
        expected = by_hand(predicted[drawn], variable, binary=False)
        ours = row(quality, variable, "cross-fitted")
        assert ours["rmse"] == pytest.approx(expected["rmse"], rel=1e-10)
        assert ours["rmse"] < row(quality, variable, f"machine_{variable}")["rmse"] + 0.05


def test_surrogates_that_cannot_stand_for_the_target_are_skipped():
    frame = draw(7, binary=False)
    y = frame["y"].where(frame["drawn"])
    words = pd.DataFrame(
        {"word": np.where(frame["machine_y"] > 0, "good", "bad"), "score": frame["machine_y"]}
    )
    model = DSLLinearRegression(learner="linear", n_repeats=1, random_state=0)
    model.fit(frame[["a"]], y, surrogates=words)
    assert model.surrogate_quality()["source"].tolist() == ["score", "cross-fitted"]
    model.fit(frame[["a"]], y, surrogates=sparse.csr_array(words[["score"]].to_numpy()))
    assert model.surrogate_quality()["source"].tolist() == ["cross-fitted"]


def test_a_mean_has_no_other_variable_to_test():
    frame = draw(8, binary=False)
    model = DSLMean(learner=None)
    model.fit(frame[["a"]], frame["y"].where(frame["drawn"]), surrogates=frame["machine_y"])
    ours = model.surrogate_quality().iloc[0]
    assert np.isnan(ours["differential_p"]) and ours["differential_df"] == 0
    assert np.isfinite(ours["rmse"])


def test_a_constant_surrogate_and_a_perfect_one():
    frame = draw(9, binary=False)
    constant = fit(frame.assign(machine_y=1.0)).surrogate_quality()
    assert np.isnan(row(constant, "y", "machine_y")["correlation"])
    perfect = row(fit(frame.assign(machine_y=frame["y"])).surrogate_quality(), "y", "machine_y")
    assert perfect["bias"] == perfect["rmse"] == 0.0
    assert perfect["correlation"] == pytest.approx(1.0, rel=1e-12)
    assert not perfect["differential_p"] < 0.05


def test_analysis_weights_count():
    frame = draw(10, binary=False)
    y, weight = frame["y"].where(frame["drawn"]), 1.0 + (frame["a"] > 0)
    model = DSLLinearRegression(learner=None)
    model.fit(frame[["a"]], y, surrogates=frame["machine_y"], sample_weight=weight)
    known = frame["drawn"]
    errors = (frame["machine_y"] - frame["y"])[known]
    expected = np.average(errors, weights=weight[known])
    assert model.surrogate_quality()["bias"][0] == pytest.approx(expected, rel=1e-10)


def test_errors():
    frame = draw(11, binary=False)
    complete = DSLLinearRegression().fit(frame[["a"]], frame["y"])
    with pytest.raises(ValueError, match="Every row is labelled"):
        complete.surrogate_quality()
    model = fit(frame)
    with pytest.raises(ValueError, match="no .*'aa'"):
        model.surrogate_quality(by="aa")
    with pytest.raises(ValueError, match="by"):
        model.surrogate_quality(by=np.zeros(N - 1))
    gaps = pd.Series(["east", "west"] * (N // 2)).where(~frame["drawn"])
    with pytest.raises(ValueError, match="groups are missing on labelled rows"):
        model.surrogate_quality(by=gaps)
